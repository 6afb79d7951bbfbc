"""The command line as a whole: its words, its refusals, its exit codes, and how soon it can explain itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segdemo import NETWORKS, checkpoints
from segdemo.__main__ import main
from segdemo.commands import COMMANDS
from segdemo.predictions import Predictor
from tests.commands.conftest import segment

ROOT = Path(__file__).parents[2]
# Prints which of some modules are imported by the time the command line has explained itself.
HELP = """
import sys
from segdemo.__main__ import main
try:
    main(sys.argv[1:])
finally:
    sys.stderr.write(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""
SLOW = {"torch", "torchvision", "gradio", "sklearn", "skimage", "safetensors"}


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
    shutil.copy(checkpoints.folder() / checkpoints.MANIFEST, folder)
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


def test_interruption_ends_with_130(
    cat: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "run", interrupt)
    assert segment(cat, "--out", out) == 130
    assert capsys.readouterr().err.endswith("segdemo: interrupted\n")


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_comes_without_what_takes_long_to_import(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", HELP, *words, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {' '.join(['segdemo', *words])} ")
    imported = set(done.stderr.split())
    assert "segdemo" in imported and not imported & SLOW


def test_help_lists_every_command_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
    assert dict(listed) == {name: command.HELP for name, command in COMMANDS.items()}


def test_the_files_of_the_commands_are_in_the_table() -> None:
    files = {path.stem for path in (ROOT / "segdemo/commands").glob("*.py") if "\nHELP = " in path.read_text("utf-8")}
    assert set(COMMANDS) == files
