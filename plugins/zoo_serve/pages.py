"""The page for people, and the headers that keep other content out of it."""

from __future__ import annotations

import importlib.resources

from zoo_serve.messages import Answer

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/static/page.css": ("page.css", "text/css; charset=utf-8"),
    "/static/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/static/drawing.js": ("drawing.js", "text/javascript; charset=utf-8"),
    "/static/icon.svg": ("icon.svg", "image/svg+xml"),
}

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}


def read_pages() -> dict[str, Answer]:
    """Return the answer for each path of the page."""
    folder = importlib.resources.files("zoo_serve") / "page"
    return {path: Answer((folder / name).read_bytes(), kind, headers=_HEADERS) for path, (name, kind) in _FILES.items()}
