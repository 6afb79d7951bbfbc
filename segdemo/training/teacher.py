"""A teacher's soft labels: how probable it finds each class at each place, worked out once per picture."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from segdemo import checkpoints
from segdemo.errors import InputError
from segdemo.images import check_input_size
from segdemo.networks import Network, find
from segdemo.predictions import predict, reading_of
from segdemo.training.data import Bytes, Sample, fingerprint
from segdemo.training.state import replacing

CHUNK = 256  # pictures in one file of the cache: an interruption loses no more than these
SHORT_SIDE = 64  # of the soft labels kept, in pixels: objects, not outlines, are what a teacher is asked for


class Teacher:
    """An embedded network that tells a student what it thinks.

    Args:
        name: in the table of networks; it has to be trained.
        classes: of the student. Classes are matched by name; what the teacher alone knows becomes the background.
        side: working size of the teacher in pixels; None takes its own.

    Raises:
        InputError: it is untrained or unknown, lacks a class of the student's, or the side does not suit it.
    """

    def __init__(self, name: str, classes: Sequence[str], side: int | None = None) -> None:
        self.spec = find(name)
        self.side = check_input_size(self.spec.preprocessing, side)
        self.match = match_classes(self.spec, classes)
        self.network = self.spec.build(len(self.spec.classes)).eval().to(memory_format=torch.channels_last)
        if not checkpoints.load(self.network, self.spec):
            raise InputError(
                "teacher_untrained",
                "{network} is untrained and cannot teach. A teacher needs trained weights. Choose another with "
                "--teacher.",
                network=name,
            )

    def labels(self, pictures: Sequence[Bytes]) -> Iterator[Bytes]:
        """Yield what the teacher thinks of each picture.

        Args:
            pictures: each (h, w, 3) uint8.

        Yields:
            (K, short h, short w) uint8: probability of each class of the student's, 0 … 255 for 0 … 1.
        """
        for picture in pictures:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                prediction = predict(
                    self.network,
                    self.spec.preprocessing,
                    Image.fromarray(picture),
                    self.side,
                    reading=reading_of(self.spec),
                )
            yield self._small(prediction.probabilities[None], picture.shape[:2])

    def _small(self, probabilities: Tensor, size: tuple[int, ...]) -> Bytes:
        probabilities = torch.einsum("bchw,ck->bkhw", probabilities, self.match)  # (1, K, h, w)
        scale = min(1.0, SHORT_SIDE / min(size))
        smaller = [max(1, round(length * scale)) for length in size]
        small = functional.interpolate(probabilities, smaller, mode="bilinear", antialias=True)[0]
        return small.mul(255).round().clamp(0, 255).to(torch.uint8).numpy()


def match_classes(spec: Network, classes: Sequence[str]) -> Tensor:
    """Make the table (C, K) float32 of 0 and 1 that adds up a teacher's C classes to a student's K."""
    unknown = [name for name in classes if name not in spec.names]
    if unknown:
        raise InputError(
            "teacher_class_unknown",
            "{network} cannot teach {unknown}: it knows {classes}. Every class of the student has to be one of its "
            "own. Choose another teacher.",
            network=spec.name,
            unknown=", ".join(unknown),
            classes=", ".join(spec.names),
        )
    table = torch.zeros(len(spec.classes), len(classes))
    for index, name in enumerate(spec.names):
        table[index, list(classes).index(name) if name in classes else 0] = 1
    return table


def teach(teacher: Teacher, samples: Sequence[Sample], cache: Path) -> list[Bytes]:
    """Return the teacher's soft labels of all samples, from the cache where it has them.

    Args:
        teacher: asked once per picture.
        samples: the pictures.
        cache: folder in which the labels are kept; made if missing.

    Returns:
        For each sample (K, short h, short w) uint8.
    """
    folder = cache / f"{teacher.spec.name}-{teacher.side}-{fingerprint(samples)}"
    labels: list[Bytes] = []
    with tqdm(total=len(samples), desc=f"soft labels of {teacher.spec.name}", unit="picture") as bar:
        for start in range(0, len(samples), CHUNK):
            path = folder / f"{start:06}.npz"
            part = samples[start : start + CHUNK]
            found_before = _read(path, len(part))
            if found_before is None:
                found_before = list(teacher.labels([sample.picture for sample in part]))
                _write(path, found_before)
            labels.extend(found_before)
            bar.update(len(labels) - bar.n)
    return labels


def found(label: Bytes) -> float:
    """Return the share, 0 … 1, of the area on which a teacher finds anything but the background more probable.

    Args:
        label: (K, h, w) uint8, the teacher's probabilities, 0 … 255; the background is first.
    """
    return float((label.argmax(0) > 0).mean())


def _read(path: Path, count: int) -> list[Bytes] | None:
    """Read so many labels from a file of the cache; None where it is missing or damaged."""
    try:
        with np.load(path) as stored:
            return [stored[f"{index:06}"] for index in range(count)]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _write(path: Path, chunk: list[Bytes]) -> None:
    with replacing(path) as partial, partial.open("wb") as file:
        labels: dict[str, Any] = {f"{index:06}": label for index, label in enumerate(chunk)}
        np.savez(file, **labels)
