"""``segdemo train`` as a person calls it."""

from __future__ import annotations

import argparse
import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from segdemo.__main__ import main
from segdemo.commands.train import RANGES, add_arguments
from segdemo.networks import Network
from segdemo.training.data import Bytes
from segdemo.training.teacher import Teacher
from tests.training.conftest import png, zipped


def train(*words: str) -> int:
    return main(["train", "--network", "tiny", "--side", "32", "--batch", "4", "--float32", *words])


@pytest.fixture(autouse=True)
def small(tiny: Network) -> Network:
    return tiny


def test_run_writes_weights_and_says_where(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert train("--data", str(archive), "--val", str(archive), "--epochs", "2", "--out", str(out)) == 0
    said = capsys.readouterr().err
    assert "8 pictures, 2 steps of 4 an epoch" in said and f"done: {out}" in said
    assert "pictures/s" in said and "loss" in said and "learning rate" in said and "left" in said
    last = (out / "curves.csv").read_text().splitlines()[-1]
    assert 0 < float(last.rpartition(",")[2]) < 1
    assert (out / "weights.safetensors").exists()


def test_run_can_start_from_weights(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--data", str(archive), "--epochs", "1", "--out", str(tmp_path / "first")) == 0
    weights = tmp_path / "first/weights.safetensors"
    words = ["--data", str(archive), "--epochs", "1", "--out", str(tmp_path / "second"), "--init", str(weights)]
    assert train(*words, "--init-rate", "0", "--snapshots", "2") == 0
    assert "6 tensors start from" in capsys.readouterr().err
    first, second = load_file(weights), load_file(tmp_path / "second/weights.safetensors")
    assert all(np.allclose(first[name], second[name], atol=1e-6) for name in first)
    assert len(list((tmp_path / "second/snapshots").iterdir())) == 2


def test_teacher_teaches_on_pictures_without_masks(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("segdemo.checkpoints.load", lambda *_: True)
    words = ["--data", str(archive), "--pictures", str(archive), "--teacher", "tiny", "--epochs", "1"]
    assert train(*words, "--teacher-on", "pictures", "--out", str(tmp_path / "run")) == 0
    assert "16 pictures, 4 steps" in capsys.readouterr().err
    assert len(list((tmp_path / "teacher").iterdir())) == 1


def test_pictures_in_which_the_teacher_finds_too_little_are_left_out(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("segdemo.checkpoints.load", lambda *_: True)
    shares = [0.0, 0.02, 0.03, 0.5, 0.01, 0.04, 0.0, 1.0]

    def labels(_: Teacher, pictures: Sequence[Bytes]) -> Iterator[Bytes]:
        for share, picture in zip(2 * shares, pictures, strict=True):
            foreground = np.zeros(picture.shape[:2], np.uint8)
            foreground.reshape(-1)[: math.ceil(share * foreground.size)] = 255
            yield np.stack([255 - foreground, foreground])

    monkeypatch.setattr(Teacher, "labels", labels)
    words = ["--data", str(archive), "--pictures", str(archive), "--teacher", "tiny", "--epochs", "1"]
    assert train(*words, "--teacher-finds", "0.03", "--out", str(tmp_path / "run")) == 0
    assert "12 pictures, 3 steps" in capsys.readouterr().err  # the eight with masks, and four of those without


def test_a_teacher_that_finds_nothing_is_said_with_what_to_do(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("segdemo.checkpoints.load", lambda *_: True)
    monkeypatch.setattr("segdemo.training.course.found", lambda _: 0.1)
    words = ["--data", str(archive), "--pictures", str(archive), "--teacher", "tiny", "--epochs", "1"]
    assert train(*words, "--teacher-finds", "0.2", "--out", str(tmp_path / "run")) == 2
    assert "tiny finds something on 0.2 of the area in none of the 8 pictures" in capsys.readouterr().err


def test_pictures_to_score_on_are_looked_at_before_anything_is_learned(
    archive: Path, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = zipped(tmp_path / "wrong.zip", files | {"masks/0.png": png(np.full((32, 40), 9, np.uint8))})
    out = tmp_path / "run"
    assert train("--data", str(archive), "--val", str(wrong), "--epochs", "1", "--out", str(out)) == 2
    assert "masks/0.png holds class 9" in capsys.readouterr().err
    assert not out.exists()


def test_a_new_run_does_not_write_over_another(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(archive), "--out", str(tmp_path / "run"), "--epochs"]
    assert train(*words, "1") == 0
    before = (tmp_path / "run/state.pt").read_bytes()
    assert train(*words, "2") == 2
    assert "already holds a run" in capsys.readouterr().err
    assert (tmp_path / "run/state.pt").read_bytes() == before
    assert train(*words, "2", "--resume") == 0
    assert "step 4" in capsys.readouterr().err


@pytest.mark.parametrize("changed", [["--network", "unet_narrow"], ["--freeze", "entrance"]])
def test_only_the_run_that_was_interrupted_can_be_resumed(
    changed: list[str], archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(archive), "--out", str(tmp_path / "run"), "--epochs"]
    assert train(*words, "1") == 0
    before = (tmp_path / "run/run.json").read_text()
    assert train(*words, "2", "--resume", *changed) == 2
    assert (tmp_path / "run/run.json").read_text() == before
    assert "state.pt is from a run with another network or other modules frozen" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to learn from"),
        (["--pictures", "{archive}"], "Add --teacher NETWORK"),
        (["--data", "{archive}", "--side", "33"], "Crops of 33 pixels do not suit tiny.*multiple of 16"),
        (["--data", "{archive}", "--snapshots", "1"], "none, or at least 2"),
        (["--data", "{archive}", "--resume"], "cannot be read"),
        (["--data", "{archive}", "--init", "nowhere.safetensors"], "nowhere.safetensors cannot be read"),
        (["--data", "{archive}", "--network", "tinny"], "Try tiny"),
        (["--data", "nowhere.zip"], r"nowhere\.zip cannot be read"),
        (["--data", "{archive}", "--freeze", "head"], "no module head"),
        (["--data", "{archive}", "--network", "lenet"], "lenet answers once for a whole picture"),
        (["--data", "{archive}", "--val", "nowhere.zip"], r"nowhere\.zip cannot be read"),
        (["--data", "{archive}", "--teacher", "u2netp", "--teacher-on", "pictures"], "about --pictures only"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(
    words: list[str], message: str, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.format(archive=archive) for word in words]
    assert train(*given, "--out", str(tmp_path / "run")) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("segdemo: ")
    assert re.search(message, error), error


NUMBERS = {
    "--rate": ("nan", "inf", "0", "-1", "1e9"),
    "--minutes": ("nan", "inf", "0", "-1", "1e300"),
    "--epochs": ("0", "-3", "99999999999999999999"),
    "--side": ("0", "-16", "999999984"),
    "--batch": ("0", "-1"),
    "--seed": ("-1", "99999999999999999999"),
    "--threads": ("0", "-1", "9999999"),
    "--save-every": ("nan", "inf", "-1"),
    "--init-rate": ("nan", "-1"),
    "--teacher-finds": ("nan", "-0.1", "1.1"),
    "--teacher-side": ("0", "-5"),
    "--snapshots": ("-1", "100000"),
    "--val-limit": ("0", "-1"),
}


@pytest.mark.parametrize(("option", "number"), [(name, number) for name in NUMBERS for number in NUMBERS[name]])
def test_number_that_no_run_can_use_is_refused_by_its_option(
    option: str, number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--data", "nowhere.zip", option, number, "--out", str(tmp_path / "run")) == 2
    error = capsys.readouterr().err
    assert re.search(rf"segdemo: {option} is -?[\w.+]+\. It has to be a number from .* to ", error), error


def test_every_option_that_takes_a_number_has_a_range() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    numeric = {action.dest for action in parser._actions if action.type in (int, float)}
    assert numeric == RANGES.keys() == {name[2:].replace("-", "_") for name in NUMBERS}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "{file}"], "Nothing can be written to .*file"),
        (["--out", "{file}/run"], "Nothing can be written to .*file/run"),
        (["--out", "{run}", "--freeze", "head"], "no module head"),
        (["--out", "{run}", "--freeze", "entrance", "outc"], "nothing in the network is left that learns"),
        (["--out", "{run}", "--teacher", "tiny"], "tiny is untrained"),
        (["--out", "{run}", "--val", "nowhere.zip"], r"nowhere\.zip cannot be read"),
        (["--out", "{run}", "--pictures", "nowhere.zip", "--teacher", "u2netp"], r"nowhere\.zip cannot be read"),
        (["--out", "{bad}", "--resume"], r"state\.pt cannot be read"),
        (["--out", "{noted}"], r"run\.json cannot be read"),
    ],
)
def test_what_can_be_said_before_the_pictures_are_read_is_said_before(
    words: list[str],
    message: str,
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("pictures are read")

    monkeypatch.setattr("segdemo.training.course.read_pairs", read)
    for name in ("bad", "noted"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "bad/state.pt").write_bytes(b"damaged")
    (tmp_path / "noted/run.json").write_text("{", "utf-8")
    places = {name: str(tmp_path / name) for name in ("file", "run", "bad", "noted")}
    assert train("--data", str(archive), *(word.format(**places) for word in words)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("segdemo: ") and re.search(message, error), error
    assert not (tmp_path / "run").exists()


def masked(folder: Path, files: dict[str, bytes], value: int) -> Path:
    """The eight pictures, with one value in place of every class."""
    with_value = {}
    for name, content in files.items():
        mask = np.array(Image.open(io.BytesIO(content)))
        with_value[name] = png(np.full_like(mask, value)) if name.startswith("masks") else content
    return zipped(folder / f"all-{value}.zip", with_value)


@pytest.mark.parametrize("value", [0, 255])
def test_masks_with_nothing_to_learn_are_refused(
    value: int, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = masked(tmp_path, files, value)
    assert train("--data", str(path), "--epochs", "1", "--out", str(tmp_path / "run")) == 2
    assert "The 8 masks of --data hold nothing to learn" in capsys.readouterr().err


def test_black_and_white_masks_teach_and_score_what_masks_of_classes_do(
    archive: Path, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    white = {}
    for name, content in files.items():
        pixels = np.array(Image.open(io.BytesIO(content)))
        white[name] = png(pixels * np.uint8(255)) if name.startswith("masks") else content
    path = zipped(tmp_path / "white.zip", white)
    for data, out in ((archive, "classes"), (path, "white")):
        words = ["--data", str(data), "--val", str(data), "--epochs", "1", "--out", str(tmp_path / out)]
        assert train(*words) == 0
    assert capsys.readouterr().err.count("255 is read as class 1, the foreground") == 2  # of --data and of --val
    first, second = (load_file(tmp_path / out / "weights.safetensors") for out in ("classes", "white"))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    scores = [(tmp_path / out / "curves.csv").read_text().rpartition(",")[2] for out in ("classes", "white")]
    assert scores[0] == scores[1]


def test_every_mask_to_score_on_is_looked_at_before_anything_is_learned(
    archive: Path, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = zipped(tmp_path / "wrong.zip", files | {"masks/7.png": png(np.full((35, 33), 9, np.uint8))})
    assert train("--data", str(archive), "--val", str(wrong), "--out", str(tmp_path / "run")) == 2
    assert "masks/7.png holds class 9" in capsys.readouterr().err
