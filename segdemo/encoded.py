"""Encoded pictures: files opened, checked before anything is decoded, and decoded within bounds."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from typing import IO, BinaryIO

from PIL import Image

from segdemo.errors import InputError

# What is opened, wherever a picture comes from: Pillow's other formats start programs or decode before they can be
# checked. Where Pillow or a plugin of it lacks AVIF or HEIF, which phones write, those are refused like any other.
# For each: what people call it, and how its files end.
KINDS = {
    "PNG": ("PNG", ".png .apng"),
    "JPEG": ("JPEG", ".jpg .jpeg .jpe .jfif .jif .mpo"),  # MPO, as phones write it, is JPEG with more pictures behind
    "WEBP": ("WebP", ".webp"),
    "GIF": ("GIF", ".gif"),
    "BMP": ("BMP", ".bmp"),
    "DIB": ("DIB", ".dib"),
    "TIFF": ("TIFF", ".tif .tiff"),
    "PPM": ("PNM", ".pbm .pgm .ppm .pnm .pfm"),
    "JPEG2000": ("JPEG 2000", ".jp2 .j2k .jpx .jpf .j2c .jpc"),
    "AVIF": ("AVIF", ".avif .avifs"),
    "HEIF": ("HEIC", ".heic .heics .heif .heifs .hif"),
    "TGA": ("TGA", ".tga"),  # last: it has no mark of its own at its start
}
FORMATS = tuple(KINDS)
MAX_SIDE = 12_000  # pixels; a 10000 x 20 strip is fine
MAX_PIXELS = 40_000_000  # about 120 MB as RGB
MAX_BYTES = 250_000_000  # of the file; 40 million pixels of 16-bit RGB, uncompressed
MAX_MEMORY = 380_000_000  # bytes while a picture is decoded

MAX_SCANS = 100  # of a progressive JPEG, each of which passes over the whole picture; cameras write about 10
_MAX_EXIF_PARTS = 64  # of 64 kB each, which Pillow joins
_MAX_TAG_NUMBERS = 1_000_000  # in one tag of a TIFF, each of which Pillow makes an object

# Bytes per pixel that a decoder takes at its peak, the decoded picture included; measured on Pillow 12.
_BYTES_PER_PIXEL = {"WEBP": 18, "AVIF": 24, "HEIF": 24, "JPEG2000": 32}
_ORIENTATION = 0x0112
NAMELESS = "The picture"  # what messages call one that has no name
_TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}


def formats() -> tuple[str, ...]:
    """Return those of ``FORMATS`` that Pillow has here, in their order."""
    Image.init()
    return tuple(kind for kind in FORMATS if kind in Image.OPEN)


def formats_named() -> str:
    """Return how people call the formats that are opened here, as a list in words' order."""
    return ", ".join(KINDS[kind][0] for kind in formats())


def suffixes() -> set[str]:
    """Return how files of the formats that are opened here end, in lower case, with the dot."""
    return {suffix for kind in formats() for suffix in KINDS[kind][1].split()}


def readable(name: str) -> str:
    """Return a file's name as text that can be written anywhere: bytes that are no UTF-8 as escapes.

    Args:
        name: as the system gave it.
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shown(name: str) -> str:
    """Return a name for a message: readable, in one line, and short.

    Args:
        name: of a file, or its path, as the system gave it.
    """
    letters = (letter if letter.isprintable() else repr(letter)[1:-1] for letter in readable(name))
    line = "".join(letters)
    return line if len(line) <= 300 else f"{line[:200]}…{line[-90:]}"


@contextmanager
def open_file(path: str, name: str) -> Iterator[BinaryIO]:
    """Open a picture file for reading, without waiting for anything and whatever else may lie at the path.

    Args:
        path: of the file; links are followed.
        name: what messages call it.

    Raises:
        InputError: there is nothing, no right to read it, or it is no file or too large a one.
    """
    with ExitStack() as stack:
        with _opening(name):
            _check_kind(os.stat(path), name)  # before opening: to open a device may already do something
            file = stack.enter_context(open(path, "rb", opener=_at_once))
            _check_kind(os.fstat(file.fileno()), name)
        yield file


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # should a pipe have come there since


@contextmanager
def _opening(name: str) -> Iterator[None]:
    """Say why a file cannot be opened."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("picture_missing", "There is no file {name}; give the path of a picture.", name=name) from None
    except OSError as error:
        raise InputError(
            "picture_unopened",
            "{name} cannot be opened: {reason}. Give the path of a picture that you may read.",
            name=name,
            reason=os.strerror(error.errno) if error.errno else type(error).__name__,
        ) from error


def _check_kind(found: os.stat_result, name: str) -> None:
    """Refuse what is no regular file, and a file too large to be read."""
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, name)
    if not stat.S_ISREG(found.st_mode):
        raise InputError(
            "picture_no_file", "{name} is a pipe, a device or a socket. Give the path of a picture file.", name=name
        )
    if found.st_size == 0:  # also what the system makes up while it is read, without an end
        raise unreadable(name)
    check_bytes(found.st_size, name)


def check_bytes(count: int, name: str) -> None:
    """Refuse an encoded picture of too many bytes.

    Raises:
        InputError: more than ``MAX_BYTES``.
    """
    if count > MAX_BYTES:
        raise InputError(
            "picture_file_too_large",
            "{name} is larger than {most} MB, which is the most that is read. Save the picture smaller, or as JPEG.",
            name=name,
            most=MAX_BYTES // 1_000_000,
        )


def unreadable(name: str) -> InputError:
    """Make the error for what is no picture."""
    return InputError(
        "picture_unreadable",
        "{name} cannot be read as a picture: it is empty, damaged or of another kind. "
        "Give a file that opens in a picture viewer, in one of these formats: {formats}.",
        name=name,
        formats=formats_named(),
    )


def check_size(width: int, height: int, name: str = NAMELESS) -> None:
    """Refuse a picture whose sides or pixel count are beyond what is worked on.

    Args:
        width: pixels.
        height: pixels.
        name: what messages call it.

    Raises:
        InputError: no pixel at all, longer than ``MAX_SIDE`` or more than ``MAX_PIXELS``.
    """
    if width < 1 or height < 1:
        raise InputError(
            "picture_without_pixels",
            "{name} has {width} × {height} pixels. At least one is needed. Give another picture.",
            name=name,
            width=width,
            height=height,
        )
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise InputError(
            "picture_too_large",
            "{name} has {width} × {height} pixels; at most {side} on a side and {most} million in all are worked on. "
            "Save it smaller and try again.",
            name=name,
            width=width,
            height=height,
            side=MAX_SIDE,
            most=MAX_PIXELS // 1_000_000,
        )


def open_picture(file: IO[bytes], name: str) -> Image.Image:
    """Open an encoded picture of one of ``FORMATS``, decoding nothing, and check what decoding it would take.

    Args:
        file: can be read and searched; it stays the caller's to close.
        name: what messages call it.

    Raises:
        InputError: more pixels or memory than are given to a picture.
        Exception: whatever Pillow raises on what it cannot read.
    """
    start = file.read(16)
    scans = 1
    if start.startswith(b"\xff\xd8"):
        scans = _check_jpeg(file, name)
    elif start[:2] in (b"II", b"MM"):
        _check_tiff(file, name)
    file.seek(0)
    try:
        opened = Image.open(file, formats=formats())
    except ValueError:  # a PNG with more text than Pillow reads
        if not start.startswith(b"\x89PNG"):
            raise
        opened = Image.open(_without_text(file), formats=formats())
    check_size(*opened.size, name)
    needed = _memory(opened, scans)
    if opened.format in ("WEBP", "AVIF", "HEIF", "TIFF"):  # their libraries hold the whole file too
        needed += file.seek(0, io.SEEK_END)
    check_memory(needed, name, MAX_MEMORY)
    return opened


def check_memory(needed: int, name: str, most: int) -> None:
    """Refuse a picture that would take more memory than is given to one.

    Args:
        needed: bytes.
        name: what messages call it.
        most: bytes.

    Raises:
        InputError: more than that.
    """
    if needed > most:
        raise InputError(
            "picture_heavy",
            "{name} would take {needed} MB of memory to decode; at most {most} MB are given to one picture. Save it "
            "smaller, or as an ordinary JPEG or PNG, and try again.",
            name=name,
            needed=-(-needed // 1_000_000),
            most=most // 1_000_000,
        )


def memory_of(opened: Image.Image, data: bytes) -> int:
    """Estimate how many bytes it takes to read a picture into RGB from bytes in memory, these included.

    Args:
        opened: by :func:`open_picture`.
        data: its file.
    """
    scans = data.count(b"\xff\xda") if opened.format in ("JPEG", "MPO") else 1
    wide = opened.mode in ("I", "F")  # of these there is a copy of 8 bits between
    return max(_memory(opened, scans), opened.width * opened.height * (9 if wide else 8)) + len(data)


def _memory(opened: Image.Image, scans: int) -> int:
    """Estimate how many bytes it takes to decode a picture, its own pixels included."""
    pixels = opened.width * opened.height
    own = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}.get(opened.mode, 4)
    if opened.format in ("JPEG", "MPO") and scans > 1:  # it keeps all coefficients, 2 bytes each
        factors = [(component[1], component[2]) for component in getattr(opened, "layer", [])]
        widest, highest = (max((factor[axis] for factor in factors), default=1) for axis in (0, 1))
        share = sum(across * down for across, down in factors) / (widest * highest)
        return round(pixels * (own + 2 * share))
    if opened.format == "TIFF":
        return pixels * own + _tiff_piece(opened)
    return pixels * _BYTES_PER_PIXEL.get(opened.format or "", own)


def _tiff_piece(opened: Image.Image) -> int:
    """Return the bytes of the largest piece of a TIFF, which is decoded in one go; 0 where nothing is compressed."""
    tags = opened.tag_v2  # type: ignore[attr-defined]
    if tags.get(259, 1) == 1:
        return 0
    bits = tags.get(258, (1,))
    samples = int(tags.get(277, 1))
    width, height = int(tags.get(322, opened.width)), int(tags.get(323, min(tags.get(278, 1 << 32), opened.height)))
    per_pixel = max(4, max(bits if isinstance(bits, tuple) else (bits,)) * samples / 8)  # JPEG inside becomes RGBA
    return int(width * height * per_pixel)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Read a file from its start in pieces that overlap by 5 bytes."""
    file.seek(0)
    kept = b""
    while piece := file.read(1 << 20):
        yield kept + piece
        kept = piece[-5:]


def _check_jpeg(file: IO[bytes], name: str) -> int:
    """Count the scans of a JPEG; refuse one that would take minutes, or whose EXIF would fill the memory."""
    scans = exifs = 0
    for piece in _pieces(file):
        scans += piece.count(b"\xff\xda", 4)
        exifs += piece.count(b"Exif\0\0")
    if exifs > _MAX_EXIF_PARTS:
        raise unreadable(name)
    if scans > MAX_SCANS:
        raise InputError(
            "picture_scans",
            "{name} is a JPEG of {scans} scans; at most {most} are read. Save it again as an ordinary JPEG.",
            name=name,
            scans=scans,
            most=MAX_SCANS,
        )
    return scans


def _check_tiff(file: IO[bytes], name: str) -> None:
    """Refuse a TIFF with a tag of more numbers than a picture of the largest size has pieces."""
    for _, kind, count, _ in tags_of(file):
        if kind not in (1, 2, 6, 7) and count > _MAX_TAG_NUMBERS:
            raise unreadable(name)


def tags_of(file: IO[bytes]) -> Iterator[tuple[int, int, int, bytes]]:
    """Read the first directory of a TIFF or of EXIF: tag, type, count, and the bytes in the entry itself."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return
    big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    if big and len(head) < 16:
        return
    start = struct.unpack(f"{order}Q", head[8:16])[0] if big else struct.unpack(f"{order}I", head[4:8])[0]
    counter, entry = (f"{order}Q", f"{order}HHQ8s") if big else (f"{order}H", f"{order}HHI4s")
    if start >= 1 << 63:
        return
    file.seek(start)
    data = file.read(struct.calcsize(counter))
    count = struct.unpack(counter, data)[0] if len(data) == struct.calcsize(counter) else 0
    for _ in range(min(count, 10_000)):
        data = file.read(struct.calcsize(entry))
        if len(data) < struct.calcsize(entry):
            return
        yield struct.unpack(entry, data)


def orientation_of(opened: Image.Image) -> int:
    """Return how a picture was held when it was taken, 1 to 8; 1, upright, where nothing readable says so.

    Only this one entry of the EXIF is read: what else stands there may be anything.

    Args:
        opened: a picture as Pillow opened it.
    """
    tags = getattr(opened, "tag_v2", None)
    if tags is not None:  # a TIFF; Pillow has turned what it has loaded itself, and removed the entry
        try:
            number = int(tags.get(_ORIENTATION, 1))
        except (ValueError, TypeError, KeyError, struct.error, OverflowError, ZeroDivisionError):
            return 1
        return number if 1 <= number <= 8 else 1
    exif = opened.info.get("exif") or _profile_in_text(opened.info.get("Raw profile type exif"))
    if isinstance(exif, bytes):
        while exif.startswith(b"Exif\0\0"):
            exif = exif[6:]
        order = "big" if exif.startswith(b"MM") else "little"
        for tag, kind, _, value in tags_of(io.BytesIO(exif)):
            if tag == _ORIENTATION and kind in (1, 3, 4, 6, 8, 9):
                number = int.from_bytes(value[: _TIFF_TYPE_BYTES[kind]], order)  # type: ignore[arg-type]
                return number if 1 <= number <= 8 else 1
    for key in ("XML:com.adobe.xmp", "xmp"):
        xmp = opened.info.get(key, b"")
        xmp = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
        if isinstance(xmp, bytes) and (found := re.search(rb'tiff:Orientation(?:="|>)([1-8])', xmp)):
            return int(found[1])
    return 1


def _profile_in_text(text: object) -> bytes | None:
    """Return the EXIF that older programs write into a PNG as text: name and length in lines, then hexadecimal."""
    try:
        return bytes.fromhex("".join(str(text or "").split("\n")[3:])) or None
    except ValueError:
        return None


def decode(opened: Image.Image) -> bool:
    """Decode a picture that :func:`open_picture` opened, as far as its file goes.

    Args:
        opened: decoded in place.

    Returns:
        Whether the file ended early, or was damaged near its end, and the rest of the picture is missing.

    Raises:
        Exception: whatever Pillow raises on what it cannot decode.
    """
    ended = False
    read = getattr(opened, "load_read", None)

    def load_read(count: int) -> bytes:
        nonlocal ended
        data = read(count)  # type: ignore[misc]
        if data or ended:
            return data
        ended = True
        return b"\xff\xd9"  # the marker that ends a JPEG, which lets libjpeg finish with what it has

    if opened.format in ("JPEG", "MPO"):
        opened.load_read = load_read  # type: ignore[attr-defined]
    if opened.format == "TIFF":  # Pillow reads every tag when it has loaded one, and trips over odd ones
        opened.load_end = lambda: setattr(opened, "_size", opened.im.size)  # type: ignore[attr-defined]
    try:
        opened.load()
    except (OSError, ValueError, SyntaxError, struct.error, IndexError) as error:
        if opened.format not in ("PNG", "GIF", "BMP", "DIB", "TGA", "PPM"):
            raise
        whole = not opened.tile and not isinstance(error, OSError)  # type: ignore[attr-defined]
        opened.tile = []  # type: ignore[attr-defined] # what was decoded so far stays
        opened.load()
        return not whole  # a whole picture, and something odd behind it
    finally:
        vars(opened).pop("load_read", None)
        vars(opened).pop("load_end", None)  # else the picture refers to itself and outlives its last use
    return ended


def missing_share(picture: Image.Image) -> float:
    """Return which share of a picture cut short is missing at the end of its file, in [0, 1], at most."""
    left = (127, 128) if picture.format in ("JPEG", "MPO") else (0,)  # what decoders leave where they had no data

    def is_blank(row: int) -> bool:
        extremes = picture.crop((0, row, picture.width, row + 1)).getextrema()
        bands = extremes if isinstance(extremes[0], tuple) else (extremes,)
        return all(value in left for band in bands for value in band)

    blank = sum(1 for _ in takewhile(is_blank, range(picture.height - 1, -1, -1)))
    if picture.format in ("BMP", "DIB", "TGA"):  # they may begin at the bottom
        blank = max(blank, sum(1 for _ in takewhile(is_blank, range(picture.height))))
    if picture.format in ("GIF", "PNG"):  # where rows are interlaced, every second one comes last
        blank = max(blank, sum(1 for _ in takewhile(is_blank, range((picture.height - 2) // 2 * 2 + 1, 0, -2))))
    return blank / picture.height


def _without_text(file: IO[bytes]) -> BinaryIO:
    """Copy a PNG without the chunks of text and the unknown ones that no picture needs."""
    file.seek(0)
    kept = io.BytesIO()
    kept.write(file.read(8))
    while len(head := file.read(8)) == 8:
        length = int.from_bytes(head[:4], "big")
        if head[4:] in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"):
            kept.write(head + file.read(length + 4))
        else:
            file.seek(length + 4, io.SEEK_CUR)
    kept.seek(0)
    return kept
