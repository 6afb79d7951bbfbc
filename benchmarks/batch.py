"""Many photographs of 12 megapixels: what the command takes for one, beside the bare pass, and over Ray."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from segdemo import ambient
from segdemo.commands.ahead import in_three_steps, outcomes_of
from segdemo.commands.files import open_picture
from segdemo.commands.segment import Segmenting, segmenting
from segdemo.examples import example
from segdemo.opened import bare
from segdemo.segmenter import Segmenter

SIZE = (4000, 3000)
BARE, READ, MASKS, ALL = "bare forward", "pictures read, nothing written", "segment --no-overlay", "segment"
CLUSTER = 24  # pictures, of which Ray gets four parts


def photographs(folder: Path, count: int) -> list[Path]:
    """Write photographs with the noise that a camera has, as JPEG."""
    paths = [folder / f"{number:02}.jpg" for number in range(count)]
    with Image.open(example("chelsea")) as picture:
        large = np.asarray(picture.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)).astype(np.int16)
    for number, path in enumerate(paths):
        noise = np.random.default_rng(number).integers(-4, 5, (*large.shape[:2], 1), np.int16)
        Image.fromarray((large + noise).clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return paths


class Reading(Segmenting):
    """The work of the command without its end."""

    def write(self, item: tuple[str, str], made: object) -> dict[str, object]:
        """Write nothing."""
        return {}


def methods(network: str, size: int | None, paths: list[Path], out: Path) -> dict[str, Callable[[], object]]:
    """Return what is compared, each going through all pictures once.

    Args:
        network: its name.
        size: input size in pixels; None takes the network's own.
        paths: of the pictures.
        out: folder for results.
    """
    segmenter = Segmenter(network)
    module = bare(segmenter.network)
    work = {
        READ: Reading(segmenter, size),
        MASKS: Segmenting(segmenter, size, overlay=False),
        ALL: Segmenting(segmenter, size),
    }
    batches = [work[ALL].read((str(path), ""))[2][0] for path in paths]
    items = [(str(path), str(out / path.stem)) for path in paths]

    def passes() -> None:
        with ambient.passing(module):
            for batch in batches:
                module(batch)

    def goes_through(one: Segmenting) -> Callable[[], object]:
        return lambda: list(in_three_steps(one, items))

    return {BARE: passes, **{name: goes_through(one) for name, one in work.items()}}


def reading_alone(paths: list[Path]) -> float:
    """Return the seconds that one thread takes to decode a picture, of all on average."""
    started = time.perf_counter()
    for path in paths:
        open_picture(path)
    return (time.perf_counter() - started) / len(paths)


@contextlib.contextmanager
def cluster() -> Iterator[None]:
    """Start a Ray of this machine alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))  # else Ray writes one into the home folder
    import ray

    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, _temp_dir=folder)
        try:
            yield
        finally:
            ray.shutdown()


def each_later_picture(network: str, paths: list[Path], out: Path, engine: str | None) -> float:
    """Return the seconds between two pictures once the first quarter, and with it the start, is over.

    Args:
        network: its name.
        paths: of the pictures.
        out: folder for results.
        engine: address of the cluster, None for this process.
    """
    make = partial(segmenting, network, None, None, overlay=False)
    done = []
    for _ in outcomes_of(make, [(str(path), str(out / path.stem)) for path in paths], engine):
        done.append(time.perf_counter())
    first = len(done) // 4
    return (done[-1] - done[first - 1]) / (len(done) - first)
