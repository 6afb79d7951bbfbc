"""A zip file or a folder: the names of what lies in it, and the bytes, read in pieces and within bounds."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from segdemo.errors import InputError

MAX_FILE = 64 * 2**20  # bytes of one picture or mask, unpacked; 40 million pixels as PNG take less
MAX_FILES = 400_000  # in one archive; a folder is not searched any further
MAX_INDEX = 24 * 2**20  # bytes of a zip file's list of its files; Python takes some 10 times as much for it
DEPTH = 6  # folders within folders that are searched
PIECE = 2**20  # bytes
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unfold a few bytes to any amount in one go
_ENCRYPTED = 0x1  # flag of a member
_END = struct.Struct("<4s4H2LH")  # of a zip file: signature, four counts, size of the list, its place, comment


class Zip:
    """A zip file that is read in place.

    Args:
        path: of a regular file.

    Raises:
        zipfile.BadZipFile: it is no zip file, or damaged.
        ValueError: its list of files is larger than is worked on.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_file():
            raise ValueError("it is neither a file nor a folder")
        _check_index(path)
        self._file = zipfile.ZipFile(path)
        self.names = [info.filename for info in self._file.infolist()]

    def check(self, index: int) -> None:
        """Refuse a file, by its place in ``names``, that is packed in a way that is not read."""
        info = self._file.infolist()[index]
        encrypted = bool(info.flag_bits & _ENCRYPTED)
        if encrypted or info.compress_type not in METHODS:
            raise InputError(
                "archive_packed",
                "In the archive, {file} is {how}. Files have to be stored or deflated, without a password, as zip "
                "programs do by default. Unpack the archive and give the folder, or pack it again.",
                file=info.filename,
                how="encrypted" if encrypted else f"packed by method {info.compress_type} of the zip format",
            )
        _check_bytes(info.file_size, info.filename)

    def read(self, index: int) -> bytes:
        """Unpack one file, by its place in ``names``."""
        self.check(index)
        with self._file.open(self._file.infolist()[index]) as file:  # never gives more than it declares
            return b"".join(iter(lambda: file.read(PIECE), b""))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Folder:
    """A folder that answers like a zip file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.names = sorted(_walk(path))

    def check(self, index: int) -> None:
        """Refuse a file, by its place in ``names``, that is larger than is worked on."""
        _check_bytes((self._path / self.names[index]).stat().st_size, self.names[index])

    def read(self, index: int) -> bytes:
        """Read one file, by its place in ``names``."""
        self.check(index)
        with (self._path / self.names[index]).open("rb") as file:
            return file.read(MAX_FILE)

    def close(self) -> None:
        """Nothing is held open."""


def open_container(path: Path) -> Zip | Folder:
    """Open a zip file, or a folder in its place.

    Raises:
        OSError: there is none, or it may not be read.
        zipfile.BadZipFile: it is no zip file, or damaged.
        ValueError: it holds more than is worked on.
    """
    return Folder(path) if path.is_dir() else Zip(path)


def _walk(root: Path) -> Iterator[str]:
    """Yield the regular files below a folder, links followed, with slashes between the parts of their names."""
    seen, count = {os.path.realpath(root)}, 0
    for folder, inner, files in os.walk(root, followlinks=True):
        inside = Path(folder).relative_to(root)
        fresh = {name: os.path.realpath(os.path.join(folder, name)) for name in inner if len(inside.parts) < DEPTH}
        inner[:] = sorted(name for name in fresh if fresh[name] not in seen)
        seen.update(fresh.values())
        count += len(files) + len(inner)
        if count > MAX_FILES:
            raise ValueError(f"it holds more than {MAX_FILES} files")
        yield from ((inside / name).as_posix() for name in files if os.path.isfile(os.path.join(folder, name)))


def _check_bytes(size: int, file: str) -> None:
    if size > MAX_FILE:
        raise InputError(
            "archive_file_too_large",
            "In the archive, {file} takes {size} million bytes unpacked; at most {most} million are worked on. Save it "
            "smaller, or remove it together with its partner.",
            file=file,
            size=-(-size // 1_000_000),
            most=MAX_FILE // 1_000_000,
        )


def _check_index(path: Path) -> None:
    """Refuse a zip file whose list of files would fill the memory; one without such a list is left to zipfile."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 2**16 - _END.size))
        end = file.read()
    at = end.rfind(b"PK\5\6")
    if 0 <= at <= len(end) - _END.size:
        size = _END.unpack_from(end, at)[5]
        if size != 0xFFFFFFFF and size > MAX_INDEX:
            raise ValueError(f"its list of files takes more than {MAX_INDEX // 2**20} MiB")
