"""``segdemo layers --over``: what the channels of a network's stages do over many pictures."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo.commands.ahead import outcomes_of
from segdemo.commands.files import about, folder_for, listed, new_file, open_picture, say, segmenter_for, slug, writing
from segdemo.commands.rows import Row, asked, report
from segdemo.commands.tally import Saved, Tally
from segdemo.encoded import readable, shown
from segdemo.errors import InputError

if TYPE_CHECKING:
    from segdemo.results import Result
    from segdemo.segmenter import Segmenter

SAVE = 50  # pictures between two savings of what was counted
COLUMNS = ("channel", "mean", "std", "zero_share", "dead", "minimum", "maximum", "not_finite")


def run(arguments: argparse.Namespace) -> int:
    """Count what every channel of the stages puts out over all pictures, and write a table for each stage."""
    pictures = listed(arguments.over)
    segmenter = segmenter_for(arguments.network, arguments.side, arguments.weights)
    stages = [arguments.stage] if arguments.stage else [stage.label for stage in segmenter.spec.stages]
    for stage in stages:
        if stage not in (known := [one.label for one in segmenter.spec.stages]):
            raise InputError(
                "over_stage",
                "{network} has no stage called {stage!r}; it has {stages}. Over many pictures, stages of the figure "
                "are counted. Name one of them.",
                network=segmenter.spec.title,
                stage=stage,
                stages=", ".join(known),
            )
    out = folder_for(arguments.out)
    decides = asked(segmenter, arguments.side, arguments.weights) | {"stages": stages, "top": arguments.top}
    saved = Saved.of(out, decides, pictures)
    with (
        tqdm(total=len(pictures), disable=sys.stderr is None, unit="picture", file=sys.stderr) as bar,
        report(arguments.report, ()) as table,
    ):
        for path in pictures[: saved.done]:
            table(_row(path, saved.broken.get(str(path))))
        bar.update(saved.done)
        todo = [str(path) for path in pictures[saved.done :]]
        for path, outcome in zip(pictures[saved.done :], _outcomes(segmenter, stages, todo, arguments), strict=True):
            error = about(path, outcome) if isinstance(outcome, InputError) else None
            if error is None:
                saved.add(outcome, arguments.top)
            else:
                say(f"segdemo: {error}", error=True)
            saved.step(path, error)
            table(_row(path, error))
            bar.update()
            if saved.done % SAVE == 0:
                with writing(out):
                    saved.save()
    with writing(out):
        for stage in stages:
            if stage in saved.tallies:
                _write(
                    out / f"{slug(stage)}.csv", stage, saved.tallies[stage], pictures, saved.done - len(saved.broken)
                )
    saved.remove()
    return 2 if saved.broken else 0


def _outcomes(
    segmenter: Segmenter, stages: Sequence[str], todo: list[str], arguments: argparse.Namespace
) -> Iterator[Any]:
    if arguments.engine is None:
        make = partial(Counting, segmenter, arguments.side, tuple(stages))
    else:
        make = partial(counting, segmenter.spec.name, arguments.side, arguments.weights, tuple(stages))
    return outcomes_of(make, todo, arguments.engine)


def _row(path: Path, error: str | None) -> Row:
    return {"picture": readable(str(path))} | ({} if error is None else {"error": error})


def _write(path: Path, stage: str, tally: Tally, pictures: Sequence[Path], count: int) -> None:
    """Write the table of one stage, and say what is most remarkable in it."""
    places = [f"top_{place + 1}" for place in range(tally.top.shape[1])]
    dead = (tally.low == 0) & (tally.high == 0) & (tally.broken == 0)
    with new_file(str(path)) as beside, open(beside, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([*COLUMNS, *places])
        for channel in range(len(tally.mean)):
            mean, std, zeros, low, high = (
                f"{figure[channel]:.7g}" for figure in (tally.mean, tally.std, tally.zero_share, tally.low, tally.high)
            )
            best = (readable(str(pictures[index])) if index >= 0 else "" for index in tally.top[channel].tolist())
            lines.writerow(
                [channel, mean, std, zeros, int(dead[channel]), low, high, int(tally.broken[channel]), *best]
            )
    say(f"{stage}: {len(dead)} channels, {int(dead.sum())} dead over all {count} pictures → {shown(str(path))}")


def counting(network: str, side: int | None, weights: str | None, stages: tuple[str, ...]) -> Counting:
    """Make the work of the command, in whatever process."""
    from segdemo.segmenter import Segmenter

    made = Segmenter(network) if weights is None else Segmenter.from_checkpoint(weights, network)
    return Counting(made, side, stages)


class Counting:
    """Runs pictures, and keeps what the channels of stages did.

    Args:
        segmenter: the network.
        side: input size in pixels; None takes the network's own.
        stages: labels.
    """

    def __init__(self, segmenter: Segmenter, side: int | None, stages: tuple[str, ...]) -> None:
        self._segmenter, self._side, self._stages = segmenter, side, stages

    def read(self, item: str) -> Image.Image:
        """Read a picture."""
        return open_picture(Path(item))[0]

    def run(self, read: Image.Image) -> Result:
        """Run the network."""
        return self._segmenter.run(read, self._side)

    def write(self, item: str, made: Result) -> dict[str, Tally]:
        """Return what each channel did for one picture."""
        return {stage: Tally.of(made.layers[stage]) for stage in self._stages if stage in made.layers}
