"""Checks for plugin authors: what every data set, model, trainer, recipe and command must do.

In a plugin's own tests::

    from zoo.testing import parametrize_checks

    @parametrize_checks("my-plugin")
    def test_plugin(check):
        check()

At a shell: ``zoo check my-plugin``. A check that fails says what to mend.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from zoo.errors import CheckFailedError, UnknownNameError, ZooError
from zoo.registry.plugins import load_registry
from zoo.testing import datasets, models, plugins, trainers
from zoo.testing.common import Subject
from zoo.utils.text import one_line, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pytest

    from zoo.registry.registry import Registry

__all__ = ["Check", "Result", "check_plugin", "checks_of", "parametrize_checks"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check, to call.

    Args:
        name: What it is about and what it asks: ``"model tiny-net: builds for any size"``.
        run: Does it; raises `CheckFailedError`.
    """

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Do the check.

        Raises:
            CheckFailedError: The plugin does not do what is asked; the message says what to mend.
        """
        try:
            self.run()
        except CheckFailedError as error:
            about = self.name.partition(": ")[0]
            raise CheckFailedError(f"{self.name}: {str(error).removeprefix(about + ': ')}") from error
        except (Exception, SystemExit) as error:
            said = " ".join(str(error).split()) if isinstance(error, ZooError) else one_line(error)
            raise CheckFailedError(f"{self.name}: {said}") from error


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a check came to.

    Args:
        name: The check's name.
        status: ``"known"`` is a failure that was declared.
        message: What to mend; empty if it passed.
    """

    name: str
    status: Literal["passed", "failed", "known"]
    message: str = ""


def checks_of(plugin: str, *, registry: Registry | None = None, data_dir: Path | None = None) -> list[Check]:
    """Return the checks for all that a plugin registers.

    Args:
        plugin: The plugin's name.
        registry: Where it is loaded; by default a new one with all installed plugins.
        data_dir: Folder that its data sets read, for those that need one.

    Raises:
        UnknownNameError: There is no such plugin.
        CheckFailedError: It could not be loaded.
    """
    registry = registry or load_registry()
    if plugin not in registry.plugins:
        hint = suggest(plugin, list(registry.plugins))
        raise UnknownNameError(f"No plugin is named {plugin!r}.{hint} `zoo plugins` shows them all.")
    if (error := registry.plugins[plugin].error) is not None:
        raise CheckFailedError(f"plugin {plugin}: it is left out: {error}")
    return list(_checks(registry, plugin, data_dir))


def check_plugin(
    plugin: str,
    *,
    registry: Registry | None = None,
    data_dir: Path | None = None,
    known_failures: Mapping[str, str] | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Do all checks of a plugin and return what each came to.

    Args:
        plugin: As for `checks_of`.
        registry: As for `checks_of`.
        data_dir: As for `checks_of`.
        known_failures: Names of checks that are known to fail, with the reasons. One that passes is a failure.
        on_result: Is given each result as it comes.

    Raises:
        UnknownNameError: There is no such plugin, or no check of a known failure's name.
    """
    known = dict(known_failures or {})
    checks = checks_of(plugin, registry=registry, data_dir=data_dir)
    _check_known(known, checks)
    results = []
    for check in checks:
        try:
            check()
        except CheckFailedError as error:
            is_known = check.name in known
            message = f"{error} (known: {known[check.name]})" if is_known else str(error)
            result = Result(name=check.name, status="known" if is_known else "failed", message=message)
        else:
            result = Result(name=check.name, status="passed")
            if check.name in known:
                message = f"{check.name}: it passes, though a failure was declared: remove the declaration"
                result = Result(name=check.name, status="failed", message=message)
        results.append(result)
        if on_result is not None:
            on_result(result)
    return results


def parametrize_checks(
    plugin: str,
    *,
    registry: Registry | None = None,
    data_dir: Path | None = None,
    known_failures: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """Return a pytest decorator that calls a test with each check of a plugin, as its argument ``check``.

    Takes what `check_plugin` takes; a known failure becomes a strict ``xfail``.
    """
    import pytest

    known = dict(known_failures or {})
    checks = checks_of(plugin, registry=registry, data_dir=data_dir)
    _check_known(known, checks)
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                check,
                id=check.name,
                marks=[pytest.mark.xfail(strict=True, raises=CheckFailedError, reason=known[check.name])]
                if check.name in known
                else [],
            )
            for check in checks
        ],
    )


def _check_known(known: Mapping[str, str], checks: list[Check]) -> None:
    names = [check.name for check in checks]
    for name in known:
        if name not in names:
            raise UnknownNameError(
                f"There is no check {name!r}.{suggest(name, names)} Received: known_failures={name!r}"
            )


_CHECKS: dict[str, dict[str, Callable[[Subject], None]]] = {
    "model": {
        "settings are typed and their defaults valid": plugins.settings,
        "builds for any size": models.builds,
        "has as many parameters as its entry says": models.has_its_parameters,
        "the same seed gives the same weights": models.same_weights,
        "learns": models.learns,
        "predicts the same bits in a new process": models.predicts_the_same_after_loading,
    },
    "dataset": {
        "settings are typed and their defaults valid": plugins.settings,
        "gives images, labels and class names": datasets.gives,
        "gives the same twice": datasets.gives_the_same,
    },
    "trainer": {
        "settings are typed and their defaults valid": plugins.settings,
        "the seed decides": trainers.seed_decides,
        "trains as many epochs as asked and calls callbacks": trainers.trains,
        "resumes with the same bits": trainers.resumes,
        "resumes within an epoch, or does not offer to": trainers.resumes_within_an_epoch,
        "predicts probabilities": trainers.predicts,
    },
    "recipe": {
        "trains a step": plugins.steps,
        "its recorded results are of it as it is": plugins.recorded,
        "its trained weights load": plugins.trained,
    },
    "command": {"shows its help": plugins.helps},
    "tracker": {"can be used, or says what to install": plugins.tracks},
}


def _checks(registry: Registry, plugin: str, data_dir: Path | None) -> Iterator[Check]:
    whole = Subject(registry=registry, plugin=plugin, data_dir=data_dir)
    yield Check(name=f"{whole.title}: listing it imports nothing heavy", run=partial(plugins.light, whole))
    yield Check(name=f"{whole.title}: its names are its own", run=partial(plugins.has_names_of_its_own, whole))
    for kind, checks in _CHECKS.items():
        for registered in registry.catalogs[kind]:
            if registered.plugin == plugin:
                subject = replace(whole, entry=registered)
                lacks_data = kind == "dataset" and data_dir is None and datasets.needs_data_dir(subject)
                for name, function in checks.items():
                    if lacks_data and function is not plugins.settings:
                        continue  # its data are the user's own
                    if function is plugins.recorded and registered.item.results is None:
                        continue
                    if function is plugins.trained and registered.item.trained is None:
                        continue
                    if function is models.has_its_parameters and registered.item.parameters is None:
                        continue
                    yield Check(name=f"{subject.title}: {name}", run=partial(function, subject))
    if registry.plugins[plugin].hooks.hook.register_callbacks.get_hookimpls():
        yield Check(name=f"{whole.title}: gives callbacks", run=partial(plugins.gives_callbacks, whole))
