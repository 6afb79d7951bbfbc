"""The lab of LeNet: its rule and its parameters, three ways to write it, and digits that are drawn."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from segdemo import Segmenter
from segdemo.errors import InputError
from segdemo.labs.digits import counts, drawing_of, examples
from segdemo.labs.question import run, settings_of


@pytest.mark.parametrize("weights", ["trained", "random"])
@pytest.mark.parametrize("written", ["attributes", "number", "name"])
def test_lenet_has_its_parameters_and_the_same_scores_however_it_is_written(
    written: str, weights: str, picture: Image.Image
) -> None:
    outcome = run("lenet", picture, {"written": written, "weights": weights})
    assert outcome.facts["count"] == 81_194
    assert outcome.values["attributes"].tolist() == outcome.values["number"].tolist() == outcome.values["name"].tolist()


@pytest.mark.parametrize("given", ["drawing", "picture"])
def test_lenet_takes_another_size_only_when_it_is_resized(given: str, picture: Image.Image) -> None:
    said = r"size should be 32x32.* 16 maps of 5 × 5 would be left of it, 400 values.* takes 576"
    with pytest.raises(InputError, match=said):
        run("lenet", picture, {"given": given, "side": 28})
    with pytest.raises(InputError, match="35 × 35 came"):  # also what would leave the right number of values
        run("lenet", picture, {"given": given, "side": 35})
    assert run("lenet", picture, {"given": given, "side": 28, "resize": True}).values["name"].shape == (1, 10)


@pytest.mark.parametrize("digit", range(10))
def test_trained_lenet_reads_the_drawn_examples_surely(digit: int, picture: Image.Image) -> None:
    first = run("lenet", picture, {"drawing": examples()[digit]}).facts["top"][0]
    assert first[0] == str(digit)
    assert first[1] > 0.6


def test_drawing_is_read_the_same_wherever_and_however_large_it_is_drawn() -> None:
    square = Image.new("1", (32, 32))
    square.paste(1, (0, 0, 8, 8))
    corner = counts(square.tobytes().hex())
    expected = torch.zeros(1, 1, 8, 8)
    expected[..., 1:7, 1:7] = 1  # no wider than three quarters, in the middle
    torch.testing.assert_close(corner, expected)
    other = Image.new("1", (32, 32))
    other.paste(1, (14, 9, 30, 25))
    torch.testing.assert_close(counts(other.tobytes().hex()), corner)


def test_ink_is_counted_in_squares_of_four_by_four() -> None:
    line = Image.new("1", (32, 32))
    line.paste(1, (15, 0, 17, 32))  # as high as the picture, so that it stays as it is
    expected = torch.zeros(1, 1, 8, 8)
    expected[..., 3:5] = 0.25  # a column of 4 in each of both
    torch.testing.assert_close(counts(line.tobytes().hex()), expected)


def test_lab_answers_as_the_network_of_the_page_does(picture: Image.Image) -> None:
    drawing = drawing_of([[(0.5, 0.1), (0.5, 0.9)]])
    shares = (counts(drawing)[0, 0] * 255).round().to(torch.uint8).numpy()
    answer = Segmenter("lenet").run(Image.fromarray(shares)).answer
    for digit, share in run("lenet", picture, {"drawing": drawing}).facts["top"]:
        assert share == pytest.approx(answer[digit], abs=0.02)  # it enlarges in whole steps of grey


def test_empty_drawing_is_said_to_be_one(picture: Image.Image) -> None:
    blocks = run("lenet", picture, {"drawing": "0" * 256}).blocks
    assert blocks[0].name == "empty"


@pytest.mark.parametrize("word", ["", "0" * 255, "0" * 257, "g" * 256, "F" * 256, "-" + "1" * 255])
def test_word_that_is_no_drawing_is_refused(word: str) -> None:
    with pytest.raises(InputError) as caught:
        settings_of("lenet", {"drawing": word})
    assert caught.value.code == "setting_drawing"
