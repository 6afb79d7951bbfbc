"""The report of a command that works through many pictures: a row for each, in their order, broken ones included."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdemo.commands.files import new_file, writing
from segdemo.commands.journal import state_of

if TYPE_CHECKING:
    from segdemo.segmenter import Segmenter

# What is known of a picture, for JSON: ``picture``, then ``error``, or ``result``, ``said``, ``files``, ``facts``,
# ``notes`` and the ``state`` that the picture's file was in.
Row = dict[str, Any]
FIRST = ("picture", "result", "error", "notes", "width", "height")


def asked(segmenter: Segmenter, side: int | None, weights: str | None) -> dict[str, Any]:
    """Return what decides the results of a command, for its journal."""
    from segdemo.checkpoints import sha256_of

    return {
        "network": segmenter.spec.name,
        "checkpoint": sha256_of(segmenter.spec, segmenter.step),
        "side": side,
        "weights": None if weights is None else [str(Path(weights).resolve()), state_of(Path(weights))],
        **({} if segmenter.precision == "float32" else {"precision": segmenter.precision}),
    }


@contextmanager
def report(path: str | None, classes: Sequence[str]) -> Iterator[Callable[[Row], object]]:
    """Give a function that writes rows to a CSV file, which is in its place once it is whole.

    Args:
        path: of the file; None writes none.
        classes: names of the network's classes: a column each, with the share in percent, or the probability in [0, 1]
            that a classifier gives, or the IoU in [0, 1] that was reached.
    """
    if path is None:
        yield lambda row: None
        return
    whole = new_file(path, alone=True)
    with writing(Path(path).parent), whole as beside, open(beside, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([*FIRST, *classes])

        def add(row: Row) -> None:
            facts = row.get("facts", {})
            values = facts.get("shares") or facts.get("probabilities") or facts.get("iou") or {}
            lines.writerow(
                [
                    row["picture"],
                    row.get("result", ""),
                    row.get("error", ""),
                    " ".join(row.get("notes", ())),
                    *(facts.get("size") or ("", "")),
                    *(values.get(name, "") for name in classes),
                ]
            )

        yield add
