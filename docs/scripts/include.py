"""Bring the code blocks of the pages up to date with the files that they show.

Usage: python docs/scripts/include.py

A line ``<!-- docs/examples/example_plugin/zoo_example/model.py -->`` above a code block says which file it shows.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"<!-- (?P<file>\S+) -->\n\n```(?P<language>\w+)\n.*?```\n", re.DOTALL)


def included(page: str) -> str:
    """Return a page with each such block replaced by the file's content."""

    def replace(found: re.Match[str]) -> str:
        content = (ROOT / found["file"]).read_text()
        return f"<!-- {found['file']} -->\n\n```{found['language']}\n{content}```\n"

    return _BLOCK.sub(replace, page)


if __name__ == "__main__":
    for path in sorted((ROOT / "docs").rglob("*.md")):
        path.write_text(included(path.read_text()))
