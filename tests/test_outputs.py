"""What a network returns, kind by kind, beside what its own library makes of it."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from segdemo.errors import Cancelled, InputError
from segdemo.images import to_batch
from segdemo.networks.network import Preprocessing
from segdemo.outputs import ClassScores, Grid, Reading, SegmentationMap, forwarding, read
from segdemo.predictions import predict
from segdemo.results import Result
from segdemo.segmenter import Segmenter

SIZE = (64, 96)  # height, width of the batch
STRETCH = Preprocessing(size=64, sizes=(64,), stride=1, shape="stretch")


class Returns(nn.Module):
    """Runs a convolution, and returns whatever is made of its maps."""

    def __init__(self, made: Any, channels: int = 3, stride: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, channels, kernel_size=stride, stride=stride)
        self.made = made

    def forward(self, batch: Tensor) -> Any:
        return self.made(self.conv(batch))


@dataclass
class Named:
    loss: Tensor | None
    logits: Tensor


Pair = namedtuple("Pair", ["aux", "out"])


@pytest.fixture
def wide() -> Image.Image:
    """RGB, 60 × 34 (width, height), noise: whatever is placed wrongly differs."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (34, 60, 3), np.uint8))


def result_of(network: nn.Module, preprocessing: Preprocessing, picture: Image.Image, **known: Any) -> Result:
    return Segmenter(network.eval(), preprocessing=preprocessing, **known).run(picture)


@pytest.mark.parametrize(
    "output",
    [
        lambda maps: maps,
        lambda maps: {"aux": torch.zeros(1, 3, *SIZE), "out": maps},
        lambda maps: {"out": maps, "aux": maps[:, :2]},
        lambda maps: Named(None, maps),
        lambda maps: Pair(maps * 0, maps),
        lambda maps: SimpleNamespace(logits=maps),
        lambda maps: [maps[..., ::2, ::2], maps, maps[..., ::4, ::4]],
        lambda maps: (maps, [maps[:, :1], maps * 2], None),
        lambda maps: {"features": {"deep": maps[..., ::4, ::4]}, "prediction": (maps,)},
        lambda maps: maps[0],
        lambda maps: maps.permute(0, 2, 3, 1),
        lambda maps: maps.double(),
    ],
)
def test_the_maps_are_found_wherever_they_lie(output: Any) -> None:
    maps = torch.randn(1, 3, *SIZE)
    found = read(output(maps), SIZE)
    assert isinstance(found, SegmentationMap) and found.ending == "logits"
    assert torch.equal(found.values, maps[0])


def test_the_maps_of_as_many_channels_as_classes_are_taken_before_larger_ones() -> None:
    features, maps = torch.randn(1, 64, *SIZE), torch.randn(1, 5, 16, 24)
    assert torch.equal(read([features, maps], SIZE, Reading(classes=5)).values, maps[0])
    assert torch.equal(read([features, maps], SIZE).values, features[0])


def test_one_channel_is_the_sigmoid_of_the_foreground(wide: Image.Image) -> None:
    network = Returns(lambda maps: maps, channels=1)
    result = result_of(network, STRETCH, wide)
    with torch.no_grad():
        logits = network(to_batch(wide, STRETCH)[0])
    expected = F.interpolate(logits, wide.size[::-1], mode="bilinear", align_corners=False)[0, 0].sigmoid().numpy()
    assert result.names == ("background", "foreground")
    assert np.allclose(result.probability("foreground"), expected, atol=1e-6)


@pytest.mark.parametrize("ending", [torch.sigmoid, nn.Sigmoid()], ids=["function", "module"])
def test_one_channel_after_a_sigmoid_is_taken_for_the_probability_that_it_is(ending: Any, wide: Image.Image) -> None:
    network = Returns(lambda maps: ending(maps), channels=1)
    result = result_of(network, STRETCH, wide, classes=["road"])
    with torch.no_grad():
        shares = network(to_batch(wide, STRETCH)[0])
    expected = F.interpolate(shares, wide.size[::-1], mode="bilinear", align_corners=False)[0, 0].numpy()
    assert result.ending == "shares" and result.names == ("background", "road")
    assert np.allclose(result.probability("road"), expected, atol=1e-6)
    assert np.array_equal(result.mask, expected > 0.5)


def test_a_softmax_of_the_networks_own_is_not_followed_by_another(wide: Image.Image) -> None:
    network = Returns(lambda maps: maps.softmax(1))
    result = result_of(network, STRETCH, wide)
    with torch.no_grad():
        shares = network(to_batch(wide, STRETCH)[0])
    expected = F.interpolate(shares, wide.size[::-1], mode="bilinear", align_corners=False)[0].numpy()
    assert np.allclose(result.probability("class 2"), expected[2], atol=1e-6)
    assert np.allclose(result.confidence, expected.max(0), atol=1e-6)
    assert np.allclose(result.entropy, -(expected * np.log2(expected)).sum(0), atol=1e-5)
    assert np.allclose(result.probabilities_at((7, 3)), expected[:, 3, 7], atol=1e-6)


def test_attention_that_softmaxes_inside_does_not_make_the_logits_probabilities() -> None:
    network = Returns(lambda maps: maps * maps.softmax(1))
    assert Segmenter(network, preprocessing=STRETCH).spec.ending == "logits"


@pytest.mark.parametrize("stride", [2, 4, 8, 32])
@pytest.mark.parametrize("shape", ["pad", "square", "stretch"])
def test_a_map_of_lower_resolution_lies_where_the_picture_is(stride: int, shape: Any) -> None:
    """Each cell of the output stands for its square of the batch; the right half of the picture is another class."""
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 50:] = 255
    rule = Preprocessing(size=320, sizes=(320,), stride=32, shape=shape)

    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AvgPool2d(stride)

        def forward(self, batch: Tensor) -> Tensor:
            maps = self.pool(batch)[:, :1] - 0.5
            return torch.cat([-maps, maps], 1)

    mask = result_of(Halves(), rule, Image.fromarray(pixels)).mask
    edges = [int(np.argmax(row)) for row in mask]
    cell = stride * 100 / 320  # pixels of the picture
    assert all(abs(edge - 50) <= max(1, cell / 2) for edge in edges), edges
    assert mask[:, -1].all() and not mask[:, 0].any()


def test_the_low_resolution_map_of_a_padded_picture_is_sampled_as_if_enlarged_without_end(wide: Image.Image) -> None:
    """An even ramp over the batch comes out as the same ramp over the picture, whatever the padding."""
    rule = Preprocessing(size=60, sizes=(60,), stride=1, shape="square")  # 60 × 34 in 60 × 60

    class Ramp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AvgPool2d(4)

        def forward(self, batch: Tensor) -> Tensor:
            rows = self.pool(batch).shape[2]
            ramp = (torch.arange(rows) + 0.5).div(rows)[:, None].expand(rows, rows)
            return torch.stack([torch.zeros_like(ramp), ramp])[None]

    result = result_of(Ramp(), rule, wide)
    logits = np.log(result.probability("foreground") / result.probability("background"))
    inside = slice(3, 31)  # rows of the picture whose neighbours on the map are both there
    expected = ((np.arange(34) + 0.5) / 60)[:, None].repeat(60, 1)
    assert np.allclose(logits[inside], expected[inside], atol=1e-4)


def test_the_probabilities_for_a_student_lie_where_the_picture_is(wide: Image.Image) -> None:
    rule = Preprocessing(size=60, sizes=(60,), stride=1, shape="square")
    prediction = predict(Returns(lambda maps: maps, channels=2, stride=4).eval(), rule, wide)
    with torch.no_grad():
        whole = F.interpolate(
            Returns(lambda maps: maps, channels=2, stride=4)(to_batch(wide, rule)[0]), (60, 60), mode="bilinear"
        )
    assert torch.allclose(prediction.probabilities, whole[0, :, :34, :60].softmax(0), atol=1e-5)


def test_class_scores_are_those_of_the_whole_picture() -> None:
    scores = torch.randn(1, 10)
    assert torch.equal(read({"logits": scores}, SIZE).values, scores[0])
    assert isinstance(read(scores, SIZE), ClassScores)


def test_a_finished_mask_is_taken_as_it_is() -> None:
    mask = torch.randint(0, 4, (1, *SIZE))
    for output in (mask, mask[:, None], mask.int()):
        found = read(output, SIZE, Reading(classes=4))
        assert torch.equal(found.values.argmax(0), mask[0]) and found.ending == "shares"


def test_tokens_become_maps_by_the_proportions_of_the_batch() -> None:
    maps = torch.randn(7, 4, 6)
    table = maps.flatten(1).T[None]  # (1, 24, 7)
    found = read(torch.cat([torch.zeros(1, 1, 7), table], 1), SIZE)
    assert isinstance(found, Grid) and torch.equal(found.values, maps)


def test_maps_of_other_proportions_are_a_grid() -> None:
    values = torch.randn(1, 30, 7, 7)
    found = read(values, SIZE)
    assert isinstance(found, Grid) and torch.equal(found.values, values[0])


@pytest.mark.parametrize("form", ["flat", "named", "grouped"])  # as the library wrote them over the years
def test_prototypes_and_coefficients_become_the_masks_of_the_boxes(form: str) -> None:
    """Two boxes that are certain enough, one that is not, one over a better one; worked out cell by cell."""
    proto = torch.randn(1, 2, 16, 24)
    boxes = torch.zeros(1, 4 + 3 + 2, 20)
    boxes[0, :, 0] = torch.tensor(
        [32.0, 32, 32, 40, 0, 0.9, 0, 1.0, -0.5]
    )  # x, y, width, height, classes, coefficients
    boxes[0, :, 1] = torch.tensor([72.0, 24, 30, 30, 0.6, 0, 0, -1.0, 2.0])
    boxes[0, :, 2] = torch.tensor([20.0, 20, 30, 30, 0, 0, 0.2, 1.0, 1.0])
    boxes[0, :, 3] = torch.tensor([33.0, 32, 32, 40, 0, 0.8, 0, 9.0, 9.0])
    features = [torch.randn(1, 2 + 4 * 16, 8, 12)]
    heads = {"boxes": torch.randn(1, 64, boxes.shape[2]), "proto": proto, "mask_coefficient": boxes[:, 7:]}
    rest: Any = heads if form != "flat" else (features, boxes[:, 7:], proto)
    found = read(([boxes, proto], rest) if form == "grouped" else (boxes, rest), SIZE, Reading(classes=4))
    expected = torch.zeros(4, 16, 24)
    for index, kind, share in ((0, 2, 0.9), (1, 1, 0.6)):
        x, y, width, height = (boxes[0, :4, index] / 4).tolist()
        for row in range(16):
            for column in range(24):
                if x - width / 2 <= column < x + width / 2 and y - height / 2 <= row < y + height / 2:
                    value = (boxes[0, 7:, index] * proto[0, :, row, column]).sum().sigmoid() * share
                    expected[kind, row, column] = value
    expected[0] = 1 - expected[1:].amax(0)
    assert torch.allclose(found.values, expected, atol=1e-6) and found.ending == "shares"


@pytest.mark.parametrize(
    ("output", "came"),
    [
        (None, "None"),
        ((), "of none"),
        ("a mask", "a str"),
        (torch.tensor(3.0), "()"),
        (torch.zeros(0, 3, 4, 4), "(0, 3, 4, 4)"),
        (torch.zeros(2, 3, *SIZE), "(2, 3, 64, 96)"),
        ([{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}], "[0][boxes] (0, 4)"),
    ],
    ids=["None", "nothing", "text", "a number", "no picture", "two pictures", "detections"],
)
def test_what_says_nothing_of_a_picture_is_refused_by_what_it_is(output: Any, came: str) -> None:
    with pytest.raises(InputError) as caught:
        read(output, SIZE, Reading("Mine"))
    assert caught.value.code == "output_unusable" and "Mine returned" in str(caught.value) and came in str(caught.value)


def test_another_number_of_classes_than_was_named_is_refused_with_both() -> None:
    with pytest.raises(InputError, match="tells 5 classes apart, and 3 were named"):
        read(torch.zeros(1, 5, *SIZE), SIZE, Reading(classes=3))


class Wants(nn.Module):
    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2, 1)


class TwoInputs(Wants):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.conv(left + right)


class Breaks(Wants):
    def forward(self, batch: Tensor) -> Tensor:
        raise KeyError("weights of\n the moon")


class Hungry(Wants):
    def forward(self, batch: Tensor) -> Tensor:
        raise MemoryError


class Plain(Wants):
    def forward(self, batch: Tensor) -> Tensor:
        return self.conv(batch)


@pytest.mark.parametrize(
    ("network", "code", "words"),
    [
        (TwoInputs(), "network_inputs", "2 inputs, left, right"),
        (Breaks(), "network_failed", "KeyError: 'weights of"),
        (Hungry(), "network_memory", "1 × 3 × 64 × 96"),
        (Plain(5), "network_channels", "5 channels, and 3 came"),
    ],
    ids=["two inputs", "raises", "memory", "channels"],
)
def test_what_a_network_raises_becomes_one_sentence(network: nn.Module, code: str, words: str) -> None:
    batch = torch.zeros(1, 3, *SIZE)
    with pytest.raises(InputError) as caught, forwarding(network, batch, "Mine"):
        network(batch)
    assert caught.value.code == code and words in str(caught.value) and "\n" not in str(caught.value)


def test_the_end_of_unwanted_work_is_no_failure_of_the_network() -> None:
    with pytest.raises(Cancelled), forwarding(Plain(), torch.zeros(1, 3, 4, 4)):
        raise Cancelled


def test_values_that_are_not_finite_are_said_with_their_share(wide: Image.Image) -> None:
    def broken(maps: Tensor) -> Tensor:
        return torch.cat([maps[:, :2], torch.full_like(maps[:, :2], float("nan"))], 1)

    result = result_of(Returns(broken), STRETCH, wide)
    (note,) = result.notes
    assert note.code == "output_not_finite" and "50 %" in str(note)
    assert result_of(Returns(lambda maps: maps), STRETCH, wide).notes == ()
