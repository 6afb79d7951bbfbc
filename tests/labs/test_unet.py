"""The lab of the U-Net: the tutorial's numbers of parameters, odd sizes, and how far it sees."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segdemo.engine import Cancelled, LocalEngine
from segdemo.errors import InputError
from segdemo.labs import unet, unet_counts, unet_training
from segdemo.labs.question import RunLab, checked, quick_of, run
from segdemo.labs.shapes import shapes
from segdemo.labs.unet_blocks import UNet
from segdemo.labs.unet_training import TURN, LookAtTraining, Train


@pytest.mark.parametrize(("bilinear", "parameters"), [(False, 31_037_698), (True, 17_263_042)])
def test_network_of_the_tutorials_width_has_its_parameters(bilinear: bool, parameters: int) -> None:
    with torch.device("meta"):
        net = UNet(2, 64, 4, bilinear, True, True)
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


@pytest.mark.parametrize("up", ["transposed", "bilinear"])
@pytest.mark.parametrize("skips", [True, False])
def test_padding_gives_every_size_back(up: str, skips: bool) -> None:
    for size in ((37, 61), (33, 64), (16, 17)):
        outcome = run("unet", Image.new("RGB", size), {"width": 2, "up": up, "skips": skips, "size": max(size)})
        assert outcome.facts["same"], size


@pytest.mark.parametrize(
    ("size", "given", "code", "words"),
    [
        ((36, 36), {"size": 36, "pad": False}, "unet_odd_size", "36 pixels become 9, which is odd"),
        ((8, 8), {"size": 8, "depth": 4}, "unet_too_deep", "⌊8 / 16⌋"),
        ((96, 4), {"size": 96, "depth": 3}, "unet_too_deep", "⌊4 / 8⌋"),
    ],
)
def test_sizes_that_do_not_go_are_refused_with_the_rule(
    size: tuple[int, int], given: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        run("unet", Image.new("RGB", size), {"width": 1, **given})
    assert caught.value.code == code
    assert words in str(caught.value)


@pytest.mark.parametrize("up", ["transposed", "bilinear"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_receptive_field_is_where_a_gradient_reaches(up: str, depth: int) -> None:
    net = unet.build(checked("unet", {"width": 1, "depth": depth, "up": up, "classes": 1})).double()
    for name, _ in list(net.named_modules()):
        if name.endswith("pool"):
            net.get_submodule(name.rpartition(".")[0]).pool = nn.AvgPool2d(2)  # reads all that a maximum may take
    for parameter in net.parameters():
        parameter.data.fill_(1.0)  # so that no ReLU is off and nothing cancels out
    side = 128
    batch = torch.ones(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    extents = []
    output = net(batch)
    for place in range(side // 2 - 4, side // 2 + 4):
        (reached,) = torch.autograd.grad(output[0, 0, place, place], batch, retain_graph=True)
        extents.append(len(reached[0].abs().sum((0, 2)).nonzero()))
    sees = unet_counts.receptive_fields(depth, side, bilinear=up == "bilinear")["outc"]
    assert max(extents) == sees


def test_multiply_adds_of_the_first_block_are_those_of_its_two_convolutions() -> None:
    outcome = run("unet", Image.new("RGB", (16, 16)), {"width": 4, "depth": 1, "size": 16})
    name, shape, parameters, cost, sees, values = outcome.facts["rows"][0]
    assert (name, shape, sees, values) == ("inc", "(1, 4, 16, 16)", 5, 4 * 16 * 16)
    assert parameters == 3 * 4 * 9 + 4 * 4 * 9 + 2 * (4 + 4)
    assert cost == (3 * 4 * 9 + 4 * 4 * 9) * 16 * 16


def trained(steps: int, picture: Image.Image, **words: str) -> list[Any]:
    """Ask an engine as the page does: for each turn one after the other."""
    with contextlib.closing(LocalEngine()) as engine:
        fingerprint = engine.keep(picture)
        asked = tuple(sorted(words.items()))
        return [engine.answer(LookAtTraining(fingerprint, asked, done)) for done in range(0, steps + 1, TURN)]


def test_training_in_turns_gives_the_numbers_of_its_snippet_run_alone(picture: Image.Image, tmp_path: Path) -> None:
    words = {"width": "4", "depth": "2", "size": "32", "seed": "3"}
    outcome = trained(2 * TURN, picture, **words)[-1]
    code = unet_training.snippet(checked("unet", {name: int(word) for name, word in words.items()}), 2 * TURN)
    picture.save(tmp_path / "picture.png")
    ending = "import pickle; pickle.dump((losses, probability), open('found.pickle', 'wb'))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ending}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    losses, probability = pickle.loads((tmp_path / "found.pickle").read_bytes())
    for way, skips in (("with", True), ("without", False)):
        assert outcome.values[f"losses_{way}"].tolist() == losses[skips]
        np.testing.assert_array_equal(outcome.values[f"probability_{way}"], probability[skips].numpy())


def test_training_lowers_the_loss_and_what_is_larger_is_trained_smaller() -> None:
    words = (("depth", "1"), ("width", "4"))
    with contextlib.closing(LocalEngine()) as engine:
        first, *_, last = [engine.answer(Train(words, steps)) for steps in range(0, 6 * TURN + 1, TURN)]
    assert first.losses == {"with": (), "without": ()}
    assert sum(last.losses["with"][-5:]) < 0.8 * sum(last.losses["with"][:5])
    known = unet_training.bounded(checked("unet", {"width": 64, "depth": 4, "size": 96}))
    assert (known["width"], known["depth"], known["size"]) == (8, 3, 64)


@pytest.mark.parametrize(
    ("steps", "code"), [(20, "training_forgotten"), (3, "training_steps"), (9999, "training_steps")]
)
def test_one_turn_of_a_training_never_does_more_than_its_steps(steps: int, code: str, picture: Image.Image) -> None:
    with contextlib.closing(LocalEngine()) as engine, pytest.raises(InputError) as caught:
        engine.answer(LookAtTraining(engine.keep(picture), (), steps))
    assert caught.value.code == code


def test_training_stops_before_its_next_step_when_nobody_waits(picture: Image.Image) -> None:
    with contextlib.closing(LocalEngine()) as engine:
        engine.answer(Train((), 0))
        looks = iter([True, True, True])
        with pytest.raises(Cancelled):
            engine.answer(Train((), TURN), should_continue=lambda: next(looks, False))
        with pytest.raises(InputError, match="no longer kept"):
            engine.answer(Train((), 2 * TURN))  # as nothing was learned


def test_states_of_a_training_leave_the_answers_on_show_where_they_are(picture: Image.Image) -> None:
    with contextlib.closing(LocalEngine(answers=1 << 20)) as engine:
        shown = RunLab("unet", engine.keep(picture), (("size", "32"), ("width", "1")))
        first = engine.answer(shown)
        for steps in range(0, 2 * TURN + 1, TURN):
            engine.answer(LookAtTraining(shown.picture, (), steps))
        assert engine.answer(shown) is first


def test_drawn_pictures_are_the_same_each_time_and_their_masks_lie_on_them() -> None:
    pictures, masks = shapes(6, 48, seed=5)
    assert torch.equal(pictures, shapes(6, 48, seed=5)[0])
    assert pictures.shape == (6, 3, 48, 48) and masks.shape == (6, 48, 48)
    for picture, mask in zip(pictures, masks, strict=True):
        assert picture[:, mask == 1].mean() > picture[:, mask == 0].mean() + 0.15  # bright on dark


def test_figure_is_what_the_trace_tells_and_skips_are_arrows_of_their_own() -> None:
    for skips, across in ((True, [("downs.0",), ("inc",)]), (False, [(), ()])):
        outcome = run("unet", Image.new("RGB", (16, 16)), {"width": 2, "depth": 2, "size": 16, "skips": skips})
        boxes = next(block for block in outcome.blocks if block.name == "figure").boxes  # type: ignore[union-attr]
        assert [box.label for box in boxes] == ["inc", "downs.0", "downs.1", "ups.0", "ups.1", "outc"]
        assert [box.skips for box in boxes[3:5]] == across
        assert boxes[2].shape == (8, 4, 4)
        assert all(box.picture is not None for box in boxes)


@pytest.mark.parametrize(
    ("built", "names", "shape"),
    [
        (1, ["inc"], (1, 2, 16, 16)),
        (3, ["inc", "downs.0", "downs.1"], (1, 8, 4, 4)),
        (4, ["inc", "downs.0", "downs.1", "ups.0"], (1, 4, 8, 8)),
        (6, ["inc", "downs.0", "downs.1", "ups.0", "ups.1", "outc"], (1, 2, 16, 16)),
        (10, ["inc", "downs.0", "downs.1", "ups.0", "ups.1", "outc"], (1, 2, 16, 16)),
    ],
)
def test_network_grows_block_by_block(built: int, names: list[str], shape: tuple[int, ...]) -> None:
    outcome = run("unet", Image.new("RGB", (16, 16)), {"width": 2, "depth": 2, "size": 16, "built": built})
    assert [row[0] for row in outcome.facts["rows"]] == names
    assert outcome.values["output"].shape == shape
    assert outcome.facts["parameters"] == sum(row[2] for row in outcome.facts["rows"])


def test_odd_size_matters_only_once_a_skip_is_built_beside_it() -> None:
    given = {"width": 1, "depth": 3, "size": 20, "pad": False}  # 20, 10, 5, 2: the first block up meets the 5
    run("unet", Image.new("RGB", (20, 20)), {**given, "built": 4})
    with pytest.raises(InputError, match="20 pixels become 5"):
        run("unet", Image.new("RGB", (20, 20)), {**given, "built": 5})


def test_what_needs_no_pass_comes_without_one_and_is_the_same(picture: Image.Image) -> None:
    given = {"width": 3, "depth": 2, "size": 20}
    quick = quick_of("unet")(picture, **checked("unet", given))
    whole = run("unet", picture, given)
    assert quick.values == {} and whole.values
    assert quick.facts == whole.facts
