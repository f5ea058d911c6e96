"""Files of NumPy arrays: finds them in a folder, and finds out which array is which."""

from __future__ import annotations

import os
import zipfile
from contextlib import nullcontext
from typing import IO, TYPE_CHECKING, Any

from zoo import DataError
from zoo.images import natural, open_regular, shown
from zoo_images.arrays.damage import check_not_a_page, damage_errors
from zoo_images.arrays.names import CLASS_NAMES, KNOWN_NAMES, Role, partial_role_of, role_of
from zoo_images.arrays.npy import read_content, read_header
from zoo_images.arrays.stored_arrays import StoredArray

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

_NPY = b"\x93NUMPY"  # first bytes of a file written by numpy.save
# those of savez and savez_compressed; zipfile decompresses bzip2 and LZMA without limit, whatever is requested
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_FILES = 16
_CURE = "Save it with numpy.savez."


def open_files(data_dir: Path, stack: contextlib.ExitStack) -> dict[Path, IO[bytes]]:
    """Open a file itself, the only .npz file in a folder, or all its .npz and .npy files, in natural order.

    Args:
        data_dir: The file or folder.
        stack: Closes the files.

    Raises:
        DataError: There is none, there are too many, or one is not a regular file or cannot be read.
    """
    if not os.path.isdir(data_dir):
        return {data_dir: stack.enter_context(open_regular(data_dir))}
    try:
        names = os.listdir(data_dir)
    except OSError as error:
        raise DataError(f"{shown(data_dir)} cannot be read: {error.strerror}.", path=data_dir) from error
    found = [data_dir / name for name in names if name.lower().endswith((".npz", ".npy")) and name[0] != "."]
    archives = [path for path in found if path.suffix.lower() == ".npz"]
    found = archives if len(archives) == 1 else found
    if not 0 < len(found) <= _MOST_FILES:
        raise DataError(
            f"{shown(data_dir)} has {'too many' if found else 'no'} .npz files. Put one there, written by numpy.savez "
            f"with arrays images and labels, or pass the file itself. Received: {len(found)} files",
            path=data_dir,
        )
    found.sort(key=lambda path: natural(path.name))
    return {path: stack.enter_context(open_regular(path)) for path in found}


def source_of(files: Mapping[Path, IO[bytes]], data_dir: Path) -> Path:
    """Return what errors name: the only file, or the folder of several."""
    return next(iter(files)) if len(files) == 1 else data_dir


def open_arrays(files: Mapping[Path, IO[bytes]], stack: contextlib.ExitStack) -> dict[Role, StoredArray]:
    """Return the arrays in open files, by their roles; headers are read, content is not.

    Args:
        files: The files.
        stack: Closes archives.

    Raises:
        DataError: A file is damaged, or the name of an array is unknown or does not tell it from another.
    """
    found: dict[Role, StoredArray] = {}
    for path, file in files.items():
        check_not_a_page(file, path)
        with damage_errors(path, "a valid .npz file", _CURE):
            arrays = _arrays_in(file, path, stack, is_alone=len(files) == 1)
        for role, array in arrays:
            if role in found:
                source = path if len(files) == 1 else path.parent
                raise DataError(
                    f"{shown(source)} has more than one array of {role}. Keep one, or pass one file with --data-dir "
                    f"FILE.npz. Received: {found[role].title}; {array.title}",
                    path=source,
                )
            found[role] = array
    return found


def _arrays_in(
    file: IO[bytes], path: Path, stack: contextlib.ExitStack, *, is_alone: bool
) -> list[tuple[Role, StoredArray]]:
    """Return the arrays in a file, with their roles by their own names and, among other files, by the file's name."""
    start = file.read(len(_NPY))
    file.seek(0)
    if start == _NPY:
        if is_alone:
            raise DataError(
                f"{shown(path)} is a single array, written by numpy.save, but images and labels are needed. Save both "
                "with numpy.savez('mine.npz', images=images, labels=labels), or put a file of each into one folder.",
                path=path,
            )
        return [(_role_of_file(path), _stored(_reopened(file), path.name, shown(path), path))]
    archive = stack.enter_context(zipfile.ZipFile(file))
    members = archive.namelist()
    names = [member.removesuffix(".npy") for member in members]
    if len(members) == 1 and not is_alone:
        return [(_role_of_file(path), _member(archive, members[0], path.name, shown(path), path))]
    roles = [role_of(name) for name in names]
    if not is_alone:
        roles = [_within(partial_role_of(path.stem).part, role) for role in roles]
    odd = [name for name, role, member in zip(names, roles, members, strict=True) if not role or member == name]
    if odd or len(set(members)) < len(members):
        received = ", ".join(map(shown, odd)) or "a duplicate name"
        raise DataError(
            f"{shown(path)} has unknown or duplicate arrays. Rename or remove them; known names are {KNOWN_NAMES}. "
            f"Received: {received:.200}",
            path=path,
        )
    return [
        (role, _member(archive, member, name, f"Array {name} in {shown(path)}", path))
        for role, member, name in zip(roles, members, names, strict=True)
        if role
    ]


def _within(part: str, role: Role | None) -> Role | None:
    """Return the role of an array in a file for one part: ``images`` in ``train.npz``."""
    return Role(part, role.kind) if role and role != CLASS_NAMES and not role.part else role


def _role_of_file(path: Path) -> Role:
    role = partial_role_of(path.stem)
    if not role.kind:
        raise DataError(
            f"{shown(path)} has one array, and a name that does not tell what is in it. Rename or remove the file; "
            f"known names are {KNOWN_NAMES}.",
            path=path,
        )
    return role


def _reopened(file: IO[bytes]) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    def reopen() -> AbstractContextManager[IO[bytes]]:
        file.seek(0)
        return nullcontext(file)

    return reopen


def _member(archive: zipfile.ZipFile, member: str, name: str, title: str, path: Path) -> StoredArray:
    method = archive.getinfo(member).compress_type
    if method not in _METHODS:
        raise DataError(
            f"{title} has an unsupported compression. Save it with numpy.savez. Received: compress_type={method}",
            path=path,
        )
    return _stored(lambda: archive.open(member), name, title, path)


def _stored(reopen: Callable[[], AbstractContextManager[IO[bytes]]], name: str, title: str, path: Path) -> StoredArray:
    """Return an array, of which the header is read now."""
    with reopen() as file:
        shape, _, dtype = read_header(file, title, path)

    def read() -> NDArray[Any]:
        with damage_errors(path, "a valid .npz file", _CURE), reopen() as content:
            return read_content(content, title, path)

    return StoredArray(name=name, title=title, path=path, shape=shape, dtype=dtype, read=read)
