"""The command ``segment``: masks, overlays and shares of classes for pictures and folders of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo import rendering
from segdemo.commands.ahead import outcomes_of
from segdemo.commands.files import (
    ENDINGS,
    UNTRAINED,
    about,
    folder_for,
    listed,
    names,
    open_picture,
    save,
    save_facts,
    say,
    segmenter_for,
    writing,
)
from segdemo.commands.film import FILM, is_film, segment_film
from segdemo.commands.journal import Journal, state_of
from segdemo.commands.options import (
    PICTURES,
    add_device,
    add_engine,
    add_network,
    add_out,
    add_report,
    add_side,
    add_weights,
)
from segdemo.commands.rows import Row, asked, report
from segdemo.encoded import readable, shown
from segdemo.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from segdemo.images import Placement
    from segdemo.results import Result
    from segdemo.segmenter import Segmenter

HELP = "segment pictures"
DESCRIPTION = (
    "Write for each picture <name>-mask.png (a palette picture whose pixels are class indices), "
    "<name>-overlay.png and <name>.json (share of each class in percent); for each film <name>-overlay.mp4, and the "
    "shares over time as <name>-shares.csv and <name>-shares.png. What was interrupted goes on where it was when the "
    "same command is given again."
)
Item = tuple[str, str]  # paths: the picture, and what the names of its results begin with


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo segment`` takes."""
    parser.description, parser.epilog = DESCRIPTION, PICTURES
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="a picture, a folder of pictures, or a film")
    add_network(parser)
    add_weights(parser)
    add_side(parser)
    add_out(parser)
    parser.add_argument(
        "--no-overlay",
        action="store_true",
        help="write no <name>-overlay.png, which takes most of the time that a large photograph takes",
    )
    add_report(parser)
    add_engine(parser)
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment pictures and folders of pictures; go on after one that cannot be used."""
    given = listed(arguments.pictures)
    segmenter = segmenter_for(
        arguments.network, arguments.side, arguments.weights, arguments.device, arguments.precision
    )
    out = folder_for(arguments.out)
    # Of a million pictures there is kept what their paths take as text, and no more.
    named = [(str(path), str(out / name)) for path, name in zip(given, names(given, out, ENDINGS, [FILM]), strict=True)]
    del given
    pictures = [item for item in named if not is_film(Path(item[0]))]
    films = [(Path(path), Path(target)) for path, target in named if is_film(Path(path))]
    del named
    code = 0
    silent = len(pictures) < 2 or sys.stderr is None
    with writing(out):
        decides = asked(segmenter, arguments.side, arguments.weights) | {"overlay": not arguments.no_overlay}
        journal = Journal(out, decides)
    bar = tqdm(total=len(pictures), disable=silent, unit="picture", file=sys.stderr)
    with closing(journal):
        with bar, report(arguments.report, segmenter.classes) as table:
            for row in _rows(pictures, journal, segmenter, arguments):
                for note in row.get("notes", ()):
                    say(f"segdemo: {note}", error=True)
                broken = "error" in row
                say(f"segdemo: {row['error']}" if broken else row["said"], error=broken)
                code = 2 if broken else code
                table(row)
                bar.update()
            for path, target in films:
                code = max(code, _film(segmenter, path, target, arguments, table))
        journal.complete()
    return code


def _film(
    segmenter: Segmenter, path: Path, target: Path, arguments: argparse.Namespace, table: Callable[[Row], object]
) -> int:
    """Segment a film, and report it; returns the exit status."""
    try:
        row = segment_film(segmenter, path, target, arguments.side)
    except InputError as error:
        row = {"picture": readable(str(path)), "error": about(path, error)}
    say(row.get("said") or f"segdemo: {row['error']}", error="error" in row)
    table(row)
    return 2 if "error" in row else 0


def _rows(
    pictures: Sequence[Item], journal: Journal, segmenter: Segmenter, arguments: argparse.Namespace
) -> Iterator[Row]:
    """Yield what there is to say of each picture, in their order: what the journal knows, else what is done now."""
    known = [_is_there(journal.done(Path(path)), target) for path, target in pictures]
    todo = (item for item, one in zip(pictures, known, strict=True) if not one)
    if arguments.engine is None:
        make = partial(Segmenting, segmenter, arguments.side)
    else:
        place = {"device": arguments.device, "precision": arguments.precision}
        make = partial(segmenting, segmenter.spec.name, arguments.side, arguments.weights, **place)
    make = partial(make, overlay=not arguments.no_overlay)
    outcomes = outcomes_of(make, todo, arguments.engine)
    for (path, target), is_known in zip(pictures, known, strict=True):
        row = journal.noted(Path(path)) if is_known else None
        if row is None:
            outcome = next(outcomes)
            if isinstance(outcome, InputError):
                row = {"picture": readable(path), "error": about(Path(path), outcome)}
            else:
                row = outcome
                with writing(Path(target).parent):
                    journal.add(Path(path), row)
        yield row


def _is_there(row: Row | None, target: str) -> bool:
    """Say whether the results that a row speaks of are where they would be written."""
    return row is not None and row["result"] == readable(target) and all(Path(one).is_file() for one in row["files"])


def segmenting(network: str, side: int | None, weights: str | None, *, overlay: bool, **place: Any) -> Segmenting:
    """Make the work of the command, in whatever process."""
    from segdemo.segmenter import Segmenter

    if weights is None:
        return Segmenting(Segmenter(network, **place), side, overlay=overlay)
    return Segmenting(Segmenter.from_checkpoint(weights, network, **place), side, overlay=overlay)


class Segmenting:
    """Segments pictures and writes the files of each.

    Args:
        segmenter: the network.
        side: input size in pixels; None takes the network's own.
        overlay: whether the picture under its mask is written too.
    """

    def __init__(self, segmenter: Segmenter, side: int | None, *, overlay: bool = True) -> None:
        from segdemo.opened import bare
        from segdemo.predictions import Predictor

        self._overlay = overlay
        self._predictor = Predictor(
            bare(segmenter.network), segmenter.spec, side, precision=segmenter.precision, trained=segmenter.trained
        )

    def read(self, item: Item) -> tuple[Image.Image, list[str], tuple[Tensor, Placement]]:
        """Read a picture, and make of it what the network takes."""
        picture, notes = open_picture(Path(item[0]))
        return picture, notes, self._predictor.place(picture)

    def run(self, read: tuple[Image.Image, list[str], tuple[Tensor, Placement]]) -> Any:
        """Run the network."""
        picture, notes, placed = read
        result = self._predictor.run(picture, placed)
        return picture, [*notes, *map(str, (note for note in result.notes if note.code == "half_precision"))], result

    def write(self, item: Item, made: tuple[Image.Image, list[str], Result]) -> Row:
        """Write the files of a picture, and return what is to be said of it."""
        path, target = item
        picture, notes, result = made
        colours = [share.colour for share in result.classes]
        hidden = frozenset(share.index for share in result.classes if share.hidden)
        facts: dict[str, Any] = {
            "picture": readable(Path(path).name),
            "network": result.network,
            "trained": result.trained,
            "side": result.input_size,
            "size": picture.size,
            "shares": {share.name: share.percent for share in result.classes},
        } | ({"notes": notes} if notes else {})
        row: Row = {
            "picture": readable(path),
            "result": readable(target),
            "notes": notes,
            "state": state_of(Path(path)),
        }
        if result.answer:
            return row | _classified(path, target, facts, result.answer)
        mask, overlay, told = (f"{target}{ending}" for ending in ENDINGS)
        with writing(Path(target).parent):
            save(rendering.palette_mask(result.mask, colours), mask, facts)
            if self._overlay:
                save(rendering.overlay(picture, result.mask, colours, hidden=hidden), overlay, facts)
            save_facts(facts, told)
        files = [mask, overlay, told] if self._overlay else [mask, told]
        found = sorted((share for share in result.classes if share.percent), key=lambda share: -share.percent)
        shares = ", ".join(f"{share.name} {share.percent:.1f} %" for share in found)
        said = f"{shown(path)}: {shares} → {shown(target)}-mask.png" + ("" if result.trained else f" ({UNTRAINED})")
        return row | {"said": said, "files": files, "facts": facts}


def _classified(path: str, target: str, facts: dict[str, Any], answer: dict[str, float]) -> Row:
    """Write and say what a classifier answers; there is no mask."""
    facts = {name: value for name, value in facts.items() if name != "shares"} | {"probabilities": answer}
    with writing(Path(target).parent):
        save_facts(facts, f"{target}.json")
    best = max(answer, key=lambda name: answer[name])
    said = f"{shown(path)}: {best}, {answer[best]:.1%} → {shown(target)}.json"
    said += "" if facts["trained"] else f" ({UNTRAINED})"
    return {"said": said, "files": [f"{target}.json"], "facts": facts}
