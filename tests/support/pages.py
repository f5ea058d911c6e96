"""What our HTML pages hold, as the standard parser sees it, and what is promised of each; names that try to be code."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

HOSTILE = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "</style></title><b>bold</b>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;i&gt; &amp;",
    "javascript:alert(1)",
    "' onload='window.hacked=1",
    "turned \u202e round",
    "一二三 ✓",
    "<!-- -->",
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a page holds, as the standard parser sees it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def check(page: Page) -> None:
    """Hold what is promised of every page."""
    assert page.open == []
    assert page.source.startswith("<!doctype html>")
    assert page.all("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not {"script", "link", "iframe", "object", "form", "base"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,")), value
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
    assert {(anchor["href"] or "")[1:] for anchor in page.all("a")} <= set(ids)
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert all(image.get("alt") for image in page.all("img"))
    assert all(figure.get("role") == "img" and figure.get("aria-labelledby") for figure in page.all("svg"))
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))
