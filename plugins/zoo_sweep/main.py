"""Running a sweep from its options: a new one, or one to resume."""

from __future__ import annotations

import os
import secrets
import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import DataError, StopRequested, ZooError, load_data
from zoo.errors import RunFolderError
from zoo.runs import lock_run_folder
from zoo.utils import HeldSignals
from zoo_sweep.display import make_display
from zoo_sweep.engine import EngineOptions, TrialJob
from zoo_sweep.engines import check_installed, connect
from zoo_sweep.measure import measure_of
from zoo_sweep.optuna_search import Search, import_optuna
from zoo_sweep.records import SearchRecord, SweepSpec, TrialRecord
from zoo_sweep.runner import SweepRunner
from zoo_sweep.search_algorithm import Grid
from zoo_sweep.store import SweepStore, ensure_empty
from zoo_sweep.trials import SHARED, check_search, grid, range_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zoo import Registry, RunConfig
    from zoo_sweep.engine import Engine
    from zoo_sweep.measure import Measure
    from zoo_sweep.search_algorithm import Source


_AGAIN = {"data_dir": None, "jobs": None, "address": None, "trial_cpus": 1, "trial_gpus": 0, "retries": 2}
"""Options that a sweep does not remember, so that they are passed again with ``--resume``, and their defaults."""


def carry_out(registry: Registry, *, quiet: bool, **options: Any) -> SweepStore:
    """Run a sweep and return its store.

    Args:
        registry: Registry to look up names in.
        quiet: Whether to hide progress.
        options: Options of ``zoo sweep``, by the names of its parameters.

    Raises:
        ZooError: A name, setting, folder or cluster is invalid or fails.
        StopRequested: A signal requested the end. The message contains the command to resume.
    """
    if options["address"] is not None:
        check_installed(options["address"])
    if options["resume"] is not None:
        folder = options["resume"]
        with lock_run_folder(folder):
            store = SweepStore.open(folder)
            if not store.is_finished:
                _check_same_data(store, registry, options["data_dir"])
                store.reset_unfinished()
                _conduct(store, registry, quiet, options)
            return store
    spec, measure, trials = plan(registry, options)
    folder = options["out"] or _new_folder()
    ensure_empty(folder)
    with lock_run_folder(folder):
        store = SweepStore.new(folder, spec, measure, trials)
        _conduct(store, registry, quiet, options)
        return store


def plan(registry: Registry, options: Mapping[str, Any]) -> tuple[SweepSpec, Measure, list[TrialRecord]]:
    """Return the specification of a sweep, the metric to choose by, and the trials (none yet for a search).

    Raises:
        ZooError: A name, setting, value or range is invalid.
    """
    for name in options["track"]:
        registry.callbacks.get(name)
    search = None
    if options["search"] is not None:
        import_optuna()
        search = SearchRecord(
            trials=options["trials"],
            ranges={name: range_of(*ends) for name, ends in options["ranges"].items()},
            choices=options["choices"],
            prune=options["prune"] or "median",
        )
    spec = SweepSpec(
        recipes=list(options["recipes"]),
        seeds=options["seeds"],
        folds=options["folds"],
        settings=options["settings"],
        track=list(options["track"]),
        checkpoint_every=options["checkpoint_every"],
        search=search,
        **{name: options[name] for name in SHARED} | {"init": _absolute(options["init"])},
    )
    if search is not None:
        spec, configs = check_search(spec, registry, options["data_dir"])
        _check_data(configs, options)
        return spec, measure_of(configs, options["choose_by"]), []
    trials, configs = grid(spec, registry, options["data_dir"])
    _check_data(configs, options)
    return spec, measure_of(configs, options["choose_by"]), trials


def _absolute(source: str | None) -> str | None:
    """Return the weights to start from so that a trial finds them in any folder: a recipe's name stays as it is."""
    return os.path.abspath(source) if source is not None and os.path.lexists(source) else source


def _check_data(configs: list[RunConfig], options: Mapping[str, Any]) -> None:
    """Check each dataset once, not in every trial. Skip this on a cluster, where a path may lead to other data."""
    if options["address"] is None:
        for config in {repr(each.recipe.dataset): each for each in configs}.values():
            config.check_data()


def _conduct(store: SweepStore, registry: Registry, quiet: bool, options: Mapping[str, Any]) -> None:
    """Run the remaining trials and tests, and leave no process behind."""
    source: Source = Grid(store) if store.record.spec.search is None else Search(store, registry)
    again = resume_command(store.folder, registry, options)
    common = _common(registry, options["data_dir"])
    display = make_display(source.total, quiet, done=store.count("trained", "pruned"), choose_by=store.record.choose_by)
    try:
        with HeldSignals() as signals:
            engine = _engine(store.folder, options, signals.check)
            try:
                SweepRunner(
                    store=store,
                    registry=registry,
                    source=source,
                    engine=engine,
                    display=display,
                    signals=signals,
                    common=common,
                ).run()
            finally:
                if store.count("running"):
                    display.stage("stopping the remaining trials")
                engine.close()
                store.reset_running()
    except StopRequested as error:
        done = f"{store.count('trained', 'pruned')} of {source.total} trials are done"
        raise StopRequested(error.signal_number, f"Stopped: {done}. Resume with: {again}") from None
    except ZooError as error:
        raise error.with_message(f"{str(error).rstrip('.')}. Finished work is kept. Resume with: {again}") from error
    finally:
        display.close()


def _check_same_data(store: SweepStore, registry: Registry, data_dir: Path | None) -> None:
    """Raise `DataError` if the remaining trials would use other data than those already started."""
    seen = set()
    for trial in store.record.trials:
        settings = [item for item in trial.settings.items() if item[0].partition(".")[0] == "dataset"]
        if (key := (trial.recipe, *settings)) in seen:
            continue
        try:
            run = store.run_of(trial)
        except RunFolderError:  # it has not started, or its process will report the fault
            continue
        seen.add(key)
        try:
            load_data(run, registry=registry, data_dir=data_dir)
        except DataError as error:
            fault, received, value = str(error).partition(" Received: ")
            cure = "A sweep does not remember --data-dir: pass it again with --resume."
            raise error.with_message(f"{fault} {cure}{received}{value}") from error


def _engine(folder: Path, options: Mapping[str, Any], on_wait: Callable[[], None]) -> Engine:
    if options["address"] is None:
        from zoo_sweep.local import LocalEngine

        return LocalEngine(options["jobs"] or 1, options["retries"])
    return connect(
        EngineOptions(
            address=options["address"],
            cpus=options["trial_cpus"],
            gpus=options["trial_gpus"],
            retries=options["retries"],
            folder=folder,
            jobs=options["jobs"],
            on_wait=on_wait,
        )
    )


def _common(registry: Registry, data_dir: Path | None) -> TrialJob:
    """Return a job with the fields that all jobs share."""
    return TrialJob(
        folder="",
        work="train",
        recipe="",
        changes={},
        data_dir=None if data_dir is None else str(data_dir.absolute()),
        plugin_files=_plugin_files(registry),
        place=os.getcwd(),
    )


def _plugin_files(registry: Registry) -> list[str]:
    return sorted(str(plugin.file) for plugin in registry.plugins.values() if plugin.file is not None)


def resume_command(folder: Path, registry: Registry, options: Mapping[str, Any]) -> str:
    """Return the command that resumes a sweep."""
    words = ["zoo", *(word for file in _plugin_files(registry) for word in ("--plugin", file))]
    words += ["sweep", "--resume", str(folder)]
    for name, default in _AGAIN.items():
        if options[name] != default:
            value = options[name]
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)


def _new_folder() -> Path:
    return Path("runs") / f"sweep-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
