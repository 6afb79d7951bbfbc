"""How a run went: a table of loss, rate, speed and score, written as CSV and drawn as PNG."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from segdemo.training.batches import Batches
from segdemo.training.schedule import Clock
from segdemo.training.state import replacing

EVERY = 10  # steps of which one row is the mean
Row = dict[str, float | None]


class Curves:
    """One row for every few steps."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    @property
    def miou(self) -> float | None:
        """The last score noted; None before the first."""
        return next((row["miou"] for row in reversed(self.rows) if row["miou"] is not None), None)

    def add(self, clock: Clock, batches: Batches, loss: float, rate: float, side: int, seconds: float) -> None:
        """Take in one step."""
        within = (clock.step - 1) % EVERY  # steps already in the row
        speed = batches.size / seconds
        if within and self.rows:
            row = self.rows[-1]
            loss = ((row["loss"] or 0) * within + loss) / (within + 1)
            speed = (within + 1) / (within / (row["speed"] or speed) + 1 / speed)
        else:
            self.rows.append({"miou": None})
        self.rows[-1] |= {
            "step": clock.step,
            "epoch": round(clock.step / batches.per_epoch, 3),
            "minutes": round(clock.elapsed / 60, 3),
            "loss": loss,
            "lr": rate,
            "side": side,
            "speed": speed,
        }

    def score(self, miou: float) -> None:
        """Note the mIoU reached now."""
        if self.rows:
            self.rows[-1]["miou"] = miou

    def write(self, folder: Path) -> None:
        """Write ``curves.csv`` and ``curves.png`` into a folder."""
        names = ("step", "epoch", "minutes", "loss", "lr", "side", "speed", "miou")
        with replacing(folder / "curves.csv") as partial, partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, lineterminator="\n")
            writer.writeheader()
            for row in self.rows:
                writer.writerow({name: _short(row[name]) for name in names})
        with replacing(folder / "curves.png") as partial:
            self._draw().savefig(partial, dpi=100, format="png")

    def _draw(self) -> Figure:
        figure = Figure(figsize=(8, 7), layout="constrained")
        drawn = (("loss", "loss"), ("miou", "mIoU at the crop size"), ("lr", "learning rate"))
        for axes, (name, label) in zip(figure.subplots(3, sharex=True), drawn, strict=True):
            known = [row for row in self.rows if row[name] is not None]
            places, values = (np.array([row[key] for row in known], np.float64) for key in ("epoch", name))
            axes.plot(places, values, marker="o" if name == "miou" else "")
            axes.set_ylabel(label)
            axes.grid(visible=True, alpha=0.3)
        figure.axes[-1].set_xlabel("epoch")
        return figure


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
