"""Layers and skip connections turned up and down: numbers by hand, and bit for bit a full pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segdemo import Cancelled, replace
from segdemo.engine import LocalEngine, Progress
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.explain.mixer import Ablation, Change, Mix, Mixed, Reduced, changed, skips_of
from segdemo.explain.replay import Placed
from segdemo.images import to_batch
from segdemo.networks import NETWORKS
from tests.explain.conftest import LINEAR, SIZE, Linear, network

NETWORK = "unet_mobilenet_v2"


@pytest.fixture(scope="module")
def red(engine: LocalEngine) -> str:
    """1.0 red and 0.2 green everywhere."""
    return engine.keep(Image.new("RGB", (SIZE, SIZE), (255, 51, 0)))


@pytest.fixture(scope="module")
def cat(engine: LocalEngine) -> str:
    return engine.keep(example("chelsea"))


def logits(engine: LocalEngine, picture: str, *changes: Change) -> object:
    """Logits of the two-layer network at one pixel; it adds twice what came in, rectified, to what came in."""
    mixed: Mixed = engine.answer(Mix("skipping", picture, changes))
    return pytest.approx(mixed.result.logits[:, 4, 4].tolist(), abs=1e-6)


def test_a_skip_connection_is_turned_down_without_the_way_beside_it(engine: LocalEngine, red: str) -> None:
    assert logits(engine, red) == [3.0, -0.2]
    assert logits(engine, red, Change("Entrance", "Sum", 0.0)) == [2.0, 0.0]
    assert logits(engine, red, Change("Entrance", "Sum", 2.0)) == [4.0, -0.4]
    assert logits(engine, red, Change("Entrance", factor=0.5)) == [1.5, -0.1]  # both ways
    assert logits(engine, red, Change("Double", factor=0.0)) == [1.0, -0.2]


def test_maps_of_a_smaller_size_are_those_of_the_result_in_that_size(engine: LocalEngine, cat: str) -> None:
    change = Change("Encoder 4", "Decoder 4", 0.0)
    whole: Mixed = engine.answer(Mix(NETWORK, cat, (change,), 96))
    small: Mixed = engine.answer(Mix(NETWORK, cat, (change,), 96, longest=100))
    assert small.result.size == (100, 67) == engine.answer(Reduced(cat, 100)).size  # of 451 × 300
    np.testing.assert_array_equal(small.result.logits, whole.result.logits)
    before, after = whole.before.at((100, 67)).mask, whole.result.at((100, 67)).mask
    np.testing.assert_array_equal(small.changed, before != after)
    large: Mixed = engine.answer(Mix(NETWORK, cat, (change,), 96, longest=4000))
    np.testing.assert_array_equal(large.changed, whole.changed)


class Writing(Linear):
    """The linear network, which halves its batch before, and adds red and green of that to its logits."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return logits (B, 2, H, W)."""
        return super().forward(batch.mul_(0.5)) + batch[:, :2]


def test_a_network_that_writes_into_its_batch_finds_the_picture_there_at_every_move() -> None:
    engine = LocalEngine({"writing": network("writing", Writing, LINEAR.stages)})
    try:
        picture = engine.keep(Image.new("RGB", (SIZE, SIZE), (255, 51, 0)))
        moves = [Mix("writing", picture, (Change("Second", factor=factor),), SIZE) for factor in (0.5, 1.5, 2.0)]
        found = [engine.answer(move).result.logits[:, 4, 4].tolist() for move in moves]
        kept = engine.recall(Placed("writing", picture, SIZE))
    finally:
        engine.close()
    once, added = np.array([1.6, 0.7]), np.array([0.5, 0.1])  # of half the red and half the green
    assert kept is not None  # placed once, for all moves
    assert found == [pytest.approx((factor * once + added).tolist(), abs=1e-6) for factor in (0.5, 1.5, 2.0)]


def test_single_channels_are_switched_off(engine: LocalEngine, red: str) -> None:
    assert logits(engine, red, Change("Entrance", "Sum", 0.0, channels=(1,))) == [3.0, 0.0]
    assert logits(engine, red, Change("Entrance", factor=0.0, channels=(0,))) == [0.0, -0.2]


def test_a_mean_and_noise_keep_the_figures_of_each_channel() -> None:
    values = torch.arange(2 * 64 * 64, dtype=torch.float32).view(1, 2, 64, 64)
    mean = changed(values, Change("x", instead="mean"))
    np.testing.assert_allclose(mean[0, :, 0, 0], values[0].mean((1, 2)))
    assert mean[0].std((1, 2)).tolist() == [0, 0]
    noise = changed(values, Change("x", instead="noise", seed=3))
    np.testing.assert_allclose(noise[0].mean((1, 2)), values[0].mean((1, 2)), rtol=0.05)
    np.testing.assert_allclose(noise[0].std((1, 2)), values[0].std((1, 2)), rtol=0.05)
    assert torch.equal(noise, changed(values, Change("x", instead="noise", seed=3)))
    assert not torch.equal(noise, changed(values, Change("x", instead="noise", seed=4)))


@pytest.mark.parametrize("name", [name for name, spec in NETWORKS.items() if spec.task == "segmentation"])
def test_nothing_changed_is_bit_for_bit_the_run(engine: LocalEngine, cat: str, name: str) -> None:
    skips = skips_of(NETWORKS[name])
    changes = (*(Change(skip.source, skip.into, 1.0) for skip in skips), Change(NETWORKS[name].stages[0].label))
    mixed: Mixed = engine.answer(Mix(name, cat, changes, size=NETWORKS[name].preprocessing.sizes[0]))
    np.testing.assert_array_equal(mixed.result.logits, mixed.before.logits)
    assert mixed.percent == 0 and not mixed.changed.any()


@pytest.mark.parametrize("name", [name for name, spec in NETWORKS.items() if skips_of(spec)])
def test_every_skip_connection_of_every_figure_carries_something(engine: LocalEngine, cat: str, name: str) -> None:
    for skip in skips_of(NETWORKS[name]):
        change = Change(skip.source, skip.into, 0.0)
        mixed: Mixed = engine.answer(Mix(name, cat, (change,), size=NETWORKS[name].preprocessing.sizes[0]))
        assert not np.array_equal(mixed.result.logits, mixed.before.logits), skip


def test_a_changed_stage_is_bit_for_bit_a_full_pass_in_which_it_is_replaced(engine: LocalEngine, cat: str) -> None:
    mixed: Mixed = engine.answer(Mix(NETWORK, cat, (Change("Encoder 3", factor=0.5),)))
    module, rule = engine.open(NETWORK).module, engine.networks[NETWORK].preprocessing
    batch, placement = to_batch(engine.picture(cat).picture, rule)
    with torch.inference_mode(), replace(module, {"features.6": lambda output: output * 0.5}):
        expected = module(batch)[0, :, : placement.resized[1], : placement.resized[0]]
    np.testing.assert_array_equal(mixed.result.logits, expected.numpy())
    np.testing.assert_array_equal(mixed.changed, mixed.result.mask != mixed.before.mask)
    shares = {name: (before, after) for name, before, after in mixed.shares}
    assert sum(after for _, after in shares.values()) == pytest.approx(100)
    assert mixed.percent == pytest.approx(100 * (mixed.result.mask != mixed.before.mask).mean())
    assert not engine.open(NETWORK).changed


def test_channels_are_ranked_by_what_the_class_loses(engine: LocalEngine, red: str) -> None:
    ranks = engine.answer(Ablation("linear", red, "First", "one"))
    # the class has logit 3 red + 1 green = 3.2: without red it loses 3, without green 0.2; then 1 red + 2 green wins
    assert [rank.channel for rank in ranks] == [0, 1]
    assert [rank.loss for rank in ranks] == pytest.approx([3.0, 0.2], abs=1e-5)
    assert [rank.changed for rank in ranks] == [100.0, 0.0]
    assert engine.answer(Ablation("linear", red, "First", "one", (1,))) == (ranks[1],)


def test_a_ranking_tells_how_far_it_is_and_stops_when_nobody_waits(engine: LocalEngine, cat: str) -> None:
    events = engine.ask(Ablation(NETWORK, cat, "Decoder 1", "cat"))
    for event in events:
        if isinstance(event, Progress) and event.total == 48:
            break
    else:
        pytest.fail("no progress was told")
    events.close()
    wanted = iter([True] * 3)
    with pytest.raises(Cancelled):
        engine.answer(Ablation(NETWORK, cat, "Decoder 2", "cat"), lambda: next(wanted, False))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"layer": "Nowhere"}, "unknown_stage"),
        ({"layer": "Encoder 1", "factor": 2.1}, "factor_range"),
        ({"layer": "Encoder 1", "factor": float("nan")}, "factor_range"),
        ({"layer": "Encoder 1", "instead": "silence"}, "change_kind"),
        ({"layer": "Encoder 1", "factor": 0.0, "channels": (16,)}, "unknown_channel"),
        ({"layer": "Encoder 1", "into": "Decoder 4"}, "unknown_skip"),
    ],
)
def test_what_cannot_be_changed_is_refused_in_one_sentence(
    engine: LocalEngine, cat: str, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(InputError) as refused:
        engine.answer(Mix(NETWORK, cat, (Change(**change),)))
    assert refused.value.code == code
