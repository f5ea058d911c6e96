"""Write the pages of the API reference: a directive for each public name, which the site fills from its docstring.

Usage: python docs/scripts/api.py

The names are those of the packages' stubs; of `__all__` where a module has no stub; or all that it defines.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference" / "api"
PACKAGES = (
    "zoo",
    "zoo.errors",
    "zoo.interfaces",
    "zoo.runs",
    "zoo.data",
    "zoo.models",
    "zoo.testing",
    "zoo.cli.toolkit",
    "zoo.utils",
)
_EXPORT = re.compile(r"^from ([\w.]+) import (\w+) as \2$", re.MULTILINE)


def pages() -> dict[str, str]:
    """Return the pages by their names: one for each public package."""
    return {f"{package}.md": _page(package) for package in PACKAGES}


def _page(package: str) -> str:
    lines = [f"# {package}", "", _summary(package), ""]
    for name, home in _names(package):
        lines += [
            f"::: {home}.{name}",
            "    options:",
            f"      heading: {package}.{name}",
            f"      toc_label: {name}",
            "",
        ]
    return "\n".join(lines)


def _names(package: str) -> list[tuple[str, str]]:
    """Return the public names of a package with the modules that define them: functions first, then classes."""
    stub = _file(package, "pyi")
    if stub.exists():
        found = [(name, home) for home, name in _EXPORT.findall(stub.read_text()) if home != package]
    else:
        found = [(name, _home(package, name)) for name in _all(package)]
    return sorted(found, key=lambda each: (each[0][0].isupper(), each[0].lower()))


def _home(module: str, name: str) -> str:
    """Return the module that defines a name: this one, or where it is imported from."""
    for node in ast.parse(_file(module, "py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and name in (alias.name for alias in node.names):
            return node.module
    return module


def _all(module: str) -> list[str]:
    for node in ast.parse(_file(module, "py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    body = ast.parse(_file(module, "py").read_text()).body
    return [node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_"]


def _summary(package: str) -> str:
    source = _file(package, "pyi") if _file(package, "pyi").exists() else _file(package, "py")
    return (ast.get_docstring(ast.parse(source.read_text())) or "").split("\n\n")[0]


def _file(module: str, ending: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / f"__init__.{ending}" if path.is_dir() else path.with_suffix(f".{ending}")


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for name, text in pages().items():
        (PAGES / name).write_text(text)
