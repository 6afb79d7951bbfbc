"""Statistics of channels, added up picture by picture, and saved so that a crash costs little."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from segdemo.commands.files import new_file
from segdemo.commands.journal import NAME, remove_halves, state_of
from segdemo.encoded import readable

if TYPE_CHECKING:
    from segdemo.summaries import Summary


@dataclass
class Tally:
    """What the channels of one stage did, each (C,); figures are over finite values.

    Args:
        count: values that were finite.
        mean: of them.
        squares: sum of the squares of their distances from the mean.
        zeros: values that were exactly 0.
        broken: values that were not finite.
        low: smallest.
        high: greatest.
        score: mean absolute activation inside the picture, of the best pictures, (C, top), the best first.
        top: the numbers of these pictures, (C, top), -1 where there are fewer.
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    zeros: np.ndarray
    broken: np.ndarray
    low: np.ndarray
    high: np.ndarray
    score: np.ndarray
    top: np.ndarray

    @classmethod
    def of(cls, summary: Summary) -> Tally:
        """Take the figures of one picture from the summary of a layer; its number stands as 0."""
        channels = summary.channels
        each = int(np.prod(summary.shape)) // len(channels.mean)
        broken = channels.nans.astype(np.float64) + channels.infinities
        count = each - broken
        mean, std = (np.where(count > 0, one, 0).astype(np.float64) for one in (channels.mean, channels.std))
        low = np.where(count > 0, channels.minimum, np.inf).astype(np.float64)
        high = np.where(count > 0, channels.maximum, -np.inf).astype(np.float64)
        zeros = np.rint(channels.zero_share.astype(np.float64) * each)
        score = np.nan_to_num(channels.inside_abs.astype(np.float64), nan=-1.0, posinf=-1.0)[:, None]
        return cls(count, mean, std**2 * count, zeros, broken, low, high, score, np.zeros(score.shape, np.int64))

    @property
    def std(self) -> np.ndarray:
        """Population standard deviation."""
        return np.sqrt(self.squares / np.maximum(self.count, 1))

    @property
    def zero_share(self) -> np.ndarray:
        """Share of all values that are exactly 0."""
        return self.zeros / np.maximum(self.count + self.broken, 1)

    def add(self, other: Tally, number: int, top: int) -> Tally:
        """Return both together (Chan, Golub and LeVeque 1979, https://doi.org/10.1007/978-3-642-51461-6_3).

        Args:
            other: of one picture.
            number: the picture's.
            top: how many of the best pictures are kept; of equal ones the earlier.
        """
        count = self.count + other.count
        apart, share = other.mean - self.mean, other.count / np.maximum(count, 1)
        score = np.concatenate([self.score, other.score], 1)
        best = np.argsort(-score, axis=1, kind="stable")[:, :top]
        numbers = np.concatenate([self.top, np.full(other.top.shape, number)], 1)
        return Tally(
            count,
            self.mean + apart * share,
            self.squares + other.squares + apart**2 * self.count * share,
            self.zeros + other.zeros,
            self.broken + other.broken,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            np.take_along_axis(score, best, 1),
            np.take_along_axis(numbers, best, 1),
        )


@dataclass
class Saved:
    """What was counted so far, as it stands in a file beside the results until all is done.

    Args:
        path: of the file.
        asked: what the command was asked for.
        tallies: by stage.
        broken: path of each picture that could not be used, and why.
        done: how many of the pictures were looked at, in their order.
        digest: of these pictures' names and states.
    """

    path: Path
    asked: dict[str, Any]
    tallies: dict[str, Tally] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    done: int = 0
    digest: str = ""

    @classmethod
    def of(cls, folder: Path, asked: dict[str, Any], pictures: Sequence[Path]) -> Saved:
        """Go on from the file of the same command over the same pictures, else begin anew."""
        path = folder / f"{NAME}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                told = json.loads(str(file["told"]))
                tallies = {
                    stage: Tally(*(file[f"{number}.{one.name}"] for one in fields(Tally)))
                    for number, stage in enumerate(told["stages"])
                }
            saved = cls(path, asked, tallies, told["broken"], told["done"], told["digest"])
        except (OSError, ValueError, KeyError, TypeError, BadZipFile):
            return cls(path, asked)
        digest = ""
        for one in pictures[: saved.done]:
            digest = _after(digest, one)
        same = told["asked"] == json.loads(json.dumps(asked)) and digest == saved.digest
        if not same:
            return cls(path, asked)
        remove_halves(folder)
        return saved

    def add(self, found: Mapping[str, Tally], top: int) -> None:
        """Take in one picture."""
        for stage, tally in found.items():
            before = self.tallies.get(stage)
            self.tallies[stage] = _first(tally, self.done, top) if before is None else before.add(tally, self.done, top)

    def step(self, path: Path, error: str | None) -> None:
        """Count a picture as looked at."""
        if error is not None:
            self.broken[str(path)] = error
        self.done += 1
        self.digest = _after(self.digest, path)

    def save(self) -> None:
        """Write the file."""
        told = {"asked": self.asked, "stages": list(self.tallies), "broken": self.broken, "done": self.done}
        arrays = {
            f"{number}.{one.name}": getattr(tally, one.name)
            for number, tally in enumerate(self.tallies.values())
            for one in fields(Tally)
        }
        with new_file(str(self.path)) as beside:
            np.savez(beside, told=np.array(json.dumps(told | {"digest": self.digest})), **arrays)

    def remove(self) -> None:
        """Remove the file: all is done."""
        self.path.unlink(missing_ok=True)


def _first(tally: Tally, number: int, top: int) -> Tally:
    """Return the tally of the first picture, with room for the best of all."""
    rest = ((0, 0), (0, top - 1))
    score = np.pad(tally.score, rest, constant_values=-np.inf)
    best = np.pad(np.full(tally.top.shape, number), rest, constant_values=-1)
    return replace(tally, score=score, top=best)


def _after(digest: str, path: Path) -> str:
    """Return the digest of pictures once one more is among them."""
    told = f"{digest}\0{readable(str(path))}\0{state_of(path)}"
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
