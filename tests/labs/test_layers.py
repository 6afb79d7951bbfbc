"""The lab of layers: sums written out by hand, sizes as PyTorch has them, and the rules that are broken."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segdemo.errors import InputError
from segdemo.labs import layers, sizes
from segdemo.labs.layers import Computed, arguments, computed
from segdemo.labs.patches import patch
from segdemo.labs.question import checked, run, settings_of
from tests.labs.conftest import some

NINE = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, None]


def settings(**given: Any) -> dict[str, Any]:
    return checked("layers", given)


def applied(layer: nn.Module, batch: torch.Tensor) -> Computed:
    with torch.no_grad():
        return Computed(batch, layer, layer(batch))


def test_convolution_is_the_sum_of_products_under_the_kernel() -> None:
    layer = nn.Conv2d(1, 1, 2, bias=False)
    layer.weight.data = torch.tensor([[[[1.0, 10], [100, 1000]]]])
    written = patch(applied(layer, NINE), settings(in_channels=1, kernel_size=2, padding=0, groups=1), 0, 1, 0)
    assert [(term.row, term.column, term.product) for term in written.terms] == [
        (1, 0, 4.0),
        (1, 1, 50.0),
        (2, 0, 700.0),
        (2, 1, 8000.0),
    ]
    assert written.value == 4 + 50 + 700 + 8000


def test_transposed_convolution_adds_up_the_kernels_stamped_on_a_place() -> None:
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, bias=False)
    layer.weight.data = torch.arange(1.0, 10).view(1, 1, 3, 3)
    asked = settings(layer="transposed", in_channels=1, stride=2, padding=0)
    written = patch(applied(layer, NINE), asked, 0, 2, 2)
    # input 1 with the kernel's last cell, 2 with the lower left, 4 with the upper right, 5 with the first
    assert [(term.value, term.weight) for term in written.terms] == [(5, 1), (4, 3), (2, 7), (1, 9)]
    assert written.value == 5 + 12 + 14 + 9


def test_pools_take_the_greatest_and_the_mean_of_a_window() -> None:
    for kind, layer, value in (("max_pool", nn.MaxPool2d(2, 1), 9.0), ("avg_pool", nn.AvgPool2d(2, 1), 7.0)):
        asked = settings(layer=kind, in_channels=1, kernel_size=2, padding=0)
        written = patch(applied(layer, NINE), asked, 0, 1, 1)
        assert [term.value for term in written.terms] == [5, 6, 8, 9]
        assert written.value == value


@pytest.mark.parametrize("kind", layers.KINDS)
def test_what_is_written_out_comes_to_the_value_everywhere(kind: str, picture: Image.Image) -> None:
    chance = random.Random(kind)
    count = 0
    while count < 25:
        asked = {name: some(control, chance) for name, control in layers.settings().items()} | {
            "layer": kind,
            "size": 12,
        }
        try:
            done = computed(picture, **asked)
        except InputError:
            continue
        place = [chance.randrange(size) for size in done.output.shape[1:]]
        written = patch(done, asked, *place)
        assert written.value == done.output[(0, *place)].item()
        if written.kind == "most":
            assert written.value == max(term.value for term in written.terms)
        else:
            total = sum(term.product for term in written.terms) + written.bias
            assert total == pytest.approx(written.value, rel=1e-4, abs=1e-4)
        count += 1


def test_sizes_are_those_of_pytorch_and_what_it_refuses_is_refused_with_the_rule() -> None:
    chance = random.Random(500)
    controls = layers.settings()
    accepted = refused = 0
    for _ in range(500):
        asked = {name: some(control, chance) for name, control in controls.items()}
        asked |= {"kernel": "xavier"} if chance.random() < 0.9 else {"kernel": "blur"}
        side = chance.randint(1, 20)
        kind = asked["layer"]
        positional: tuple[int, ...]
        positional = (asked["in_channels"], asked["out_channels"]) if kind in layers.WEIGHTED["layer"] else ()
        positional = (asked["in_channels"],) if kind == "batch_norm" else positional
        try:
            layer = layers.CLASSES[kind](*positional, **arguments(asked))
            if kind == "resize_conv":
                layer = nn.Sequential(nn.Upsample(**arguments(asked | {"layer": "upsample"})), layer)
            with torch.no_grad():
                theirs = layer.eval()(torch.ones(1, asked["in_channels"], side, side)).shape[2]
        except (RuntimeError, ValueError):
            with pytest.raises(InputError):
                sizes.check(asked, side, side)
            refused += 1
            continue
        sizes.check(asked, side, side)
        assert sizes.output_size(asked, side) == theirs
        assert f"= {theirs}" in sizes.formulas(asked, side, side)[1] or theirs == side
        accepted += 1
    assert accepted > 100 and refused > 100


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"size": 8, "kernel_size": 7, "dilation": 3, "padding": 0}, "kernel_beyond_picture", "= 19 pixels"),
        ({"in_channels": 3, "groups": 2, "out_channels": 2}, "groups_do_not_divide", "1 would be left over"),
        ({"layer": "transposed", "size": 8, "kernel_size": 1, "padding": 8}, "layer_leaves_nothing", "= -"),
        ({"layer": "transposed", "output_padding": 1}, "output_padding", "smaller than the stride (1)"),
        ({"layer": "max_pool", "padding": 2}, "pool_padding", "at most half its kernel"),
        ({"size": 8, "padding": 8, "padding_mode": "reflect"}, "padding_mode_reach", "reflect"),
        ({"kernel": "own", "kernel_size": 5}, "kernel_cells", "25 cells, but 9"),
    ],
)
def test_impossible_settings_get_the_rule_in_a_sentence(
    given: dict[str, Any], code: str, words: str, picture: Image.Image
) -> None:
    with pytest.raises(InputError) as caught:
        run("layers", picture, given)
    assert caught.value.code == code
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"weights": "1_nan_1_1"}, "setting_cell"),
        ({"weights": "1_1e9_1_1"}, "setting_cell"),
        ({"weights": "1_2_3"}, "setting_square"),
        ({"weights": "_".join(["1"] * 64)}, "setting_square"),
        ({"stride": "0"}, "setting_whole"),
        ({"stride": "1.5"}, "setting_whole"),
        ({"bias_value": "inf"}, "setting_number"),
        ({"bias": "yes"}, "setting_switch"),
        ({"layer": "linear"}, "setting_choice"),
        ({"colour": "red"}, "unknown_setting"),
    ],
)
def test_words_that_are_no_value_of_a_setting_are_refused(words: dict[str, str], code: str) -> None:
    with pytest.raises(InputError) as caught:
        settings_of("layers", words)
    assert caught.value.code == code


def test_every_value_of_a_setting_survives_being_written_and_read() -> None:
    chance = random.Random(3)
    for name, control in layers.settings().items():
        for _ in range(20):
            value = some(control, chance)
            assert control.read(name, control.write(value)) == value


def test_checkerboard_is_there_unless_the_stride_divides_the_kernel(picture: Image.Image) -> None:
    for kernel_size, even in ((2, True), (3, False), (4, True), (5, False), (6, True)):
        asked = {"layer": "transposed", "stride": 2, "kernel_size": kernel_size, "padding": 0}
        assert run("layers", picture, asked).facts["even"] is even


def test_upsampling_before_a_convolution_cures_the_checkerboard() -> None:
    """An even surface stays even away from the border; a transposed convolution of the same kernel makes a pattern."""
    even = Image.new("RGB", (16, 16), (90, 90, 90))
    spread = {}
    for layer in ("transposed", "resize_conv"):
        asked = {"layer": layer, "stride": 2 if layer == "transposed" else 1, "kernel": "blur", "size": 16}
        spread[layer] = float(np.ptp(run("layers", even, asked).values["output"][0, 0, 4:-4, 4:-4]))
    assert spread["transposed"] > 0.05
    assert spread["resize_conv"] == pytest.approx(0, abs=1e-6)


def test_a_lab_leaves_the_random_numbers_of_others_as_they_were(picture: Image.Image) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    run("layers", picture, {"kernel": "xavier"})
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
