"""What a command has done of many pictures, noted until all is done: after a crash it goes on where it was."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from segdemo.encoded import readable

NAME = ".segdemo-journal"


class Journal:
    """A file of lines: what the command was asked for, then a line for each picture that is done.

    A line that a crash cut off counts as not written. Once the command is complete the file is gone, and the same
    command begins anew.

    Args:
        folder: for the results; it exists.
        about: what the command was asked for; the journal of another command is begun anew.
    """

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self._path = folder / NAME
        self._places: dict[str, int] = {}  # of the lines in the file, by picture
        first = json.dumps(about, sort_keys=True)
        self.goes_on = self._load(first)
        if self.goes_on:
            remove_halves(folder)
        with ExitStack() as stack:
            self._file = stack.enter_context(open(self._path, "ab" if self.goes_on else "wb"))
            self._read = stack.enter_context(open(self._path, "rb"))
            self._open = stack.pop_all()
        if not self.goes_on:
            self._write(first)

    def _load(self, first: str) -> bool:
        """Find the lines of an earlier run of the same command, and cut off what is no whole line."""
        try:
            with open(self._path, "rb") as file:
                if file.readline() != first.encode() + b"\n":
                    return False
                whole = file.tell()
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._places[json.loads(line)["key"]] = whole
                    whole += len(line)
            os.truncate(self._path, whole)
            return True
        except (OSError, ValueError, KeyError, TypeError):
            self._places.clear()
            return False

    def done(self, path: Path) -> dict[str, Any] | None:
        """Return what was noted of a picture, None where that is nothing or the picture is another one by now."""
        row = self.noted(path)
        return row if row is not None and row.get("state") == state_of(path) else None

    def noted(self, path: Path) -> dict[str, Any] | None:
        """Return what was noted of a picture, whatever became of it since; None where that is nothing."""
        place = self._places.get(readable(str(path)))
        if place is None:
            return None
        self._read.seek(place)
        row: dict[str, Any] = json.loads(self._read.readline())["row"]
        return row

    def add(self, path: Path, row: dict[str, Any]) -> None:
        """Note that a picture is done; the row is whatever JSON can hold."""
        self._write(json.dumps({"key": readable(str(path)), "row": row}))

    def complete(self) -> None:
        """Remove the file: all is done."""
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Keep the file for the next time."""
        self._open.close()

    def _write(self, line: str) -> None:
        self._file.write(line.encode() + b"\n")
        self._file.flush()


def state_of(path: Path) -> list[int] | None:
    """Return what changes when a file is changed: its size in bytes, and when it was written in nanoseconds."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def remove_halves(folder: Path) -> None:
    """Remove files that a crash left half written; journals stay."""
    for path in folder.glob(f".segdemo-{'[0-9a-f]' * 16}*"):
        path.unlink(missing_ok=True)
