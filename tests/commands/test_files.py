"""What the commands do with files: no result overwrites what is not its own, and what cannot be used is said."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdemo.__main__ import main
from tests.commands.conftest import layers, segment


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
    real, calls = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == 1:
            assert self.stat().st_size
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    stage = ["--stage", "Stem"] if command is layers else []
    assert (
        command(cat, other, *stage, "--out", out) if command is segment else command(cat.parent, *stage, "--out", out)
    )
    assert "cat.png: Nothing can be written to" in capsys.readouterr().err
    assert {path.name.partition("-")[0].partition(".")[0] for path in out.iterdir()} == {"dog"}


@pytest.mark.usefixtures("untrained_unet")
def test_untrained_network_says_so_in_every_output(cat: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--network", "unet", "--out", str(out)]
    assert segment(cat, *words, side="64") == 0
    assert main(["layers", str(cat), "--stage", "outc", "--side", "64", *words]) == 0
    assert capsys.readouterr().out.count("(untrained: ") == 2
    assert not json.loads((out / "cat.json").read_text("utf-8"))["trained"]
    assert not json.loads((out / "cat-outc.json").read_text("utf-8"))["trained"]
    for name in ("cat-mask.png", "cat-overlay.png", "cat-outc.png"):
        with Image.open(out / name) as picture:
            assert "untrained" in picture.info["Comment"]


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
