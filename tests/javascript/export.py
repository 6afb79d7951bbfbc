"""Write the page's modules into a folder as the app sends them, and beside them what Python says of the same values.

``python -m tests.javascript.export FOLDER``; the tests in JavaScript import the modules from there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps

from segdemo.engine import LocalEngine
from segdemo.networks import NETWORKS, find
from segdemo.rendering import INF_COLOUR, NAN_COLOUR, NEGATIVE_INF_COLOUR, Scale, colour_values
from segdemo.ui.javascript import modules
from segdemo.ui.panels.figure import Figure, payload

SCALES = (
    Scale(0.0, 1.0, False),
    Scale(-2.5, 7.25, False),
    Scale(-3.0, 3.0, True),
    Scale(4.0, 4.0, False),
    Scale(0.0, 0.0, True),
)


def export(folder: Path) -> None:
    """Write the modules and ``expected.json``.

    Args:
        folder: is made; what it holds of an earlier export is overwritten.
    """
    for name, content in modules().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (folder / "expected.json").write_text(json.dumps(expected()), "utf-8")


def expected() -> dict[str, Any]:
    """Compute in Python what the modules have to find."""
    random = np.random.default_rng(0)
    return {
        "colours": [coloured(scale, random) for scale in SCALES],
        "unusual": {"-inf": NEGATIVE_INF_COLOUR, "+inf": INF_COLOUR, "NaN": NAN_COLOUR},
        "heat": (np.array(colormaps["viridis"](np.arange(256) / 255))[:, :3] * 255).round().astype(int).tolist(),
        "figures": [written(value) for value in numbers(random)],
        "described": described(random.normal(0, 2, 500).round(2).astype(np.float32)),
        "networks": figures(),
    }


def coloured(scale: Scale, random: np.random.Generator) -> dict[str, Any]:
    """Give values, also halfway between two colours and beyond both ends, and their colours."""
    halves = scale.low + (np.arange(256) + 0.5) / 256 * (scale.high - scale.low)
    values = np.concatenate([halves, random.uniform(scale.low - 1, scale.high + 1, 200)])
    colours = colour_values(values, scale)
    return {
        "scale": [scale.low, scale.high, scale.diverging],
        "values": values.tolist(),
        "colours": colours.tolist(),
    }


def numbers(random: np.random.Generator) -> list[float]:
    """Give numbers of every size that a map may hold."""
    sizes = 10.0 ** random.uniform(-12, 12, 300) * random.choice([-1, 1], 300)
    return [0.0, 1.0, -1.0, 0.001, 0.0009994, 99_950.0, 100_000.0, 1e-38, 3.4e38, *sizes.tolist()]


def written(value: float) -> tuple[float, str]:
    """Write a number with three digits, as the page does: plain from 1e-3 to 1e5, else as a power of ten."""
    if value == 0:
        return value, "0"
    if 1e-3 <= abs(value) < 1e5:
        plain = f"{float(f'{value:.3g}'):f}".rstrip("0").rstrip(".")
        return value, plain
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return value, f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def described(values: np.ndarray) -> dict[str, Any]:
    """Describe values, three of them not finite."""
    values = np.append(values, np.array([np.nan, np.inf, -np.inf], np.float32))
    finite = values[np.isfinite(values)].astype(np.float64)
    return {
        "values": [float(value) if np.isfinite(value) else str(value) for value in values],
        "low": finite.min(),
        "high": finite.max(),
        "mean": finite.mean(),
        "std": finite.std(),
        "zeros": int((finite == 0).sum()),
        "nans": 1,
        "infinities": 2,
    }


def figures() -> dict[str, Any]:
    """Give the figure of every network as the page gets it before the first run, by name."""
    engine = LocalEngine()
    try:
        return {name: payload(engine, Figure(name, find(name).preprocessing.size), no_file) for name in NETWORKS}
    finally:
        engine.close()


def no_file(content: bytes, name: str) -> Any:
    """Keep no file: before the first run there is none."""
    raise ValueError(name)


if __name__ == "__main__":
    export(Path(sys.argv[1]))
