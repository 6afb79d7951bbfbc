"""The Python that asks a question gives, when it is run, what the question gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo.engine import LocalEngine, Question
from segdemo.examples import example
from segdemo.explain.autopsy import PixelAutopsy
from segdemo.explain.compare import Compare, altered
from segdemo.explain.evidence import ClassEvidence
from segdemo.explain.hooks import HonestHook, NaiveHooks
from segdemo.explain.mixer import Ablation, Change, Mix
from segdemo.explain.python import as_python
from segdemo.questions import OFFERED, Activation, Layers, LayerSummary, Run
from tests.explain.conftest import Linear

FILE = str(example("chelsea"))
NETWORK = "unet_narrow"


def told(code: str, **given: Any) -> Any:
    """Run code, and return what it calls the answer."""
    names: dict[str, Any] = {}
    for name, value in given.items():
        (line,) = (line for line in code.splitlines() if line.startswith(f"{name} = ..."))
        code, names[name] = code.replace(line, ""), value
    exec(code.replace("print(", "("), names)
    names["engine"].close()
    return names["answer"]


def same(one: Any, other: Any) -> bool:
    return bool(np.all(one == other)) if isinstance(one, np.ndarray) else bool(one == other)


@pytest.mark.parametrize(
    ("question", "of"),
    [
        (Run(NETWORK, "", 96), lambda answer: answer.logits),
        (Run(NETWORK, "", 96, step=0), lambda answer: answer.logits),
        (Activation(NETWORK, "", "Encoder 1", 3, 96), lambda answer: answer),
        (LayerSummary(NETWORK, "", "Encoder 1", 96), lambda answer: answer.channels.mean_abs),
        (Layers(NETWORK, 96), lambda answer: answer),
        (PixelAutopsy(NETWORK, "", (5, 6), 96), lambda answer: (answer.margin, answer.point)),
        (
            ClassEvidence(NETWORK, "", "Decoder 1", where="region", region=((3, 4), (90, 80)), size=96),
            lambda answer: answer.map,
        ),
        (Mix(NETWORK, "", (Change("Encoder 1", "Decoder 1", 0.0),), 96), lambda answer: answer.percent),
        (Ablation(NETWORK, "", "Decoder 1", "foreground", (2, 1), 96), lambda answer: answer),
        (NaiveHooks(NETWORK, 96), lambda answer: answer),
        (HonestHook(NETWORK, "", "inc", 96), lambda answer: answer.truth),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Question) else "",
)
def test_a_question_is_asked_again(engine: LocalEngine, question: Any, of: Any) -> None:
    if hasattr(question, "picture"):
        question = replace(question, picture=engine.keep(FILE))
    assert same(of(told(as_python(question, FILE))), of(engine.answer(question)))


def test_two_pictures_are_two_and_an_altered_one_is_altered_again(engine: LocalEngine, tmp_path: Path) -> None:
    file = tmp_path / "small.png"
    with Image.open(FILE) as opened:
        opened.resize((90, 60)).save(file)
    one = engine.keep(file)
    other = engine.keep(altered(engine.picture(one).picture, "blurred", 0.7))
    question = Compare(Run(NETWORK, one, 96), Run(NETWORK, other, 96))
    code = as_python(
        question, str(file), value="answer.percent", others={other: "altered(load_picture({file}), 'blurred', 0.7)"}
    )
    assert told(code).percent == engine.answer(question).percent > 0
    assert code.endswith("print(answer.percent)\n")


def test_what_the_page_offers_beside_our_networks_is_found() -> None:
    name = next(name for name in OFFERED if name.startswith("lraspp"))
    code = as_python(Layers(name, 96))
    assert {info.name for info in told(code)} and "LocalEngine(OFFERED)" in code


def test_a_network_of_somebodys_own_is_handed_over() -> None:
    code = as_python(Run("linear", "", 32), FILE)
    assert told(code, network=Linear()).network == "linear"
