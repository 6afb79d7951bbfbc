"""What the commands do with files: pictures listed and read, results named and saved, lines and tables printed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo import rendering
from segdemo.encoded import shown, suffixes
from segdemo.errors import InputError
from segdemo.pairing import left_behind

if TYPE_CHECKING:
    from segdemo.segmenter import Segmenter

ENDINGS = ("-mask.png", "-overlay.png", ".json")
MADE_BY = "segdemo"  # in the PNGs that are saved, by which they are known again
UNTRAINED = "untrained: the weights are random and the result means nothing"
_LONGEST_NAME = 255  # bytes, of a file on nearly every system
_LONGEST_ENDING = 100  # bytes kept for what is hung on the name of a picture


def segmenter_for(
    network: str | None,
    size: int | None,
    weights: str | None = None,
    device: str | None = None,
    precision: str = "float32",
) -> Segmenter:
    """Load the network asked for, and refuse an input size that does not suit it before any picture is read.

    Args:
        network: its name; None takes the first, or the one that the weights are for.
        size: pixels; None takes the network's own.
        weights: file of a person's own weights, of which is said what became of them; None takes the embedded ones.
        device: as for :class:`Segmenter`.
        precision: likewise.

    Raises:
        InputError: no such network, its checkpoint is missing or altered, or the size does not suit it.
    """
    from segdemo.images import check_input_size
    from segdemo.networks import DEFAULT
    from segdemo.segmenter import Segmenter

    if weights is None:
        segmenter = Segmenter(network or DEFAULT, device=device, precision=precision)
    else:
        segmenter = Segmenter.from_checkpoint(weights, network, device=device, precision=precision)
        for line in _in_words(segmenter):
            say(f"segdemo: {line}", error=True)
    check_input_size(segmenter.spec.preprocessing, size)
    return segmenter


def _in_words(segmenter: Segmenter) -> Iterator[str]:
    """Say what became of the tensors of a person's checkpoint, a line for each kind there is."""
    report = segmenter.report
    assert report is not None
    kinds = {
        "loaded": report.loaded,
        "missing, random": report.missing,
        "of another shape, random": report.mismatched,
        "unexpected": report.unexpected,
        "set aside": report.aside,
    }
    yield f"{segmenter.spec.title}: " + ", ".join(f"{len(found)} {kind}" for kind, found in kinds.items() if found)
    for kind, found in list(kinds.items())[1:]:
        if found:
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            yield f"{kind}: {', '.join(map(shown, found[:5]))}{more}"
    if report.not_finite:
        yield f"{report.not_finite} values are infinite"


def listed(given: list[str]) -> list[Path]:
    """List the pictures given, those of a folder in place of it; a folder without any stays, to be refused later."""
    if not given:
        raise InputError(
            "no_picture", "No picture was given. At least one is needed. Name a picture file, or a folder of them."
        )
    pictures: list[Path] = []
    for path in map(Path, given):
        inside = _inside(path) if os.path.isdir(path) else []
        pictures.extend(inside or [path])
    return pictures


def _inside(folder: Path) -> list[Path]:
    """List the pictures of a folder, and say in one line what else is there; what is hidden is not spoken of."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not left_behind(entry.name))
    except OSError as error:
        raise InputError(
            "folder_unreadable",
            "The folder {path} cannot be read: {reason}. Give one that you may read, or the files themselves.",
            path=shown(str(folder)),
            reason=error.strerror or str(error),
        ) from error
    folders = [entry for entry in entries if os.path.isdir(entry)]
    results = [entry for entry in entries if _is_ours(entry)]
    known = {*folders, *results}
    others = [entry for entry in entries if entry.suffix.lower() not in suffixes() and entry not in known]
    passed_over = {"subfolders": folders, "files of other kinds": others, "results of segdemo": results}
    said = ", ".join(f"{what} ({len(found)})" for what, found in passed_over.items() if found)
    if said:
        say(f"segdemo: passed over in {shown(str(folder))}: {said}", error=True)
    return [entry for entry in entries if entry not in known.union(others)]


def _is_ours(path: Path) -> bool:
    """Say whether a file is one that a command has saved."""
    mark = {".png": f"tEXtSoftware\0{MADE_BY}".encode(), ".json": b'"trained": ', ".npz": b"metadata.npy"}.get(
        path.suffix
    )
    try:
        if mark is None or not path.is_file():
            return False
        with open(path, "rb") as file:
            start = file.read(4096)
            if path.suffix == ".npz":  # its list of contents stands at the end
                file.seek(-min(4096, path.stat().st_size), io.SEEK_END)
                start = file.read()
            return mark in start
    except OSError:
        return False


def open_picture(path: Path) -> tuple[Image.Image, list[str]]:
    """Read a picture, or refuse it in one sentence; with it, what should be known about how it was read."""
    from segdemo.pictures import read_picture

    if os.path.isdir(path):
        raise InputError(
            "folder_without_pictures",
            "The folder {path} holds no picture. Files ending in {endings} are looked for. Give another folder, or the "
            "files themselves.",
            path=shown(str(path)),
            endings=", ".join(sorted(suffixes())),
        )
    read = read_picture(path)
    return read.picture, [str(note) for note in read.notes]


def names(pictures: list[Path], out: Path, endings: Sequence[str], films: Sequence[str] = ()) -> Iterator[str]:
    """Name the results of each picture after it, so that none overwrites another's, a picture, or anybody's file.

    A name too long for the endings of its results is cut, and told apart by a few letters of its digest.

    Args:
        pictures: their paths.
        out: the folder for results.
        endings: of the files written for each picture.
        films: further endings, of files that carry no mark of ours: they only overwrite nothing that was given.
    """
    folder = os.path.realpath(out)
    inputs = {found for path in pictures if os.path.dirname(found := os.path.realpath(path)) == folder}
    used: set[str] = set()
    numbers: dict[str, int] = {}  # the last of each stem: a million pictures may be called the same in as many folders
    for path in pictures:
        stem = _short(path.stem)
        if stem != path.stem:
            say(
                f"segdemo: {shown(path.name)}: the name is too long for results; they are called {shown(stem)}",
                error=True,
            )
        number = numbers.get(stem, 1)
        name = stem if number == 1 else f"{stem}-{number}"
        while (
            _same(name) in used
            or any(_taken(out / f"{name}{end}", inputs) for end in endings)
            or any(os.path.join(folder, f"{name}{end}") in inputs for end in films)
        ):
            number += 1
            name = f"{stem}-{number}"
        used.add(_same(name))
        numbers[stem] = number
        yield name


def _same(name: str) -> str:
    """Return what names have in common that some systems take for one."""
    return unicodedata.normalize("NFC", name.casefold())


def _taken(path: Path, inputs: set[str]) -> bool:
    """Say whether something stands at a path that is not a result of an earlier run."""
    return os.path.realpath(path) in inputs or (os.path.lexists(path) and not _is_ours(path))


def _short(stem: str) -> str:
    """Cut a name to what leaves room for an ending; whole letters, and bytes that are no letters."""
    encoded = os.fsencode(stem)
    room = _LONGEST_NAME - _LONGEST_ENDING
    if len(encoded) <= room:
        return stem
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    while len(os.fsencode(stem)) > room - len(digest) - 1:
        stem = stem[:-1]
    return f"{stem}-{digest}"


def slug(stage: str) -> str:
    """Return a stage's part of the names of its files."""
    return re.sub(r"[^\w]+", "-", stage.lower()).strip("-")[:60] or "network"


def about(path: Path, error: InputError) -> str:
    """Make sure that a message says which file it speaks of."""
    file = shown(str(path))
    return str(error) if file in str(error) else f"{file}: {error}"


def say(line: str, *, error: bool = False) -> None:
    """Print a line at once, above a progress bar if there is one."""
    stream = sys.stderr if error else sys.stdout
    if stream is not None:
        tqdm.write(line, file=stream)
        stream.flush()


def folder_for(name: str) -> Path:
    """Make the folder for the results."""
    with writing(Path(name)):
        Path(name).mkdir(parents=True, exist_ok=True)
    return Path(name)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Refuse a folder that cannot be written to."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(
            "out_unwritable",
            "Nothing can be written to {folder}: {reason}. A folder with room and permission to write is needed. "
            "Choose another with --out.",
            folder=shown(str(folder)),
            reason=error.strerror or str(error),
        ) from error


def save(picture: Image.Image, path: str, facts: dict[str, Any]) -> None:
    """Write a PNG that carries what it is."""
    text = {"Software": MADE_BY, "Comment": f"{facts['network']}, {'trained' if facts['trained'] else UNTRAINED}"}
    info = PngInfo()
    for name, said in text.items():
        info.add_text(name, said)
    with new_file(path) as beside:
        if picture.mode == "RGB":
            beside.write_bytes(rendering.encode_png(picture, photograph=True, text=text))
        else:
            picture.save(beside, "PNG", pnginfo=info, compress_level=3)


def save_facts(facts: dict[str, Any], path: str) -> None:
    """Write facts as JSON."""
    with new_file(path) as beside:
        beside.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


@contextmanager
def new_file(path: str, *, alone: bool = False) -> Iterator[Path]:
    """Give a name to write to, and put the file in its place once it is whole; a full disk leaves no half of one.

    Args:
        path: of the file.
        alone: nobody else writes this file meanwhile: what a crash leaves of it has the same name the next time.
    """
    target = Path(path)
    token = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16] if alone else secrets.token_hex(8)
    beside = target.with_name(f".segdemo-{token}{target.suffix}")
    try:
        yield beside
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def print_table(rows: list[list[str]]) -> None:
    """Print rows in columns as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
