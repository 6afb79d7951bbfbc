"""Many pictures at once: reading ahead, writing behind, broken ones, and going on after the end came too early."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo.commands.ahead import AHEAD, in_three_steps
from segdemo.commands.journal import NAME, Journal
from segdemo.errors import InputError
from segdemo.predictions import Predictor
from tests.commands.conftest import segment

COUNT = 7


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of seven small pictures, of which the third is broken."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 6, 8, 3), np.uint8)
    for number, one in enumerate(pixels):
        Image.fromarray(one).save(folder / f"{number}.png")
    (folder / "2.png").write_bytes(b"no picture")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Steps:
    """Work on numbers that notes which step of which number came when, and refuses what is told."""

    def __init__(self, refused: tuple[int, ...] = ()) -> None:
        self.refused = refused
        self.read_up_to, self.in_work, self.most_in_work = 0, 0, 0
        self.lock = threading.Lock()
        self.running: set[str] = set()

    def read(self, number: int) -> int:
        with self.lock:
            self.read_up_to = max(self.read_up_to, number + 1)
            self.in_work += 1
            self.most_in_work = max(self.most_in_work, self.in_work)
        if number in self.refused:
            raise InputError("broken", "{number} is broken.", number=number)
        return number * 10

    def run(self, read: int) -> int:
        self.running.add(threading.current_thread().name)
        return read + 1

    def write(self, number: int, made: int) -> tuple[int, int]:
        return number, made

    def taken(self, outcomes: Iterator[Any]) -> Iterator[Any]:
        for outcome in outcomes:
            with self.lock:
                self.in_work -= 1
            yield outcome


def test_outcomes_come_in_order_and_a_refused_item_is_one_of_them() -> None:
    work = Steps(refused=(3,))
    outcomes = list(in_three_steps(work, range(6), writers=3))
    assert isinstance(outcomes[3], InputError)
    assert [one for one in outcomes if not isinstance(one, InputError)] == [(n, 10 * n + 1) for n in (0, 1, 2, 4, 5)]
    assert work.running == {threading.current_thread().name}  # the network stays in one thread, the caller's


def test_no_more_items_are_in_work_than_said_however_many_there_are() -> None:
    work = Steps()
    assert len(list(work.taken(in_three_steps(work, range(500), writers=2)))) == 500
    assert AHEAD < work.most_in_work <= AHEAD + 2 + 2


def test_pictures_are_read_while_the_network_runs() -> None:
    class Waiting(Steps):
        def __init__(self) -> None:
            super().__init__()
            self.next_is_read = threading.Event()

        def read(self, number: int) -> int:
            if number == 1:
                self.next_is_read.set()
            return super().read(number)

        def run(self, read: int) -> int:
            assert self.next_is_read.wait(60)  # before the first pass is over
            return super().run(read)

    assert len(list(in_three_steps(Waiting(), range(2)))) == 2


def test_writing_does_not_hold_up_the_network() -> None:
    class Waiting(Steps):
        second_ran = threading.Event()

        def run(self, read: int) -> int:
            if read:
                self.second_ran.set()
            return super().run(read)

        def write(self, number: int, made: int) -> tuple[int, int]:
            assert self.second_ran.wait(60)
            return super().write(number, made)

    assert len(list(in_three_steps(Waiting(), range(2), writers=2))) == 2


def test_the_report_has_a_row_for_each_picture_in_order_and_a_broken_one_is_a_row(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segment(pictures, "--out", tmp_path / "out", "--report", tmp_path / "report.csv") == 2
    with open(tmp_path / "report.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["picture"]).name for row in rows] == [f"{number}.png" for number in range(COUNT)]
    assert [bool(row["error"]) for row in rows] == [number == 2 for number in range(COUNT)]
    assert "cannot be read as a picture" in rows[2]["error"]
    shares = [sum(float(row[name] or 0) for name in ("background", "cat", "dog")) for row in rows]
    assert shares[0] > 0 and shares[2] == 0
    assert (rows[0]["width"], rows[0]["height"]) == ("8", "6")
    assert NAME not in contents(tmp_path / "out")


def test_what_was_killed_is_completed_by_the_same_command(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    segment(pictures, "--out", whole, "--report", tmp_path / "whole.csv")
    expected = capsys.readouterr()
    run, done = Predictor.run, 0

    def dies(self: Predictor, *given: Any) -> Any:
        nonlocal done
        done += 1
        if done == 5:
            raise KeyboardInterrupt
        return run(self, *given)

    command = (pictures, "--out", out, "--report", tmp_path / "report.csv")
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "run", dies)
        assert segment(*command) == 130
    assert not (tmp_path / "report.csv").exists()
    with open(out / NAME, "ab") as file:
        file.write(b'{"key": "cut o')  # as kill -9 leaves them
    (out / ".segdemo-0123456789abcdef.png").write_bytes(b"half")
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    known = [name for name in before if name.startswith("0")]
    capsys.readouterr()
    assert segment(*command) == 2
    said = capsys.readouterr()
    assert contents(out) == contents(whole)
    assert known and all((out / name).stat().st_mtime_ns == before[name] for name in known)  # not worked out again
    assert said.out == expected.out.replace(str(whole), str(out))
    table = (tmp_path / "report.csv").read_text("utf-8")
    assert table == (tmp_path / "whole.csv").read_text("utf-8").replace(str(whole), str(out))


def test_a_changed_picture_and_another_size_are_worked_out_anew(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(Journal, "complete", Journal.close)  # as if the end had come just before
    segment(pictures, "--out", out)
    stamps = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    Image.new("RGB", (8, 6)).save(pictures / "4.png", compress_level=0)
    (out / "5-mask.png").unlink()
    segment(pictures, "--out", out)
    renewed = {path.name for path in out.glob("*.png") if path.stat().st_mtime_ns != stamps.get(path.name)}
    assert renewed == {"4-mask.png", "4-overlay.png", "5-mask.png", "5-overlay.png"}
    segment(pictures, "--out", out, side="105")
    assert all(path.stat().st_mtime_ns != stamps[path.name] for path in out.glob("*.png"))


def test_a_known_picture_that_changes_while_the_command_goes_on_shifts_no_row(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, report = tmp_path / "out", tmp_path / "report.csv"
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "complete", Journal.close)
        segment(pictures, "--out", out)
    (out / "0-mask.png").unlink()  # so that there is something left to do
    run = Predictor.run

    def changes(self: Predictor, *given: Any) -> Any:
        Image.new("RGB", (3, 3)).save(pictures / "5.png")
        return run(self, *given)

    monkeypatch.setattr(Predictor, "run", changes)
    assert segment(pictures, "--out", out, "--report", report) == 2
    with open(report, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["picture"]).stem for row in rows] == [str(number) for number in range(COUNT)]
    assert [bool(row["error"]) for row in rows] == [number == 2 for number in range(COUNT)]
