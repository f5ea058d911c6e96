"""A look at a page in a real headless Chromium, on a phone's width and a desktop's, light and dark.

Usage: python -m tests.support.browser PAGE.html FOLDER    # screenshots into the folder, faults on standard error
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
WIDTHS = {"phone": 390, "desktop": 1200}

_PROBE = """
onload = () => {
  const page = frame.contentDocument, root = page.documentElement;
  const style = frame.contentWindow.getComputedStyle(page.body);
  const sticksOut = each => !each.closest(".scroll") && each.getBoundingClientRect().right > root.clientWidth + 1;
  const seen = {
    wide: [...page.body.querySelectorAll("*")].filter(sticksOut).map(each => each.outerHTML.slice(0, 80)),
    scrolls: root.scrollWidth > root.clientWidth, scripts: page.scripts.length, title: page.title,
    images: [...page.images].filter(image => image.naturalWidth > 0).length, all_images: page.images.length,
    background: style.backgroundColor, headings: [...page.querySelectorAll("h2")].map(each => each.textContent),
    below: Math.ceil(root.scrollHeight), hacked: Boolean(window.hacked || frame.contentWindow.hacked),
  };
  document.title = JSON.stringify(seen);
};
"""


def look(page: Path, width: int, *, is_dark: bool = False, screenshot: Path | None = None) -> dict[str, Any]:
    """Return what a browser makes of a page in a window of that width; draw it too if asked for."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        # a frame, since no window is as narrow as a phone
        before = f'<body style="margin:0"><iframe id="frame" style="border:0;width:{width}px;height:'
        after = f'px" srcdoc="{html.escape(text)}"></iframe><script>{_PROBE}</script>'
        holder = Path(folder) / "holder.html"

        def call(height: int, *options: str) -> str:
            holder.write_text(f"{before}{height}{after}", encoding="utf-8")
            done = subprocess.run(
                [
                    PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    f"--user-data-dir={folder}/profile", f"--window-size={max(width, 500)},{height}",
                    f"--blink-settings=preferredColorScheme={0 if is_dark else 1}", *options, holder.as_uri(),
                ],
                capture_output=True, text=True, check=True, timeout=60,
            )  # fmt: skip
            return done.stdout

        title = re.search(r"<title>(.*?)</title>", call(800, "--dump-dom"), re.DOTALL)
        seen: dict[str, Any] = json.loads(html.unescape(title.group(1))) if title else {}
        if screenshot is not None:
            call(seen["below"], f"--screenshot={screenshot}")
    return seen


def main() -> int:
    """Look at a page in every way and return an exit status."""
    page, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    faults = 0
    for name, width in WIDTHS.items():
        for scheme in ("light", "dark"):
            picture = folder / f"{name}-{scheme}.png"
            seen = look(page, width, is_dark=scheme == "dark", screenshot=picture)
            faults += bool(seen["scrolls"] or seen["scripts"] or seen["images"] != seen["all_images"])
            print(f"{picture}: {json.dumps(seen)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
