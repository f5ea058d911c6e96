"""Checks for plugin authors: the requirements for everything that a plugin registers.

In a plugin's own tests::

    from zoo.testing import parametrize_checks

    @parametrize_checks("my-plugin")
    def test_plugin(check):
        check()

On the command line: ``zoo check my-plugin``. A failed check says what to fix.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from zoo.errors import CheckFailedError, UnknownNameError, ZooError
from zoo.registry.kinds import TABLE
from zoo.registry.plugins import load_registry
from zoo.testing import datasets, models, plugins
from zoo.testing.common import Checks, Subject, settings
from zoo.utils.text import one_line, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pytest

    from zoo.registry.registry import Registry

__all__ = ["Check", "Result", "check_plugin", "checks_of", "parametrize_checks"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check. Call it to run it.

    Args:
        name: The subject and the requirement: ``"model tiny-net: learns"``.
        run: Runs the check; raises `CheckFailedError` if it fails.
    """

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Run the check.

        Raises:
            CheckFailedError: The plugin does not meet the requirement; the message says what to fix.
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
    """The result of a check.

    Args:
        name: The check's name.
        status: ``"passed"``, ``"failed"``, or ``"known"`` for a failure that was declared.
        message: What to fix; empty if the check passed.
    """

    name: str
    status: Literal["passed", "failed", "known"]
    message: str = ""


def checks_of(plugin: str, *, registry: Registry | None = None, data_dir: Path | None = None) -> list[Check]:
    """Return the checks for everything that a plugin registers.

    Args:
        plugin: The plugin's name.
        registry: Registry in which the plugin is loaded. Defaults to a new one with all installed plugins.
        data_dir: Folder or file for datasets that need one.

    Raises:
        UnknownNameError: There is no such plugin.
        CheckFailedError: The plugin could not be loaded.
    """
    registry = registry or load_registry()
    if plugin not in registry.plugins:
        hint = suggest(plugin, list(registry.plugins))
        raise UnknownNameError(
            f"No plugin is named {plugin!r}.{hint} Run `zoo plugins` to list all plugins. "
            "If it is not installed, run `pip install -e .` in its folder, or pass its file with --plugin."
        )
    if (error := registry.plugins[plugin].error) is not None:
        raise CheckFailedError(f"plugin {plugin}: it cannot be loaded: {error}")
    return list(_checks(registry, plugin, data_dir))


def check_plugin(
    plugin: str,
    *,
    registry: Registry | None = None,
    data_dir: Path | None = None,
    known_failures: Mapping[str, str] | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Run all checks of a plugin and return their results.

    Args:
        plugin: As for `checks_of`.
        registry: As for `checks_of`.
        data_dir: As for `checks_of`.
        known_failures: Checks that are known to fail: their names, mapped to the reasons. A known failure that passes
            counts as a failure.
        on_result: Called with each result as soon as it is available.

    Raises:
        UnknownNameError: There is no such plugin, or no check has the name of a known failure.
        CheckFailedError: The plugin could not be loaded.
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
                message = f"{check.name}: passes, but is declared as a known failure: remove the declaration"
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
    """Return a pytest decorator that runs a test once per check of a plugin, passed as the argument ``check``.

    The arguments are those of `check_plugin`. A known failure becomes a strict ``xfail``.
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
                f"No check is named {name!r}.{suggest(name, names)} Received: known_failures={name!r}"
            )


_FIELDS = {
    plugins.recorded: "results",
    plugins.trained: "trained",
    models.has_its_parameters: "parameters",
    models.has_names_of_weights: "weight_names",
}
"""Fields of an entry or recipe without which a check is omitted."""


def _checks(registry: Registry, plugin: str, data_dir: Path | None) -> Iterator[Check]:
    whole = Subject(registry=registry, plugin=plugin, data_dir=data_dir)
    yield Check(name=f"{whole.title}: imports no heavy package before first use", run=partial(plugins.light, whole))
    yield Check(name=f"{whole.title}: names are unique", run=partial(plugins.has_names_of_its_own, whole))
    for kind in TABLE:
        checks: Checks = pkgutil.resolve_name(kind.checks)
        for registered in registry.catalogs[kind.name]:
            if registered.plugin == plugin:
                subject = replace(whole, entry=registered)
                lacks_data = kind.name == "dataset" and data_dir is None and datasets.needs_data_dir(subject)
                for name, function in checks.items():
                    if lacks_data and function is not settings:
                        continue  # there is no data to load
                    if function is plugins.steps and data_dir is None and plugins.needs_data_dir(subject):
                        continue
                    if function in _FIELDS and getattr(registered.item, _FIELDS[function]) is None:
                        continue
                    yield Check(name=f"{subject.title}: {name}", run=partial(function, subject))
