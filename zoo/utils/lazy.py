"""Lazy imports: public names are imported on first use, so that importing a package is fast."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_EXPORT = re.compile(r"^from ([\w.]+) import (\w+) as \2$", re.MULTILINE)


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` for a package, based on the imports in its stub.

    The stub, ``__init__.pyi``, is the only list of the package's public names; type checkers and editors read it too.
    Modules that the stub imports from the package itself become attributes, but are not in ``__all__``.

    Args:
        package: The package's ``__name__``.
        file: The package's ``__file__``.
    """
    stub = Path(file).with_suffix(".pyi").read_text(encoding="utf-8")
    homes = {name: home for home, name in _EXPORT.findall(stub)}
    names = sorted(homes)

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        return import_module(f"{package}.{name}") if home == package else getattr(import_module(home), name)

    return (
        get,
        lambda: sorted({*names, *vars(sys.modules[package])}),
        [name for name in names if homes[name] != package],
    )
