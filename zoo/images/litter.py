"""Files and folders that operating systems, network storages and programs leave beside images."""

from __future__ import annotations

_NAMES = {
    # macOS, and archives made on it
    "__macosx", ".ds_store", ".apdisk", ".appledouble", ".fseventsd", ".spotlight-v100", ".temporaryitems", ".trashes",
    "icon\r", "network trash folder",
    # Windows
    "$recycle.bin", "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "system volume information",
    "thumbs.db",
    # Linux
    ".directory", ".trash", "lost+found",
    # network storages
    "#recycle", "#snapshot", "@eadir", "@recently-snapshot", "@recycle",
    # programs
    ".git", ".idea", ".ipynb_checkpoints", ".picasa.ini", ".vscode", "__pycache__", "picasa.ini",
}  # fmt: skip
_BEGINNINGS = ("._", ".trash-", ".nfs", ".fuse_hidden")
_ENDINGS = (":zone.identifier", "\uf03azone.identifier", ":com.dropbox.attrs", "@synoeastream", "@synoresource")


def is_litter(name: str) -> bool:
    """Return whether a file or folder is one that a system or program left there, by its name in any case.

    Args:
        name: Name of the file, without its folder.
    """
    text = name.casefold()
    return text in _NAMES or text.startswith(_BEGINNINGS) or text.endswith(_ENDINGS)
