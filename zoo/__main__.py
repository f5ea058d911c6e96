"""``python -m zoo``: the same as ``zoo``."""

from zoo.cli import main

main()
