"""Linear read-outs: on stages of which it is known what can be read out of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.explain import readout
from segdemo.explain.readout import LinearReadout, Readout, StageReadout, first, places_of, read_out, same_half
from segdemo.questions import Run
from segdemo.results import Result
from tests.explain.conftest import SIZE

NETWORK = "unet_mobilenet_v2"


@pytest.fixture(scope="module")
def stripes(engine: LocalEngine) -> str:
    """Red and green in turns, four pixels each."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    red = np.arange(SIZE) // 4 % 2 == 0
    pixels[:, red, 0], pixels[:, ~red, 1] = 255, 255
    return engine.keep(Image.fromarray(pixels))


def test_classes_that_two_channels_hold_are_read_out_of_them(engine: LocalEngine, stripes: str) -> None:
    found: Readout = engine.answer(LinearReadout("linear", stripes, (5, 9)))
    assert found.winner == "other" and [stage.label for stage in found.stages] == ["First", "Second"]
    assert all(stage.agreement == 1 and stage.says == "other" for stage in found.stages) and found.first == "First"
    assert found.fitted + found.held == SIZE * SIZE + 1


def test_a_linear_boundary_is_found_and_one_that_is_not_linear_is_not() -> None:
    values = np.random.default_rng(0).normal(size=(4000, 2))
    fitting = np.arange(4000) % 2 == 1
    linear, ring = (values @ [2.0, -1.0] > 0.5).astype(int), ((values**2).sum(1) > 1.4).astype(int)
    agreement, chance, _ = read_out(values, linear, fitting)
    assert agreement > 0.95 and 0.3 < chance < 0.7
    agreement, chance, _ = read_out(values, ring, fitting)
    assert abs(agreement - 0.5) < 0.1 and abs(chance - 0.5) < 0.2


def test_channels_that_say_nothing_or_are_not_finite_say_nothing() -> None:
    labels = np.arange(200) % 2
    fitting = np.arange(200) // 2 % 2 == 1
    for nothing in (np.zeros((200, 3)), np.full((200, 3), np.nan)):
        agreement, chance, _ = read_out(nothing, labels, fitting)
        assert agreement == chance == 0.5


def test_rare_classes_weigh_as_much_as_frequent_ones() -> None:
    labels = (np.arange(1000) % 20 == 0).astype(int)
    assert readout.agreement_of(np.zeros(1000, int), labels) == 0.5  # not 0.95


def test_the_pixel_lies_in_the_half_that_nothing_is_fitted_on() -> None:
    places = places_of((64, 32), (9, 3))
    assert places[0].tolist() == [9, 3] and len(places) == 1 + 64 * 32
    half = same_half(places, (64, 32), (9, 3))  # blocks of 8 × 8: the pixel's is the second of the first row
    at = {(int(x), int(y)): bool(mine) for (x, y), mine in zip(places[1:], half[1:], strict=True)}
    assert half[0] and at[8, 0] and at[15, 7] and at[0, 8] and not at[0, 0] and not at[16, 0] and not at[8, 8]
    assert half[1:].mean() == 0.5


def test_the_first_stage_is_the_one_from_which_on_all_say_so() -> None:
    said = ["dog", "cat", None, "cat", "cat"]
    stages = [StageReadout(str(place), "", 0.9, 0.5, name) for place, name in enumerate(said)]
    assert first(stages, "cat") == "3" and first(stages, "dog") is None and first([], "cat") is None


def test_of_a_photograph_the_last_stage_says_what_the_network_says(engine: LocalEngine) -> None:
    picture = engine.keep(example("chelsea"))
    result: Result = engine.answer(Run(NETWORK, picture))
    found: Readout = engine.answer(LinearReadout(NETWORK, picture, (200, 150)))
    assert found.winner == result.names[result.class_at((200, 150))] == "cat"
    assert found.stages[-1].says == "cat" and found.stages[-1].agreement > 0.9
    assert found.stages[0].agreement < found.stages[-1].agreement and found.first is not None


@pytest.mark.parametrize(
    ("network", "point", "code"),
    [
        ("linear", (SIZE, 0), "point_outside"),
        ("lenet", (3, 3), "readout_classifier"),
        ("linear", (0, 0), "readout_classes"),
    ],
)
def test_what_cannot_be_read_out_is_refused_in_one_sentence(
    engine: LocalEngine, network: str, point: tuple[int, int], code: str
) -> None:
    picture = engine.keep(Image.new("RGB", (SIZE, SIZE), (255, 51, 0)))  # of one class
    with pytest.raises(InputError) as refused:
        engine.answer(LinearReadout(network, picture, point))
    assert refused.value.code == code
