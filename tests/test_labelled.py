"""Scores of a classifier: counted by hand, the fixed test of digits, and every refusal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from segdemo.errors import InputError
from segdemo.evaluation import evaluate_labelled
from segdemo.labelled import digits


class Brightness:
    """Stands for a classifier: says bright of pictures lighter than grey, else dark."""

    classes = ("dark", "bright")

    def run(self, picture: Image.Image) -> SimpleNamespace:
        bright = float(np.mean(np.asarray(picture))) / 255
        answer: Mapping[str, float] = {"dark": 1 - bright, "bright": bright}
        return SimpleNamespace(answer=answer)


def paint(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 2), (level, level, level)).save(path)


def test_accuracy_and_recall_are_those_counted_by_hand(tmp_path: Path) -> None:
    for name, levels in {"dark": (10, 20, 200), "bright": (250,)}.items():
        for index, level in enumerate(levels):
            paint(tmp_path / name / f"{index}.png", level)
    told: list[tuple[int, int]] = []
    scores = evaluate_labelled(Brightness(), tmp_path, progress=lambda done, total: told.append((done, total)))
    assert scores.accuracy == pytest.approx(3 / 4)
    assert scores.recall == {"dark": pytest.approx(2 / 3), "bright": 1.0}
    assert scores.pictures == 4
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_limit_spreads_over_the_classes_and_one_without_pictures_has_no_recall(tmp_path: Path) -> None:
    for index in range(4):
        paint(tmp_path / "dark" / f"{index}.png", 0)
    scores = evaluate_labelled(Brightness(), tmp_path, limit=2)
    assert (scores.pictures, scores.recall) == (2, {"dark": 1.0, "bright": None})


def test_folder_that_names_no_class_is_refused_by_name(tmp_path: Path) -> None:
    paint(tmp_path / "grey" / "0.png", 100)
    with pytest.raises(InputError, match=r"there is no class grey.*named dark, bright") as refusal:
        evaluate_labelled(Brightness(), tmp_path)
    assert refusal.value.code == "labelled_folders"


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_folder_without_folders_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no folders"):
        evaluate_labelled(Brightness(), tmp_path / name)


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "dark").mkdir()
    with pytest.raises(InputError, match="hold no pictures"):
        evaluate_labelled(Brightness(), tmp_path)


def test_damaged_picture_is_refused_by_name(tmp_path: Path) -> None:
    paint(tmp_path / "dark" / "good.png", 0)
    (tmp_path / "dark" / "odd.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"odd\.png"):
        evaluate_labelled(Brightness(), tmp_path)


def test_digits_are_for_networks_that_know_them() -> None:
    with pytest.raises(InputError, match=r"tells 0 to 9 apart.*dark, bright"):
        evaluate_labelled(Brightness(), "digits")


def test_digits_of_the_test_are_a_fixed_fifth_and_none_is_learned_from() -> None:
    learn, learned, test, tested = digits()
    again = digits()
    assert (len(learn), len(test)) == (1437, 360)
    assert np.array_equal(test, again[2]) and np.array_equal(tested, again[3])
    assert np.bincount(tested).tolist() == pytest.approx((np.bincount(learned) / 4).tolist(), abs=1)
    from sklearn.datasets import load_digits

    together = np.concatenate([learn, test]).reshape(1797, -1)
    everything = load_digits().data
    assert np.array_equal(np.sort(together, axis=0), np.sort(everything, axis=0))


def test_what_systems_and_notebooks_leave_beside_pictures_is_passed_over(tmp_path: Path) -> None:
    paint(tmp_path / "dark" / "a.png", 0)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._a.png"):
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / "dark" / name).write_bytes(b"x")
    for name in (".ipynb_checkpoints", "dark/.ipynb_checkpoints", "__MACOSX", "bright"):
        (tmp_path / name).mkdir()
    assert evaluate_labelled(Brightness(), tmp_path).recall == {"dark": 1.0, "bright": None}


@pytest.mark.parametrize("name", ["notes.txt", "inner"])
def test_what_is_no_picture_is_refused_before_any_picture_is_scored(name: str, tmp_path: Path) -> None:
    class Never(Brightness):
        def run(self, picture: Image.Image) -> SimpleNamespace:
            raise AssertionError("a picture is scored")

    paint(tmp_path / "dark" / "a.png", 0)
    (tmp_path / "dark" / "inner").mkdir()
    (tmp_path / "dark" / "notes.txt").write_text("dark", "utf-8")
    (tmp_path / "dark" / ("inner" if name == "notes.txt" else "notes.txt")).rename(tmp_path / ".aside")
    with pytest.raises(InputError, match=name) as refusal:
        evaluate_labelled(Never(), tmp_path)
    assert refusal.value.code == "labelled_unreadable"


def test_limit_below_one_is_refused(tmp_path: Path) -> None:
    paint(tmp_path / "dark" / "a.png", 0)
    with pytest.raises(InputError, match="A limit of 0 leaves no picture"):
        evaluate_labelled(Brightness(), tmp_path, limit=0)
