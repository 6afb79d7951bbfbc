"""An engine for what the page's handlers answer, a made-up run and an engine that knows no other, and visitors."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import Mock

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from segdemo.engine import LocalEngine, Question, ShouldContinue, always
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.images import Placement
from segdemo.networks import DEFAULT
from segdemo.networks.classes import declare
from segdemo.networks.network import Stage
from segdemo.pictures import PictureSource, Read, load_picture
from segdemo.questions import Catalogue, Drawing, Figure, Layers, Run
from segdemo.results import LayerInfo, NetworkFacts, Result
from segdemo.summaries import Preview, summarise


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    """The networks as they are."""
    engine = LocalEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def cat(engine: LocalEngine) -> Run:
    """The cat through the first network, at 257 pixels."""
    return Run(DEFAULT, engine.keep(example("chelsea")), 257)


def visitor(name: str = "visitor", language: str = "en", **query: str) -> gr.Request:
    """Somebody who asks."""
    cookies = {"segdemo_language": language}
    return Mock(spec=gr.Request, session_hash=name, query_params=query, cookies=cookies, headers={})


def picked(value: Any) -> gr.EventData:
    """An event by which something is picked."""
    return Mock(spec=gr.EventData, value=value)


FACTS = NetworkFacts(
    name="made_up",
    title="Made up",
    task="segmentation",
    classes=declare(("background", "cat", "dog")),
    size=24,
    sizes=(24, 48),
    steps=(0, 10),
    stages=(
        Stage("Encoder 1", "inc", 0, 0, inside=(Stage("Encoder 1 · conv 1", "inc.0", 0, 0),)),
        Stage("Logits", "outc", 0, 1, inputs=("Encoder 1",), skips=("Encoder 1",)),
    ),
    trained=True,
    source="https://localhost/paper",
    card="",
)
RUN = Run("made_up", "0" * 32, 24)
CALLS = (
    LayerInfo("inc.0", "Conv2d", (10, 8, 12)),
    LayerInfo("inc", "DoubleConv", (10, 8, 12)),
    LayerInfo("outc", "Conv2d", (3, 8, 12)),
)


def activation() -> torch.Tensor:
    """Return what "Encoder 1" put out, (1, 10, 8, 12): channel c runs from 0 to c; 3 is NaN and inf in places."""
    steps = torch.linspace(0, 1, 8 * 12).reshape(8, 12)
    values = steps * torch.arange(10.0)[:, None, None]
    values[3, 0, :3] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    return values[None]


def logits() -> np.ndarray:
    """Return three classes over the picture, (3, 32, 48): the upper half is background, the lower half cat."""
    values = np.zeros((3, 32, 48), np.float32)
    values[0, :16], values[1, 16:] = 3, 5
    return values


def made_up(picture: Image.Image, **changes: Any) -> Result:
    """Return the answer to ``RUN``.

    Args:
        picture: 48 × 32 (width, height).
        changes: to its fields.
    """
    encoder = summarise(activation())
    thumbnail = np.arange(96, dtype=np.uint8).reshape(8, 12)
    fields: dict[str, Any] = {
        "network": "made_up",
        "known": FACTS.classes,
        "trained": True,
        "step": None,
        "input_size": 24,
        "size": picture.size,
        "placement": Placement(picture.size, (24, 16), (24, 24)),
        "seen": picture.resize((24, 24)),
        "logits": logits(),
        "layers": {"Encoder 1": encoder, "Logits": summarise(-activation()[:, :3])},
        "previews": {"Encoder 1 · conv 1": Preview((10, 8, 12), 7, thumbnail, 1, -1.0, 1.0)},
        "seconds": 0.125,
    }
    return Result(**{**fields, **changes})


@dataclass
class Table:
    """An engine that has its answers from a table, and works nothing out.

    Args:
        answers: by question.
        pictures: by fingerprint.
        asked: every question so far.
    """

    answers: dict[Question, Any]
    pictures: dict[str, Image.Image]
    asked: list[Question] = field(default_factory=list)

    def keep(self, picture: PictureSource) -> str:
        """Take any picture for the one there is."""
        load_picture(picture)
        return RUN.picture

    def keeps(self, fingerprint: str) -> bool:
        """Say whether a picture is there."""
        return fingerprint in self.pictures

    def picture(self, fingerprint: str) -> Read:
        """Return a picture."""
        if fingerprint not in self.pictures:
            raise InputError("picture_forgotten", "The picture is no longer kept.")
        return Read(self.pictures[fingerprint])

    def ask(self, question: Question, should_continue: ShouldContinue = always) -> Generator[Any, None, None]:
        """Yield the answer."""
        yield self.answer(question)

    def close(self) -> None:
        """Nothing is under way."""

    def answer(self, question: Question, should_continue: ShouldContinue = always) -> Any:
        """Return the answer."""
        self.asked.append(question)
        return self.answers[question]


@pytest.fixture
def table(picture: Image.Image) -> Table:
    """The made-up run alone."""
    answers: dict[Question, Any] = {
        Catalogue(): (FACTS,),
        Drawing("made_up"): Figure(FACTS.stages, "chain"),
        RUN: made_up(picture),
        Layers("made_up", 24, picture.size): CALLS,
        Layers("made_up", 24, None): CALLS,
    }
    return Table(answers, {RUN.picture: picture})


@dataclass
class Kept:
    """Where a panel's files go: by their address.

    Args:
        files: contents by address.
    """

    files: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, content: bytes, name: str) -> dict[str, str]:
        """Keep a file."""
        url = f"kept/{len(self.files)}/{name}"
        self.files[url] = content
        return {"name": name, "url": url}


@pytest.fixture
def kept() -> Kept:
    """No files yet."""
    return Kept()
