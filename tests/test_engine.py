"""The engine: every question answered once, in turn, from a thread of its own; what is remembered cannot be changed."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segdemo.engine import Bench, Cancelled, LocalEngine, Progress, Question
from segdemo.errors import InputError
from segdemo.networks import Network, Preprocessing, Stage
from segdemo.networks.classes import declare
from segdemo.questions import Activation, Catalogue, Drawing, Layers, LayerSummary, Run

RULE = Preprocessing(size=32, sizes=(32, 64), stride=16)


def build(classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, classes, 1))


SMALL = Network(
    name="small",
    title="Small",
    task="segmentation",
    build=build,
    classes=declare(("background", "cat")),
    stages=(Stage("First", "0", 0, 0), Stage("Last", "2", 0, 1, inputs=("First",))),
    preprocessing=RULE,
    source="",
)


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    with_two = LocalEngine({"small": SMALL, "other": replace(SMALL, name="other")})
    yield with_two
    with_two.close()


@dataclass(frozen=True)
class Count(Question):
    """How often it was worked out; waits for a signal before each answer."""

    number: int
    worked_out: list[int]
    release: threading.Event

    def __hash__(self) -> int:
        return self.number

    def answer(self, bench: Bench) -> np.ndarray:
        self.worked_out.append(self.number)
        while not self.release.wait(0.01):
            bench.check()
        return np.array([self.number])


@dataclass(frozen=True)
class InWhatState(Question):
    """The ambient state of PyTorch that passes run in."""

    network: str
    step: int | None = None

    def answer(self, bench: Bench) -> dict[str, Any]:
        assert not bench.module.training
        return {
            "grad": torch.is_grad_enabled(),
            "autocast": torch.is_autocast_enabled("cpu"),
            "device": torch.empty(()).device.type,
        }


@dataclass(frozen=True)
class Slope(Question):
    """The gradient of the summed logits with respect to the batch: needs gradients."""

    network: str
    picture: str
    size: int | None = None
    step: int | None = None
    grad = True

    def answer(self, bench: Bench) -> np.ndarray:
        batch = bench.batch.clone().requires_grad_()
        (slope,) = torch.autograd.grad(bench.module(batch).sum(), batch)
        return slope.numpy()


def asked(engine: LocalEngine, picture: Image.Image) -> Run:
    return Run("small", engine.keep(picture))


def test_a_run_holds_what_the_network_puts_out(engine: LocalEngine, picture: Image.Image) -> None:
    result = engine.answer(asked(engine, picture))
    module = engine.open("small").module
    batch = torch.from_numpy(np.array(picture.resize((32, 21), Image.Resampling.BILINEAR))).permute(2, 0, 1)[None]
    padded = torch.zeros(1, 3, 32, 32)
    padded[..., :21, :] = batch.float() / 255
    with torch.no_grad():
        assert torch.equal(torch.from_numpy(result.logits.copy()), module(padded)[0, :, :21])
    assert (result.size, result.input_size, result.trained) == ((48, 32), 32, False)
    assert list(result.layers) == ["First", "Last"]


def test_progress_comes_before_the_answer_and_the_answer_last(engine: LocalEngine) -> None:
    release = threading.Event()
    events = engine.ask(Count(1, [], release))
    assert next(events) == Progress()
    release.set()
    *others, answer = events
    assert all(isinstance(event, Progress) for event in others)
    assert answer.tolist() == [1]


def test_equal_questions_asked_at_once_are_worked_out_once(engine: LocalEngine) -> None:
    release = threading.Event()
    question = Count(7, [], release)
    asking = [engine.ask(question) for _ in range(8)]
    for events in asking:
        next(events)  # all of them wait
    release.set()
    answers = [list(events)[-1] for events in asking]
    assert question.worked_out == [7]
    assert all(answer is answers[0] for answer in answers)
    assert engine.answer(question) is answers[0]
    assert question.worked_out == [7]


def test_what_is_under_way_when_all_is_forgotten_is_neither_remembered_nor_joined(engine: LocalEngine) -> None:
    question = Count(5, [], threading.Event())
    before = engine.ask(question)
    next(before)
    engine.forget_answers()
    after = engine.ask(question)
    next(after)
    question.release.set()
    assert list(before)[-1] is not list(after)[-1]
    assert question.worked_out == [5, 5]


def test_what_is_remembered_is_answered_while_another_question_is_worked_on(
    engine: LocalEngine, picture: Image.Image
) -> None:
    run = asked(engine, picture)
    result = engine.answer(run)
    release = threading.Event()
    busy = engine.ask(Count(1, [], release))
    next(busy)
    assert engine.answer(run) is result
    release.set()
    list(busy)


def test_work_ends_when_the_last_who_waits_leaves_and_not_before(engine: LocalEngine) -> None:
    question = Count(3, [], threading.Event())
    first, second = engine.ask(question), engine.ask(question)
    next(first), next(second)
    first.close()
    assert isinstance(next(second), Progress)
    second.close()
    other = Count(4, [], threading.Event())
    other.release.set()
    assert engine.answer(other).tolist() == [4]  # the worker is free: the first question was given up
    assert question.worked_out == [3]
    question.release.set()
    assert engine.answer(question).tolist() == [3]
    assert question.worked_out == [3, 3]


def test_who_no_longer_wants_an_answer_does_not_wait_for_its_turn(engine: LocalEngine, picture: Image.Image) -> None:
    release = threading.Event()
    busy = engine.ask(Count(1, [], release))
    next(busy)
    with pytest.raises(Cancelled):
        engine.answer(asked(engine, picture), lambda: False)
    release.set()
    list(busy)


def test_a_cancelled_run_stops_before_the_next_layer_and_leaves_no_hook(
    engine: LocalEngine, picture: Image.Image
) -> None:
    ran: list[str] = []
    module = engine.open("small").module
    wanted = True

    def stop_after_the_first(*_: object) -> None:
        nonlocal wanted
        ran.append("conv")
        wanted = False

    with (
        module[0].register_forward_hook(stop_after_the_first),  # type: ignore[index]
        module[2].register_forward_hook(lambda *_: ran.append("last")),  # type: ignore[index]
        pytest.raises(Cancelled),
    ):
        engine.answer(asked(engine, picture), lambda: wanted)
    assert ran == ["conv"]
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_passes_run_in_a_state_of_their_own(engine: LocalEngine) -> None:
    with torch.autocast("cpu", torch.bfloat16), torch.device("meta"):
        assert engine.answer(InWhatState("small")) == {"grad": False, "autocast": False, "device": "cpu"}


def test_a_question_that_needs_gradients_gets_them(engine: LocalEngine, picture: Image.Image) -> None:
    slope = engine.answer(Slope("small", engine.keep(picture)))
    module = engine.open("small").module
    with torch.enable_grad():
        batch = torch.zeros(1, 3, 32, 32)
        pixels = np.array(picture.resize((32, 21), Image.Resampling.BILINEAR))
        batch[..., :21, :] = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
        batch.requires_grad_()
        module(batch).sum().backward()
    assert batch.grad is not None and np.array_equal(slope, batch.grad.numpy())
    assert all(parameter.grad is None for parameter in LocalEngine.open(engine, "other").module.parameters())


@pytest.mark.parametrize(
    "question",
    [
        lambda fingerprint: Run("small", fingerprint),
        lambda fingerprint: Activation("small", fingerprint, "First"),
        lambda fingerprint: LayerSummary("small", fingerprint, "1"),
        lambda _: Layers("small"),
        lambda _: Catalogue(),
    ],
    ids=["Run", "Activation", "LayerSummary", "Layers", "Catalogue"],
)
def test_a_question_and_its_answer_travel_as_pickles(
    engine: LocalEngine, picture: Image.Image, question: Callable[[str], Question]
) -> None:
    asked = question(engine.keep(picture))
    assert pickle.loads(pickle.dumps(asked)) == asked
    answer = engine.answer(asked)
    again = pickle.loads(pickle.dumps(answer))
    assert type(again) is type(answer)


def test_no_array_of_an_answer_can_be_written(engine: LocalEngine, picture: Image.Image) -> None:
    run = asked(engine, picture)
    result, activation = engine.answer(run), engine.answer(Activation("small", run.picture, "0"))
    summary = result.layers["First"]
    arrays = [
        result.logits,
        result.mask,
        activation,
        summary.thumbnails,
        summary.counts,
        *vars(summary.channels).values(),
    ]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_the_channel_of_an_activation_is_a_part_of_it(engine: LocalEngine, picture: Image.Image) -> None:
    fingerprint = engine.keep(picture)
    whole = engine.answer(Activation("small", fingerprint, "First"))
    assert whole.shape == (4, 32, 32)
    assert np.array_equal(engine.answer(Activation("small", fingerprint, "0", channel=2)), whole[2])
    with pytest.raises(InputError, match="First has no channel 4; its channels are 0 to 3"):
        engine.answer(Activation("small", fingerprint, "First", channel=4))


def test_the_same_pixels_are_one_picture_and_the_same_bytes_in_another_shape_another(engine: LocalEngine) -> None:
    wide, high = Image.new("RGB", (40, 20), "teal"), Image.new("RGB", (20, 40), "teal")
    assert engine.keep(wide) == engine.keep(wide.copy())
    assert engine.keep(wide) != engine.keep(high)


def test_a_picture_leaves_when_others_need_its_place_and_is_asked_for_again() -> None:
    engine = LocalEngine({"small": SMALL}, pictures=3 * 32 * 32 + 100)
    first = engine.keep(Image.new("RGB", (32, 32), "red"))
    assert engine.picture(first).picture.size == (32, 32)
    engine.keep(Image.new("RGB", (32, 32), "blue"))
    with pytest.raises(InputError, match=r"no longer kept.*run it once more"):
        engine.answer(Run("small", first))
    engine.close()


def test_a_network_nobody_asked_for_lately_leaves_memory() -> None:
    weights = sum(parameter.nbytes for parameter in build(2).parameters())
    engine = LocalEngine({"small": SMALL, "other": replace(SMALL, name="other")}, modules=weights + 100)
    first = engine.open("small")
    assert engine.open("small") is first
    engine.open("other")
    assert engine.open("small") is not first
    engine.close()


def test_a_thousand_answers_take_no_more_than_the_bound() -> None:
    release = threading.Event()
    release.set()
    engine = LocalEngine({}, answers=2_000)
    for number in range(1000):
        engine.answer(Count(number, [], release))
    assert engine._answers.used <= 2_000
    engine.close()


def test_errors_reach_everybody_who_waits_and_are_not_remembered(engine: LocalEngine, picture: Image.Image) -> None:
    fingerprint = engine.keep(picture)
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(engine.answer, Run("nothing", fingerprint)) for _ in range(4)]
        for future in waiting:
            with pytest.raises(InputError, match="no network called “nothing”"):
                future.result(timeout=60)


def test_closing_ends_the_work_under_way() -> None:
    engine = LocalEngine({})
    events = engine.ask(Count(1, [], threading.Event()))
    next(events)
    engine.close()
    with pytest.raises(Cancelled):
        list(events)


def test_the_catalogue_lists_the_networks_of_the_engine(engine: LocalEngine) -> None:
    facts = engine.answer(Catalogue())
    assert [(one.name, one.title, one.sizes, one.trained) for one in facts] == [
        ("small", "Small", (32, 64), False),
        ("other", "Small", (32, 64), False),
    ]


def test_layers_are_listed_with_the_shapes_of_the_pictures_batch(engine: LocalEngine) -> None:
    layers = engine.answer(Layers("small", 32, (48, 20)))
    assert [(layer.name, layer.type, layer.shape) for layer in layers] == [
        ("0", "Conv2d", (4, 16, 32)),
        ("1", "ReLU", (4, 16, 32)),
        ("2", "Conv2d", (2, 16, 32)),
    ]


def test_what_computes_nothing_is_answered_while_a_run_goes_on_and_a_strangers_network_waits(
    engine: LocalEngine,
) -> None:
    release = threading.Event()
    with ThreadPoolExecutor(2) as askers:
        held = askers.submit(engine.answer, Count(1, [], release))
        assert next(info.name for info in engine.answer(Layers("small"))) == "0"
        assert [stage.label for stage in engine.answer(Drawing("small")).stages] == ["First", "Last"]
        assert len(engine.answer(Catalogue())) == 2
        engine.adopt(replace(engine.open("other"), spec=replace(SMALL, name="other", weights="given")))
        waiting = askers.submit(engine.answer, Layers("other"))
        assert not waiting.done() and not held.done()
        assert not engine._desk._work_queue.qsize()
        release.set()
        assert waiting.result() and held.result() == [1]
