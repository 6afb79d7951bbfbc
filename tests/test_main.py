"""The command line, run in this process on small pictures: what it writes, what it says, and every refusal."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo import NETWORKS, Segmenter, checkpoints, rendering
from segdemo.__main__ import main
from segdemo.examples import example
from tests.conftest import mixed_by_hand

SIDE = "97"  # pixels; enough to find the cat


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """A small photograph of a cat, 90 × 60."""
    path = tmp_path / "cat.png"
    with Image.open(example("chelsea")) as picture:
        picture.resize((90, 60)).save(path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results"


def segment(*words: object, side: str = SIDE) -> int:
    return main(["segment", *map(str, words), "--side", side])


def layers(*words: object) -> int:
    return main(["layers", *map(str, words), "--side", SIDE])


def test_segment_writes_mask_overlay_and_shares(cat: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(cat, "--out", out) == 0
    with Image.open(cat) as opened:
        picture = opened.convert("RGB")
    segmenter = Segmenter()
    result = segmenter.run(picture, int(SIDE))
    with Image.open(out / "cat-mask.png") as mask:
        assert mask.mode == "P"
        assert np.array_equal(np.asarray(mask), result.mask)
    with Image.open(out / "cat-overlay.png") as overlay:
        colours = [share.colour for share in result.classes]
        assert np.abs(np.array(overlay) - mixed_by_hand(picture, result.mask, colours, 0.55, {0})).max() <= 0.5 + 1e-4
    facts = json.loads((out / "cat.json").read_text("utf-8"))
    assert facts["shares"] == {share.name: share.percent for share in result.classes}
    assert sum(facts["shares"].values()) == pytest.approx(100)
    assert max(facts["shares"], key=facts["shares"].get) == "cat"
    assert (facts["network"], facts["trained"], facts["side"], facts["size"]) == (
        "deeplabv3_mobilenet_v2",
        True,
        97,
        [90, 60],
    )
    said = capsys.readouterr()
    assert "cat " in said.out and "untrained" not in said.out
    assert said.err == ""


def test_segment_of_a_folder_shows_progress_and_goes_on_after_a_bad_file(
    cat: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cat.parent / "bad.png").write_text("no picture", "utf-8")
    (cat.parent / "notes.txt").write_text("passed over", "utf-8")
    (cat.parent / ".hidden.png").write_text("passed over", "utf-8")
    assert segment(cat.parent, "--out", out) == 2
    assert sorted(path.name for path in out.iterdir()) == ["cat-mask.png", "cat-overlay.png", "cat.json"]
    errors = capsys.readouterr().err
    assert errors.count("cannot be read as a picture") == 1 and "bad.png" in errors
    assert "2/2" in errors


def test_pictures_of_one_name_do_not_overwrite_each_other(cat: Path, out: Path) -> None:
    other = cat.with_suffix(".bmp")
    Image.new("RGB", (20, 30)).save(other)
    third = cat.with_name("CAT-2.png")
    Image.new("RGB", (10, 10)).save(third)
    assert segment(cat, other, third, "--out", out) == 0
    masks = {}
    for path in out.glob("*-mask.png"):
        with Image.open(path) as mask:
            masks[path.name] = mask.size
    assert masks == {"cat-mask.png": (90, 60), "cat-2-mask.png": (20, 30), "CAT-2-2-mask.png": (10, 10)}


def test_result_never_overwrites_a_picture_given(cat: Path) -> None:
    other = cat.with_name("cat-mask.png")
    Image.new("RGB", (20, 30), "red").save(other)
    before = other.read_bytes()
    assert segment(cat, other, "--out", cat.parent) == 0
    assert other.read_bytes() == before
    assert (cat.parent / "cat-2-mask.png").exists()


def test_a_folder_may_hold_anything_and_be_the_place_for_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "all sorts"
    (folder / "deeper.png").mkdir(parents=True)
    for name in ("__MACOSX", "@eaDir", "System Volume Information"):
        (folder / name).mkdir()
    for name in ("a.JPG", "b.jfif", "c.jpe", "d.mpo"):
        Image.new("RGB", (32, 24)).save(folder / name, "JPEG")
    for name, kind in (("e.jp2", "JPEG2000"), ("f.tga", "TGA"), ("g.dib", "BMP"), ("h.pnm", "PPM"), ("i.apng", "PNG")):
        Image.new("RGB", (32, 24)).save(folder / name, kind)
    latin = os.fsdecode(os.path.join(os.fsencode(folder), b"caf\xe9.png"))
    for odd in (latin, folder / "two\nlines.png", folder / f"{'x' * 246}.png", folder / f"{'猫' * 83}.png"):
        Image.new("RGB", (32, 24)).save(odd, "PNG")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r", "._a.png", "notes.txt", "no ending"):
        (folder / name).write_text("x")
    (folder / "broken.png").symlink_to("nowhere")
    os.mkfifo(folder / "fifo.png")
    words = ("--network", "unet_narrow", "--out", folder)
    assert segment(folder, *words, side="64") == 2
    said = capsys.readouterr()
    assert said.out.count("\n") == 13 and r"caf\xe9.png: " in said.out and r"two\nlines.png: " in said.out
    errors = [line for line in said.err.splitlines() if line.startswith("segdemo: ")]
    assert errors[0] == f"segdemo: passed over in {folder}: subfolders (1), files of other kinds (2)"
    assert [sum(words in line for line in errors) for words in ("name is too long", "no file", "a pipe")] == [2, 1, 1]
    assert len(errors) == 5
    facts = json.loads(Path(f"{latin[:-4]}.json").read_text("utf-8"))
    assert facts["picture"] == r"caf\xe9.png"
    after = {path: path.lstat().st_size for path in folder.iterdir()}
    assert segment(folder, *words, side="64") == 2
    said = capsys.readouterr()
    assert "results of segdemo (39)" in said.err
    assert {path: path.lstat().st_size for path in folder.iterdir()} == after
    assert main(["layers", str(folder), "--stage", "Encoder 1", "--network", "unet_narrow", "--out", str(folder)]) == 2
    assert capsys.readouterr().out.count("Encoder 1: ") == 13
    assert len(list(folder.glob("*.npz"))) == 13


def test_files_of_others_in_the_folder_for_results_stay(cat: Path, out: Path) -> None:
    out.mkdir()
    for name in ("cat.json", "cat-stem.npz"):
        (out / name).write_text("somebody's")
    assert segment(cat, "--out", out) == 0
    assert layers(cat, "--stage", "Stem", "--out", out) == 0
    assert {(out / name).read_text() for name in ("cat.json", "cat-stem.npz")} == {"somebody's"}
    assert (out / "cat-2.json").is_file() and (out / "cat-2-stem.npz").is_file()


@pytest.mark.parametrize("command", [segment, layers])
def test_how_a_picture_was_scaled_is_said_and_kept(
    command: Callable[..., int], tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.arange(0, 4096, 4, dtype=np.uint16).reshape(32, 32)).save(path)
    stage = ["--stage", "Stem"] if command is layers else []
    assert command(path, *stage, "--out", out) == 0
    said = "The values of deep.png run from 0 to 4092"
    assert capsys.readouterr().err.startswith(f"segdemo: {said}")
    (facts,) = out.glob("*.json")
    assert json.loads(facts.read_text("utf-8"))["notes"][0].startswith(said)


@pytest.mark.parametrize("command", [segment, layers])
def test_a_disk_that_is_full_for_one_picture_does_not_end_the_run(
    command: Callable[..., int],
    cat: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = cat.with_name("dog.png")
    other.write_bytes(cat.read_bytes())
    real, calls = Image.Image.save, []

    def save(self: Image.Image, path: Path, *words: Any, **options: Any) -> None:
        calls.append(path)
        if len(calls) == 1:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(self, path, *words, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    stage = ["--stage", "Stem"] if command is layers else []
    assert (
        command(cat, other, *stage, "--out", out) if command is segment else command(cat.parent, *stage, "--out", out)
    )
    assert "cat.png: Nothing can be written to" in capsys.readouterr().err
    assert {path.name.partition("-")[0].partition(".")[0] for path in out.iterdir()} == {"dog"}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_that_knows_few_letters_gets_escapes(cat: Path, out: Path, encoding: str) -> None:
    cat = cat.rename(cat.with_name("猫.png"))
    words = [sys.executable, "-m", "segdemo", "segment", str(cat), "--network", "unet_narrow", "--out", str(out)]
    done = subprocess.run(words, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, timeout=120)
    assert done.returncode == 0 and rb"\u732b.png: " in done.stdout and done.stderr == b""
    assert (out / "猫-mask.png").is_file()


def test_a_reader_who_has_enough_ends_the_run_quietly(cat: Path, out: Path) -> None:
    words = [sys.executable, "-m", "segdemo", "segment", str(cat), "--network", "unet_narrow", "--out", str(out)]
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(words, stdout=write_end, stderr=subprocess.PIPE, timeout=120)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, b"")


def test_untrained_network_says_so_in_every_output(
    cat: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--network", "unet", "--out", str(out)]
    monkeypatch.setitem(NETWORKS, "unet", replace(NETWORKS["unet"], sha256=""))
    assert segment(cat, *words, side="64") == 0
    assert main(["layers", str(cat), "--stage", "outc", "--side", "64", *words]) == 0
    assert capsys.readouterr().out.count("(untrained: ") == 2
    assert not json.loads((out / "cat.json").read_text("utf-8"))["trained"]
    assert not json.loads((out / "cat-outc.json").read_text("utf-8"))["trained"]
    for name in ("cat-mask.png", "cat-overlay.png", "cat-outc.png"):
        with Image.open(out / name) as picture:
            assert "untrained" in picture.info["Comment"]


def test_layers_writes_the_exact_values_and_a_sheet_of_native_pixels(
    cat: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert layers(cat, "--stage", "Stem", "--out", out) == 0
    with Image.open(cat) as picture:
        values = Segmenter().activation(picture, "Stem", side=int(SIDE))
    with np.load(out / "cat-stem.npz") as saved:
        assert saved["activation"].dtype == np.float32
        assert np.array_equal(saved["activation"], values)
        facts = json.loads(str(saved["metadata"]))
    assert facts == json.loads((out / "cat-stem.json").read_text("utf-8"))
    count, height, width = values.shape
    assert facts["shape"] == [count, height, width]
    assert (facts["minimum"], facts["maximum"]) == (values.min(), values.max())
    assert facts["scale"] == {"low": values.min(), "high": values.max(), "diverging": False}
    assert facts["scope"] == "layer"
    columns = facts["sheet"]["columns"]
    scale = rendering.scale_for(float(values.min()), float(values.max()))
    with Image.open(out / "cat-stem.png") as sheet:
        assert sheet.size == (columns * (width + 1) - 1, -(-count // columns) * (height + 1) - 1)
        channel = columns + 1  # second in the second row
        box = (width + 1, height + 1, 2 * width + 1, 2 * height + 1)
        assert sheet.crop(box).tobytes() == rendering.heat_map(values[channel], scale).tobytes()
    assert f"{count} × {height} × {width}" in capsys.readouterr().out


def test_layers_without_stage_writes_every_stage_of_the_figure(cat: Path, out: Path) -> None:
    assert layers(cat, "--scope", "channel", "--out", out) == 0
    stages = [stage.label for stage in NETWORKS["deeplabv3_mobilenet_v2"].stages]
    facts = [json.loads(path.read_text("utf-8")) for path in out.glob("*.json")]
    assert sorted(fact["stage"] for fact in facts) == sorted(stages)
    assert len(list(out.glob("*.png"))) == len(list(out.glob("*.npz"))) == len(stages)
    assert {fact["scope"] for fact in facts} == {"channel"}


def test_layers_takes_a_folder_too_and_goes_on_after_a_file_that_is_no_picture(
    cat: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / "broken.png").write_text("no picture")
    (folder / "cat.png").write_bytes(cat.read_bytes())
    assert layers(folder, "--stage", "Stem", "--out", out) == 2
    assert "broken.png cannot be read as a picture" in capsys.readouterr().err
    assert (out / "cat-stem.npz").is_file()


def test_networks_lists_every_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "title", "trained", "classes", "parameters", "checkpoint", "side", "paper"]
    assert [line.split()[0] for line in lines[1:]] == list(NETWORKS)
    for line, spec in zip(lines[1:], NETWORKS.values(), strict=True):
        assert spec.title in line and spec.source in line and f"{spec.rule.side} px" in line
        assert ("untrained" in line) == (not spec.sha256)
    assert "2,097,013" in lines[1]  # of DeepLabv3, batch norm folded


def zipped(folder: Path, image: Path, mask: Path) -> Path:
    """Write an archive of one picture and its mask."""
    path = folder / "pictures.zip"
    file = io.BytesIO()
    with Image.open(image) as picture:
        picture.save(file, "WEBP", lossless=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images/cat.webp", file.getvalue())
        archive.write(mask, "masks/cat.png")
    return path


def test_evaluate_finds_the_masks_of_segment_perfect(cat: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(cat, "--out", out) == 0
    archive = zipped(out, cat, out / "cat-mask.png")
    capsys.readouterr()
    assert main(["evaluate", "--data", str(archive), "--side", SIDE, "--json"]) == 0
    said = capsys.readouterr()
    scores = json.loads(said.out)
    assert set(scores) == {"miou", "iou", "pixel_accuracy", "pictures"}
    assert (scores["miou"], scores["pixel_accuracy"], scores["pictures"]) == (1.0, 1.0, 1)
    assert list(scores["iou"]) == list(Segmenter().classes)
    assert scores["iou"]["cat"] == 1.0 and scores["iou"]["bus"] is None
    assert "the network's own, for want of a --map: 0 background, 1 aeroplane" in said.err


def test_evaluate_prints_a_table_by_the_classes_of_the_map(
    cat: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segment(cat, "--out", out) == 0
    classes = {"classes": ["background", "animal"], "map": {"cat": "animal", "dog": "animal"}}
    (out / "map.json").write_text(json.dumps(classes), "utf-8")
    with Image.open(out / "cat-mask.png") as mask:
        animals = np.isin(np.asarray(mask), [Segmenter().classes.index(name) for name in ("cat", "dog")])
    Image.fromarray(animals.astype(np.uint8)).save(out / "animals.png")
    archive = zipped(out, cat, out / "animals.png")
    capsys.readouterr()
    assert main(["evaluate", "--data", str(archive), "--map", str(out / "map.json"), "--side", SIDE]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:5]] == [
        ["class", "IoU"],
        ["background", "1.0000"],
        ["animal", "1.0000"],
        ["mean", "1.0000"],
        ["pixel", "accuracy", "1.0000"],
    ]


def test_classifier_writes_probabilities_and_no_mask(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", str(example("digit")), "--network", "lenet", "--out", str(out)]) == 0
    assert re.search(r"digit\.png: 5, 9\d\.\d%", capsys.readouterr().out)
    assert [path.name for path in out.iterdir()] == ["digit.json"]
    facts = json.loads((out / "digit.json").read_text("utf-8"))
    assert sum(facts["probabilities"].values()) == pytest.approx(1)
    assert "shares" not in facts


def test_evaluate_scores_lenet_on_digits_it_was_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--network", "lenet", "--data", "digits", "--limit", "50", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert set(scores) == {"accuracy", "recall", "pictures"}
    assert scores["accuracy"] >= 0.98 and scores["pictures"] == 50


def test_map_in_the_repository_covers_the_classes_both_sides_know() -> None:
    from segdemo.evaluation import KNOWN_CLASSES, read_map

    path = Path(__file__).parents[1] / "checkpoints" / "maps" / "voc-to-people-animals.json"
    mapping = read_map(path)
    assert mapping.classes == KNOWN_CLASSES[0]
    assert set(mapping.targets) <= set(NETWORKS["deeplabv3_mobilenet_v2"].classes)
    assert set(mapping.targets.values()) == set(mapping.classes)


def text(path: Path) -> None:
    path.write_text("this is no picture", "utf-8")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(file, "JPEG")
    path.write_bytes(file.getvalue()[: file.tell() // 2])


def huge(path: Path) -> None:
    Image.new("1", (9000, 9000)).save(path, "PNG")
    assert path.stat().st_size < 20_000


def gigantic(path: Path) -> None:
    Image.new("1", (15_000, 11_000)).save(path, "PNG")


def folder_of_nothing(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (text, "cannot be read as a picture"),
        (empty, "cannot be read as a picture"),
        (truncated, "cannot be read as a picture"),
        (huge, "9000 × 9000 pixels"),
        (gigantic, "15000 × 11000 pixels"),
        (folder_of_nothing, "holds no picture"),
        (nothing, "no file"),
    ],
)
@pytest.mark.parametrize("command", [segment, layers])
def test_bad_picture_gets_one_message_and_the_next_run_works(
    command: Callable[..., int],
    make: Callable[[Path], None],
    reason: str,
    cat: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = cat.with_name("bad.png")
    make(bad)
    assert command(bad, "--out", out) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("segdemo: ") and str(bad) in lines[0] and reason in lines[0]
    assert not list(out.glob("bad*"))
    stage = ["--stage", "Stem"] if command is layers else []
    assert command(cat, *stage, "--out", out) == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["segment", "--out", "{out}"], "No picture was given"),
        (["layers", "--out", "{out}"], "No picture was given"),
        (["segment", "{cat}", "--network", "deeplab_v3", "--out", "{out}"], "deeplabv3_mobilenet_v2"),
        (["evaluate", "--network", "unet2", "--data", "{cat}"], "unet2"),
        (["layers", "{cat}", "--stage", "Stemm", "--out", "{out}"], "Stem"),
        (["layers", "{cat}", "--stage", "block99", "--out", "{out}"], "block99"),
        (["segment", "{cat}", "--side", "66", "--out", "{out}"], "Try 65"),
        (["segment", "{cat}", "--out", "{cat}"], "Nothing can be written to"),
        (["evaluate", "--data", "{cat}"], "cannot be read as an archive"),
        (["evaluate", "--data", "{cat}", "--map", "{cat}"], "cannot be read as a class map"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_next_run_works(
    words: list[str], reason: str, cat: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(cat=cat, out=out) for word in words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    messages = [line for line in said.err.splitlines() if line.startswith("segdemo: ")]
    assert len(messages) == 1 and reason in messages[0]
    assert not out.exists() or not list(out.iterdir())
    assert segment(cat, "--out", out) == 0


@pytest.mark.parametrize("altered", [False, True])
def test_missing_or_altered_checkpoint_is_refused(
    altered: bool,
    cat: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = bytearray(checkpoints.path_of(NETWORKS["u2netp"]).read_bytes())
    content[-1] ^= 1
    folder = cat.parent / "weights"
    folder.mkdir()
    monkeypatch.setenv("SEGDEMO_CHECKPOINTS", str(folder))
    if altered:
        (folder / "u2netp.safetensors").write_bytes(content)
    assert segment(cat, "--network", "u2netp", "--out", out, side="64") == 2
    error = capsys.readouterr().err
    assert str(folder / "u2netp.safetensors") in error
    assert ("SHA-256" if altered else "no file") in error
    assert main(["networks"]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("u2netp"))
    assert ("yes" if altered else "file missing") in row
    monkeypatch.delenv("SEGDEMO_CHECKPOINTS")
    assert segment(cat, "--network", "u2netp", "--out", out, side="64") == 0


@pytest.mark.parametrize("words", [[], ["paint"], ["segment", "a.png"], ["evaluate", "--data", "a", "--limit", "0"]])
def test_wrong_words_are_answered_with_the_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: segdemo" in capsys.readouterr().err


def test_help_of_evaluate_explains_the_map(capsys: pytest.CaptureFixture[str]) -> None:
    from segdemo.evaluation import KNOWN_CLASSES

    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    for classes in KNOWN_CLASSES:
        assert f"  {', '.join(classes)}\n" in said


def test_app_starts_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[bool] = []
    monkeypatch.setitem(sys.modules, "segdemo.ui", SimpleNamespace(launch=lambda: started.append(True)))
    assert main(["app"]) == 0
    assert started == [True]


def test_interruption_ends_with_130(
    cat: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Segmenter, "run", interrupt)
    assert segment(cat, "--out", out) == 130
    assert capsys.readouterr().err.endswith("segdemo: interrupted\n")
