"""The work of ``segdemo evaluate``: a picture is read with what is known of it, run, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from segdemo import labelled
from segdemo.archives import Archive, Pair, Reading
from segdemo.commands.rows import Row
from segdemo.encoded import readable
from segdemo.evaluation import confusion

if TYPE_CHECKING:
    from segdemo.predictions import Predictor

Scored = tuple[np.ndarray, Row]  # (K, K) int64: which class was taken for which; what the report says


class Asked(NamedTuple):
    """What answers pictures.

    Args:
        network: its name.
        side: input size in pixels; None takes the network's own.
        device: as for :class:`segdemo.Segmenter`.
        precision: likewise.
    """

    network: str
    side: int | None
    device: str | None
    precision: str

    def predictor(self) -> Predictor:
        """Make it, in whatever process."""
        from segdemo.predictions import Predictor
        from segdemo.segmenter import Segmenter

        segmenter = Segmenter(self.network, device=self.device, precision=self.precision)
        return Predictor(segmenter.network, segmenter.spec, self.side, precision=self.precision)


class Masks:
    """Compares masks with those of an archive.

    Args:
        asked: what answers the pictures.
        archive: path.
        reading: of its masks.
        table: index of the network's class → index of the archive's.
        classes: the archive's.
    """

    def __init__(
        self,
        asked: Asked,
        archive: str,
        reading: Reading,
        table: np.ndarray,
        classes: tuple[str, ...],
    ) -> None:
        self._predictor = asked.predictor()
        self._archive = Archive(archive)
        self._reading, self._table, self._classes = reading, table, classes

    def read(self, item: Pair) -> Any:
        """Read a picture and its mask, and make of it what the network takes."""
        picture, truth = self._archive.read(item, self._reading)
        return picture, truth, self._predictor.place(picture)

    def run(self, read: Any) -> Any:
        """Run the network."""
        picture, truth, placed = read
        return truth, self._predictor.run(picture, placed)

    def write(self, item: Pair, made: Any) -> Scored:
        """Count which class was taken for which."""
        truth, result = made
        counts = confusion(truth, self._table[result.mask], len(self._classes))
        hits, union = counts.diagonal(), counts.sum(0) + counts.sum(1) - counts.diagonal()
        found = zip(self._classes, hits.tolist(), union.tolist(), strict=True)
        iou = {name: hit / whole for name, hit, whole in found if whole}
        return counts, {"picture": item[0], "facts": {"size": result.size, "iou": iou}}


class Answers:
    """Compares the most probable class of a classifier with the one that a picture is of.

    Args:
        asked: what answers the pictures.
        source: as for :func:`segdemo.labelled.read`.
        limit: likewise.
        classes: the network's.
    """

    def __init__(self, asked: Asked, source: str, limit: int | None, classes: tuple[str, ...]) -> None:
        self._predictor = asked.predictor()
        self._pictures, self._classes = labelled.read(source, classes, limit), classes

    def read(self, item: int) -> Any:
        """Read a picture, by its place in the list, and make of it what the network takes."""
        picture = self._pictures[item][0]()
        return picture, self._predictor.place(picture)

    def run(self, read: Any) -> Any:
        """Run the network."""
        return self._predictor.run(*read)

    def write(self, item: int, made: Any) -> Scored:
        """Say which class was taken for which."""
        picture, truth = self._pictures[item]
        guessed = int(np.argmax(list(made.answer.values())))
        row: Row = {
            "picture": name_of(picture, item),
            "result": self._classes[guessed],
            "facts": {"size": made.size, "probabilities": made.answer},
        }
        return confusion(truth, guessed, len(self._classes)), row


def name_of(picture: Any, item: int) -> str:
    """Name a labelled picture: by its path where it has one, else by its place in the list."""
    given = getattr(picture, "args", (None,))[0]
    return readable(str(given)) if isinstance(given, Path) else str(item)
