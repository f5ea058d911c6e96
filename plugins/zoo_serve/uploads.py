"""Image files in a request: one as the body, or any number in a form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from zoo.errors import DataError
from zoo.images import check_size, prepare, shown

if TYPE_CHECKING:
    from zoo.images import Invert, Prepared
    from zoo.interfaces import ImageInput

_LONGEST_NAME = 255
_MAX_FIELDS = 100  # of a form, besides files


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An image file as it was sent.

    Args:
        name: Its name on one line, without control characters. It is repeated to the client, never used as a path.
        content: Its bytes.
    """

    name: str
    content: bytes


def split(body: bytes, content_type: str, max_files: int) -> list[Upload]:
    """Return the image files in a request.

    Args:
        body: The body of the request.
        content_type: Its ``Content-Type``: ``multipart/form-data``, or anything else for one image as it is.
        max_files: Maximum number of files.

    Raises:
        HTTPException: The form is not valid or has no file (400), or has too many files (413).
    """
    kind, options = parse_options_header(content_type)
    if not kind.startswith(b"multipart/"):
        return [Upload(name="image", content=body)]
    form = _Form(max_files)
    try:
        parser = MultipartParser(options[b"boundary"], form.callbacks())  # type: ignore[arg-type]  # their TypedDict
        parser.write(body)
        parser.finalize()
    except (FormParserError, KeyError, UnicodeError) as error:
        raise HTTPException(400, "The form is damaged: it is not valid multipart/form-data.") from error
    if not form.is_complete:
        raise HTTPException(400, "The form is incomplete: its last boundary is missing.")
    if not form.uploads:
        raise HTTPException(400, 'The form has no file. Send one, for example with: curl -F "image=@photo.jpg"')
    return form.uploads


def prepare_upload(upload: Upload, shape: tuple[int, int, int], form: ImageInput, invert: Invert) -> Prepared | str:
    """Return the image of a file as the model takes it, or why it cannot be read.

    Args:
        upload: The file.
        shape: Height, width and channels.
        form: The preprocessing of image files.
        invert: As for `zoo.images.prepare`.
    """
    try:
        check_size(upload.content, upload.name)
        return prepare(upload.content, upload.name, shape, form, invert)
    except DataError as error:
        return str(error)


class _Form:
    """Collects the files of a form."""

    def __init__(self, max_files: int) -> None:
        self.uploads: list[Upload] = []
        self.is_complete = False
        self._max_files = max_files
        self._fields = 0
        self._header: list[bytes] = []
        self._value: list[bytes] = []
        self._disposition = b""
        self._name: str | None = None
        self._parts: list[bytes] = []

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.append(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.append(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        self._disposition, self._name, self._parts = b"", None, []

    def _end_header(self) -> None:
        if b"".join(self._header).lower() == b"content-disposition":
            self._disposition = b"".join(self._value)
        self._header, self._value = [], []

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" not in options:  # a field of the form, which is skipped
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise HTTPException(413, f"The form has too many fields. Send at most {_MAX_FIELDS} besides files.")
            return
        if len(self.uploads) >= self._max_files:
            raise HTTPException(413, f"Too many files. Send at most {self._max_files} in a request.")
        name = options[b"filename"].decode("utf-8", "backslashreplace")
        self._name = shown(name)[:_LONGEST_NAME] or "image"

    def _add(self, data: bytes, start: int, end: int) -> None:
        if self._name is not None:
            self._parts.append(data[start:end])

    def _end(self) -> None:
        if self._name is not None:
            self.uploads.append(Upload(name=self._name, content=b"".join(self._parts)))
            self._parts = []

    def _complete(self) -> None:
        self.is_complete = True
