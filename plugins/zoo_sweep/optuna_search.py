"""A search with Optuna in this process: it proposes trials and decides which to prune.

No Optuna storage is used: the study is rebuilt by replaying ``sweep.json``. (In a study that workers share, a trial
whose process was killed would stay running forever.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.utils import missing_extra
from zoo_sweep.trials import plain, resolve, trial_of

if TYPE_CHECKING:
    import optuna

    from zoo import Registry
    from zoo_sweep.records import SearchRecord, TrialRecord
    from zoo_sweep.store import SweepStore


class Search:
    """Trials proposed by Optuna's tree-structured Parzen estimator, with one of its pruners.

    A proposal depends only on the earlier trials and the number of the trial. So if trials run one at a time, a stopped
    and resumed search proposes the same trials as an uninterrupted one.

    Args:
        store: The store. When a search resumes, it contains the earlier trials.
        registry: Registry to look up names in.

    Raises:
        PluginError: Optuna is not installed.
    """

    def __init__(self, store: SweepStore, registry: Registry) -> None:
        """Create the study and replay earlier trials."""
        spec = store.record.spec
        if spec.search is None:
            raise TypeError("The sweep is not a search.")
        self._optuna = import_optuna()
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        self._store, self._registry, self._spec, self._search = store, registry, spec, spec.search
        self._study = self._optuna.create_study(
            direction="minimize" if store.record.is_minimized else "maximize",
            pruner=_pruner(self._optuna, spec.search),
        )
        self._running: dict[int, optuna.Trial] = {}
        for trial in store.record.trials:
            if trial.status in ("trained", "pruned"):
                self._replay(trial)

    @property
    def total(self) -> int:
        """Total number of trials."""
        return self._search.trials

    def next(self) -> TrialRecord | None:
        """Return a waiting trial or a new one, or None if there are enough."""
        trials = self._store.record.trials
        waiting = next((trial for trial in trials if trial.status == "waiting"), None)
        if waiting is not None:
            self._running[waiting.number] = self._ask_again(waiting)
            return waiting
        if len(trials) >= self._search.trials:
            return None
        number = len(trials) + 1
        self._study.sampler = self._optuna.samplers.TPESampler(seed=number)
        proposed = self._study.ask(self._distributions())
        settings = {name: values[0] for name, values in self._spec.settings.items()}
        settings |= {name: _as_text(proposed.params[name]) for name in self._distributions()}
        (recipe,) = self._spec.recipes
        seed = self._spec.seeds[0] if self._spec.seeds else None
        record = resolve(self._spec, self._registry, recipe, settings, seed).to_record()
        self._running[number] = proposed
        return self._store.update(trial_of(self._spec, number, number, record, recipe, settings))

    def should_prune(self, trial: TrialRecord) -> bool:
        """Return whether the pruner stops a trial after its latest value."""
        running = self._running[trial.number]
        running.report(trial.values[-1], len(trial.values))
        return bool(running.should_prune()) and len(trial.values) < trial.epochs

    def ended(self, trial: TrialRecord) -> None:
        """Report the outcome of a trial to the study."""
        running = self._running.pop(trial.number)
        if trial.status == "trained" and trial.validation is not None:
            self._study.tell(running, trial.validation.value(self._store.record.choose_by))
        else:
            states = self._optuna.trial.TrialState
            self._study.tell(running, state=states.PRUNED if trial.status == "pruned" else states.FAIL)

    def _replay(self, trial: TrialRecord) -> None:
        """Report an earlier trial to the study again, including the values that the pruner needs."""
        self._running[trial.number] = running = self._ask_again(trial)
        for epoch, value in enumerate(trial.values, start=1):
            running.report(value, epoch)
            running.should_prune()  # because the pruner stores state when asked
        self.ended(trial)

    def _ask_again(self, trial: TrialRecord) -> optuna.Trial:
        distributions = self._distributions()
        parameters = {
            name: trial.settings[name] if name in self._search.choices else float(trial.settings[name])
            for name in distributions
        }
        self._study.enqueue_trial(parameters)
        again: optuna.Trial = self._study.ask(distributions)
        return again

    def _distributions(self) -> dict[str, Any]:
        several = self._optuna.distributions
        found: dict[str, Any] = {
            name: several.IntDistribution(int(each.low), int(each.high), log=each.is_log)
            if each.is_integer
            else several.FloatDistribution(each.low, each.high, log=each.is_log)
            for name, each in self._search.ranges.items()
        }
        return found | {name: several.CategoricalDistribution(values) for name, values in self._search.choices.items()}


def import_optuna() -> Any:
    """Import Optuna and return it.

    Raises:
        PluginError: Optuna is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise missing_extra("A search", "sweep", "no module named 'optuna'") from error
    return optuna


def _pruner(optuna: Any, search: SearchRecord) -> Any:
    if search.prune == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5)
    if search.prune == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    return optuna.pruners.NopPruner()


def _as_text(value: float | str) -> str:
    return value if isinstance(value, str) else plain(value)
