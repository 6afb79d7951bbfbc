"""The Segmenter: exact, one at a time, remembered, stopped at once when cancelled."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache, partial

import numpy as np
import pytest
import torch
from PIL import Image

from segdemo import Cancelled, InputError, Segmenter, checkpoints
from segdemo.examples import example
from segdemo.images import load_picture, to_batch
from segdemo.summaries import summarise

SIDE = 257


@cache
def segmenter_of(network: str, step: int | None = None) -> Segmenter:
    """One for all tests; loading takes a while."""
    return Segmenter(network, step)


@pytest.fixture(scope="module")
def deeplab() -> Segmenter:
    return segmenter_of("deeplabv3_mobilenet_v2")


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    return load_picture(example("chelsea"))


def shares(segmenter: Segmenter, name: str) -> dict[str, float]:
    found = segmenter.run(load_picture(example(name))).classes
    return {share.name: share.percent for share in found if share.percent > 1}


def test_astronaut_cat_and_motorcycle_are_recognised(deeplab: Segmenter) -> None:
    assert set(shares(deeplab, "astronaut")) == {"background", "person"}
    assert set(shares(deeplab, "chelsea")) == {"background", "cat"}
    assert set(shares(deeplab, "motorcycle")) == {"background", "motorbike"}
    assert 35 < shares(deeplab, "astronaut")["person"] < 50
    assert 70 < shares(deeplab, "chelsea")["cat"] < 85
    assert 25 < shares(deeplab, "motorcycle")["motorbike"] < 40


def outline(network: str, name: str, sought: str) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    result = segmenter_of(network).run(load_picture(example(name)))
    return result.mask == next(share.index for share in result.classes if share.name == sought)


@pytest.mark.parametrize(
    ("network", "judge", "name", "sought", "least"),
    [
        ("unet_mobilenet_v2", "deeplabv3_mobilenet_v2", "astronaut", "person", 0.8),
        ("unet_mobilenet_v2", "deeplabv3_mobilenet_v2", "chelsea", "cat", 0.9),
        ("fcn_alexnet", "deeplabv3_mobilenet_v2", "astronaut", "person", 0.6),
        ("fcn_alexnet", "deeplabv3_mobilenet_v2", "chelsea", "cat", 0.85),
        ("unet", "u2netp", "astronaut", "foreground", 0.8),
        ("unet_bilinear", "u2netp", "astronaut", "foreground", 0.8),
        ("unet_narrow", "u2netp", "astronaut", "foreground", 0.8),
    ],
)
def test_what_was_trained_here_finds_what_others_find(
    network: str, judge: str, name: str, sought: str, least: float
) -> None:
    found, expected = outline(network, name, sought), outline(judge, name, sought)
    assert (found & expected).sum() / (found | expected).sum() > least


@torch.no_grad()
def test_a_run_says_what_the_bare_network_says(deeplab: Segmenter, cat: Image.Image) -> None:
    batch, placement = to_batch(cat, deeplab.spec.preprocessing, SIDE)
    logits = deeplab.network(batch)
    result = deeplab.run(cat, SIDE)
    width, height = placement.resized
    assert result.logits == pytest.approx(logits[0, :, :height, :width].numpy(), abs=1e-5)
    assert result.mask.shape == (cat.height, cat.width)
    assert result.size == cat.size
    assert result.seen.size == (SIDE, SIDE)


@torch.no_grad()
def test_activation_and_summary_are_those_of_the_layer(deeplab: Segmenter, cat: Image.Image) -> None:
    batch, _ = to_batch(cat, deeplab.spec.preprocessing, SIDE)
    stem = deeplab.network.get_submodule("stem")(batch)
    assert np.array_equal(deeplab.activation(cat, "Stem", size=SIDE), stem[0].numpy())
    assert np.array_equal(deeplab.activation(cat, "stem", channel=7, size=SIDE), stem[0, 7].numpy())
    expected = summarise(stem)
    for summary in (deeplab.run(cat, SIDE).layers["Stem"], deeplab.summary(cat, "stem", SIDE)):
        assert (summary.minimum, summary.maximum, summary.zero_share) == (
            expected.minimum,
            expected.maximum,
            expected.zero_share,
        )
        assert np.array_equal(summary.thumbnails, expected.thumbnails)


@torch.no_grad()
def test_every_stage_has_its_summary_and_every_inner_stage_its_preview(cat: Image.Image) -> None:
    segmenter = segmenter_of("u2netp")
    result = segmenter.run(cat, 192)
    assert list(result.layers) == [stage.label for stage in segmenter.spec.stages]
    outer = {stage.layer for stage in segmenter.spec.stages}
    inner = {stage.label: stage.layer for outer in segmenter.spec.stages for stage in outer.inside}
    assert set(result.previews) == {label for label, layer in inner.items() if layer not in outer}
    assert len(result.previews) > 50
    exact_by_layer: dict[str, torch.Tensor] = {}
    with ExitStack() as hooks:
        for layer in inner.values():
            module = segmenter.network.get_submodule(layer)
            keep = partial(lambda layer, _, __, output: exact_by_layer.update({layer: output[0].clone()}), layer)
            hooks.enter_context(module.register_forward_hook(keep))
        segmenter.network(to_batch(cat, segmenter.spec.preprocessing, 192)[0])
    for label, seen in result.previews.items():
        exact = exact_by_layer[inner[label]].numpy()
        shown = exact[seen.channel, :: seen.step, :: seen.step]
        assert seen.shape == exact.shape
        assert (seen.low, seen.high) == (shown.min(), shown.max())
        assert seen.thumbnail.shape == shown.shape


def test_an_activation_is_computed_no_further_than_needed(deeplab: Segmenter, cat: Image.Image) -> None:
    ran: list[str] = []
    handles = [
        module.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
        for name, module in deeplab.network.named_modules()
    ]
    deeplab.activation(cat, "Block 0", size=SIDE)
    for handle in handles:
        handle.remove()
    assert any(name.startswith("blocks.0") for name in ran)
    assert not any(name.startswith(("blocks.1.", "aspp")) for name in ran)


def test_a_run_is_remembered_by_picture_size_and_network(deeplab: Segmenter, cat: Image.Image) -> None:
    first = deeplab.run(cat, SIDE)
    assert deeplab.run(cat.copy(), SIDE) is first
    assert deeplab.run(cat, 321) is not first
    assert deeplab.run(cat.transpose(Image.Transpose.FLIP_LEFT_RIGHT), SIDE) is not first


def test_the_same_bytes_in_another_shape_are_another_picture(deeplab: Segmenter) -> None:
    assert deeplab.run(Image.new("RGB", (40, 20)), SIDE) is not deeplab.run(Image.new("RGB", (20, 40)), SIDE)


def test_what_is_remembered_cannot_be_changed_by_a_caller(deeplab: Segmenter, cat: Image.Image) -> None:
    with pytest.raises(ValueError, match="read-only"):
        deeplab.activation(cat, "Stem", size=SIDE)[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        deeplab.run(cat, SIDE).mask[0, 0] = 1


def test_many_threads_get_what_one_gets(deeplab: Segmenter, cat: Image.Image) -> None:
    turned = [cat.resize((60, 40)).rotate(angle) for angle in range(0, 360, 45)]
    alone = [deeplab.run(picture, SIDE) for picture in turned]
    deeplab.forget()
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda picture: deeplab.run(picture, SIDE), turned))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.mask, other.mask)
        for label, summary in one.layers.items():
            assert np.array_equal(summary.thumbnails, other.layers[label].thumbnails), label


def test_a_cancelled_run_stops_before_the_next_layer_and_leaves_nothing(deeplab: Segmenter, cat: Image.Image) -> None:
    deeplab.forget()
    said: list[bool] = []

    def should_continue() -> bool:
        said.append(len(said) < 9)
        return said[-1]

    with pytest.raises(Cancelled):
        deeplab.run(cat, SIDE, should_continue=should_continue)
    assert said.count(False) <= 2  # no to the run, and to the one who waits for it; no layer asked again
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in deeplab.network.modules())
    assert "cat" in {share.name for share in deeplab.run(cat, SIDE).classes if share.percent > 1}


def test_a_cancelled_run_does_not_wait_for_its_turn(deeplab: Segmenter, cat: Image.Image) -> None:
    deeplab.forget()
    holding, release = threading.Event(), threading.Event()

    def hold() -> bool:
        holding.set()
        return release.wait(timeout=60)

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(deeplab.run, cat, SIDE, should_continue=hold)
        assert holding.wait(timeout=60)
        answers = iter([True, False])
        with pytest.raises(Cancelled):
            deeplab.run(cat.rotate(90), SIDE, should_continue=lambda: next(answers))
        release.set()
        assert first.result().input_size == SIDE


def test_layers_of_a_picture_have_the_shapes_of_its_batch() -> None:
    segmenter = segmenter_of("unet_mobilenet_v2")
    wide = Image.new("RGB", (200, 100))
    layers = {layer.name: layer.shape for layer in segmenter.layers(128, picture_size=wide.size)}
    assert layers["features.1"] == segmenter.activation(wide, "features.1", size=128).shape == (16, 32, 64)


@pytest.mark.usefixtures("untrained_unet")
def test_an_untrained_network_is_the_same_for_everybody_and_disturbs_no_other_randomness() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one, other = Segmenter("unet"), Segmenter("unet")
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True))


def test_the_first_call_of_a_layer_has_one_name(deeplab: Segmenter) -> None:
    assert [deeplab.layer_of(name) for name in ("Stem", "stem", "stem:1", "stem:2")] == ["stem"] * 3 + ["stem:2"]


def test_layers_lists_every_call_with_the_shape_it_really_has(deeplab: Segmenter, cat: Image.Image) -> None:
    layers = {layer.name: layer for layer in deeplab.layers(SIDE)}
    assert set(layers) == {name for name, _ in deeplab.network.named_modules() if name}
    for name in ("stem", "blocks.5", "logits"):
        assert layers[name].shape == deeplab.activation(cat, name, size=SIDE).shape
    assert layers["stem.conv"].type == "Conv2d"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s, p: s.activation(p, "Encoder 33"), r"no stage or layer called 'Encoder 33'; the nearest are"),
        (
            lambda s, p: s.activation(p, "stem", channel=32, size=SIDE),
            r"stem has no channel 32; its channels are 0 to 31",
        ),
        (lambda s, p: s.summary(p, "stem:2", SIDE), r"'stem:2' put out no tensor in this pass"),
        (lambda s, p: s.run(p, 512), r"The working size 512 does not suit this network.*Try 513"),
    ],
)
def test_what_does_not_exist_is_refused(deeplab: Segmenter, cat: Image.Image, call: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call(deeplab, cat)  # type: ignore[operator]


@pytest.mark.parametrize("size", [(1, 1), (10_000, 20), (3, 2000)])
def test_extreme_sizes_work(deeplab: Segmenter, size: tuple[int, int]) -> None:
    result = deeplab.run(Image.new("RGB", size), SIDE)
    assert result.mask.shape == size[::-1]
    assert result.entropy.shape == size[::-1]


@pytest.mark.usefixtures("untrained_unet")
def test_a_network_without_weights_says_untrained(cat: Image.Image) -> None:
    assert Segmenter("unet").run(cat, 128).trained is False


def test_weights_from_the_course_of_a_training_differ_and_those_of_step_0_count_as_untrained(cat: Image.Image) -> None:
    steps = list(checkpoints.shipped(segmenter_of("unet_narrow").spec).snapshots)
    results = [segmenter_of("unet_narrow", step).run(cat, 128) for step in (*steps, None)]
    assert [result.trained for result in results] == [False] + [True] * len(steps)
    assert len({result.logits.tobytes() for result in results}) == len(steps) + 1


def test_a_classifier_answers_once_for_the_whole_picture_and_shows_its_layers() -> None:
    digit = load_picture(example("digit"))
    lenet = segmenter_of("lenet")
    result = lenet.run(digit)
    grey = torch.from_numpy(np.array(digit.convert("L"))).float().view(1, 1, 32, 32) / 255
    with torch.inference_mode():
        expected = lenet.network(grey).softmax(1)[0]
    assert list(result.answer) == list("0123456789")
    assert torch.equal(torch.tensor(list(result.answer.values())), expected)
    assert max(result.answer, key=lambda name: result.answer[name]) == "5"
    assert np.unique(result.mask).tolist() == [5]
    assert result.layers["Full 1"].shape == (120,)
    assert np.array_equal(np.array(result.seen), np.array(digit))
    assert lenet.layers()[0].shape == (6, 30, 30)


def test_a_network_that_segments_gives_no_single_answer(deeplab: Segmenter, cat: Image.Image) -> None:
    assert deeplab.run(cat, SIDE).answer == {}
