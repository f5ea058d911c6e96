"""Read members of zip archives, in memory and of limited size."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

from zoo.transfer.readers.contents import FileFault

_MOST_MEMBERS = 200_000


def open_archive(file: BinaryIO) -> zipfile.ZipFile:
    """Open an archive.

    Raises:
        FileFault: It is damaged, or has two members with the same name, of which programs use one or the other.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise FileFault(f"is a damaged or incomplete zip archive: {error}. Download or save it again.") from None
    names = archive.namelist()
    if len(names) > _MOST_MEMBERS:
        raise FileFault(f"contains {len(names)} files, but {_MOST_MEMBERS} is the limit.")
    if len(set(names)) < len(names):
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise FileFault(f"contains {twice!r:.100} twice. Download or save it again.")
    return archive


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Read a member. Nothing is written, so that names like ``../file`` are names only.

    Raises:
        FileFault: It is missing, damaged, compressed in an unusual way, or larger than the limit.
    """
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise FileFault(f"contains no {name!r:.200}. Download or save it again.") from None
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise FileFault(f"contains {name!r:.200} encrypted or compressed in an unusual way. Save it again.")
    if member.file_size > limit:
        raise FileFault(
            f"contains {name!r:.200}, which is larger than {max(1, limit >> 20)} MiB, too much for the file's size or "
            f"this machine's memory. Download or save it again. Received: {member.file_size} bytes"
        )
    try:
        with archive.open(member) as file:
            data = file.read(member.file_size + 1)
    except Exception as error:  # a dozen types for as many kinds of damage
        raise FileFault(f"is damaged: {name!r:.200}: {error!r:.200}. Download or save it again.") from None
    if len(data) != member.file_size:
        raise FileFault(
            f"is damaged: {name!r:.200} does not have the size that it declares. Download or save it again."
        )
    return data
