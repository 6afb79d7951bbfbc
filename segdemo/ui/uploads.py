"""Reading uploads: whatever way one ends, it leaves no part behind, and no other upload is spoilt by it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from gradio import route_utils, routes
from gradio.route_utils import GradioMultiPartParser, GradioUploadFile
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, HTTPConnection

from segdemo.errors import InputError
from segdemo.ui import folder
from segdemo.ui.messages import sentence_of

MOST_FILES = 16  # in one request; the page sends one
MOST_BYTES_OF_WEIGHTS = 400_000_000  # of a checkpoint; pictures have a lower limit, which ``server`` sets
BROKEN = "The upload broke off before its end. Please send the file again."


class CarefulParser(GradioMultiPartParser):
    """Gradio's reader of uploads, which by itself tidies up after some endings only, and after none of a full disk."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **{**settings, "max_files": MOST_FILES, "max_fields": MOST_FILES})
        self._most_of_others = self.max_file_size
        self.max_file_size = max(self.max_file_size, MOST_BYTES_OF_WEIGHTS)  # the parent looks at all alike
        self._weights: list[Path] = []
        self._came = 0  # bytes of the part that comes just now

    def on_headers_finished(self) -> None:
        """Begin a part; a checkpoint, when not too many arrive already."""
        super().on_headers_finished()
        self._came = 0
        file = self._current_part.file
        if file is not None and folder.is_weights(file.filename):
            part = Path(file.file.name)
            folder.claim().begin_weights(part)
            self._weights.append(part)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a file, when there is room for it."""
        self._came += end - start
        file = self._current_part.file
        takes_weights = file is not None and folder.is_weights(file.filename)
        most = MOST_BYTES_OF_WEIGHTS if takes_weights else self._most_of_others
        if self._came > most:
            raise MultiPartException(f"File size exceeded maximum allowed size of {most} bytes.")
        if not takes_weights:
            folder.claim().reserve(end - start)
        super().on_part_data(data, start, end)

    async def parse(self) -> FormData:
        """Read the whole request.

        Raises:
            MultiPartException: it cannot be used; the text says why in the visitor's language.
        """
        try:
            form = await super().parse()
        except BaseException as error:
            self._end_weights()
            self._discard()
            if self.upload_progress is not None and self.upload_id:
                self.upload_progress.set_done(self.upload_id)
            if isinstance(error, Exception) and not isinstance(error, MultiPartException):
                raise MultiPartException(self._sentence(error)) from error
            raise
        self._end_weights()
        whole = [value.file for _, value in form.multi_items() if isinstance(value, GradioUploadFile)]
        if len(whole) < len(self._files_to_close_on_error):
            self._discard()
            raise MultiPartException(BROKEN)
        for field, value in form.multi_items():
            if field != "files" and isinstance(value, GradioUploadFile):  # nobody would take them
                _remove(value.file)
        return form

    def _end_weights(self) -> None:
        for part in self._weights:
            folder.claim().end_weights(part)

    def _discard(self) -> None:
        for file in self._files_to_close_on_error:
            _remove(file)

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, OSError) and not isinstance(error, ClientDisconnect):
            error = folder.disk_full()
        if isinstance(error, InputError):
            visitor: Any = HTTPConnection({"type": "http", "headers": self.headers.raw})
            return sentence_of(error, visitor)
        return BROKEN


def _remove(file: Any) -> None:
    with suppress(OSError):
        file.close()
    Path(file.name).unlink(missing_ok=True)


def install() -> None:
    """Let Gradio read uploads with our parser, and write nothing outside the folder of this process."""
    # Else a name that another user of the machine may have taken.
    vars(routes)["DEFAULT_TEMP_DIR"] = str(folder.claim().path)
    route_utils.GradioMultiPartParser = CarefulParser  # type: ignore[misc]
