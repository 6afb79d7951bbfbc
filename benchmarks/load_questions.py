"""What the load test asks for, and the right answers: each from a Segmenter alone in a process of its own."""

from __future__ import annotations

import functools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segdemo.examples import PHOTOGRAPHS, example

SIZES = {"deeplabv3_mobilenet_v2": (257, 513), "unet_mobilenet_v2": (128,), "u2netp": (192,), "unet_narrow": (0, 64)}
ENDPOINTS = ("segment", "layers")


@dataclass(frozen=True)
class Question:
    """One request.

    Args:
        endpoint: ``"segment"`` or ``"layers"``.
        picture: file.
        network: name in ``NETWORKS``.
        side: working size, pixels; 0 takes the network's own.
    """

    endpoint: str
    picture: Path
    network: str
    side: int


@dataclass(frozen=True)
class Alone:
    """What a Segmenter alone says.

    Args:
        names: of the classes.
        mask: (H, W) uint8.
        confidence: (H, W) float32; of large pictures, which no page shows, it is left out: (0, 0).
        percent: share of each class that the answer names.
        facts: network, trained, width, height, side.
        layers: a row of figures for each stage.
    """

    names: tuple[str, ...]
    mask: np.ndarray
    confidence: np.ndarray
    percent: dict[str, float]
    facts: dict[str, Any]
    layers: list[dict[str, Any]]


def pictures(folder: Path) -> list[Path]:
    """Write pictures of several kinds and sizes into a folder, some of 12 megapixels, and return their files."""
    made = []
    for name in PHOTOGRAPHS:
        with Image.open(example(name)) as opened:
            photograph = opened.convert("RGB")
        photograph.save(folder / f"{name}.png")
        photograph.resize((320, 240)).save(folder / f"{name}-small.webp", quality=90)
        made += [folder / f"{name}.png", folder / f"{name}-small.webp"]
    for name, size in (("astronaut", (3000, 4000)), ("coffee", (4000, 3000))):
        with Image.open(example(name)) as opened:
            opened.convert("RGB").resize(size).save(folder / f"{name}-large.jpg", quality=85)
        made.append(folder / f"{name}-large.jpg")
    return made


def questions(files: list[Path]) -> list[Question]:
    """Every endpoint, network, size and picture with each other."""
    return [
        Question(endpoint, file, network, side)
        for file in files
        for network, sides in SIZES.items()
        for side in sides
        for endpoint in ENDPOINTS
    ]


def answers_alone(asked: list[tuple[Path, str, int]]) -> dict[tuple[Path, str, int], Alone]:
    """Ask a Segmenter alone, in a process of its own, about (picture, network, side) after (picture, network, side)."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        asked = sorted(asked)  # each picture is read once
        return dict(zip(asked, alone.map(_alone, asked), strict=True))


@functools.cache
def _segmenter(network: str) -> Any:
    from segdemo.segmenter import Segmenter

    return Segmenter(network)


@functools.lru_cache(1)
def _picture(file: Path) -> Image.Image:
    from segdemo.images import load_picture

    return load_picture(file)


def _alone(asked: tuple[Path, str, int]) -> Alone:
    file, network, side = asked
    segmenter = _segmenter(network)
    result = segmenter.run(_picture(file), side or None)
    rows = []
    for stage in segmenter.spec.stages:
        summary = result.layers[stage.label]
        figures = ("minimum", "maximum", "mean", "std", "zero_share", "nans", "infinities")
        rows.append(
            {"stage": stage.label, "layer": stage.layer, "trained": result.trained, "shape": list(summary.shape)}
            | {figure: getattr(summary, figure) for figure in figures}
            | {"dead_channels": list(summary.dead)}
            | {"channels_by_variance": summary.channels.ranked("variance")[:16].tolist()}
        )
    facts = {"network": network, "trained": result.trained, "side": result.input_size}
    facts |= {"width": result.size[0], "height": result.size[1]}
    percent = {share.name: round(share.percent, 4) for share in result.classes}
    confidence = result.confidence if result.mask.size < 1 << 20 else np.empty((0, 0), np.float32)
    return Alone(result.names, result.mask, confidence, percent, facts, rows)
