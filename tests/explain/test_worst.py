"""Many pictures, the worst first, on the two-layer network whose masks are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdemo.__main__ import main
from segdemo.class_maps import ClassMap
from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.explain.judge import Judge, Pictures, WorstFirst
from segdemo.explain.worst import iou_of, telling_of, worst_first
from segdemo.gallery import Gallery, gallery_in
from segdemo.networks import NETWORKS
from segdemo.truth import Agreement
from tests.explain.conftest import LINEAR, SIZE


def folder(path: Path, right: list[float]) -> Path:
    """Pictures of which the network says class 0 everywhere; masks that agree in a share of the rows each."""
    for name in ("images", "masks"):
        (path / name).mkdir()
    for number, share in enumerate(right):
        Image.new("RGB", (SIZE, SIZE), (255, 10 * number, 0)).save(path / "images" / f"{number}.webp", lossless=True)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[round(share * SIZE) :] = 1
        Image.fromarray(mask).save(path / "masks" / f"{number}.png")
    return path


def test_pictures_come_the_worst_first_with_their_iou(engine: LocalEngine, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    data = folder(tmp_path, [1.0, 0.25, 0.5])
    found = worst_first(engine, "linear", data, progress=lambda *now: told.append(now))
    assert [one.name for one in found.pictures] == ["images/1.webp", "images/2.webp", "images/0.webp"]
    # class 0 has IoU 0.25 and class 1, which is there and never said, 0; where all is class 0, it counts alone
    assert [one.score for one in found.pictures] == pytest.approx([0.125, 0.25, 1.0])
    assert found.pictures[0].shares == (("one", 100.0),)
    assert told == [(1, 3), (2, 3), (3, 3)] and found.telling == ()


def test_without_masks_the_least_sure_comes_first(engine: LocalEngine, tmp_path: Path) -> None:
    data = folder(tmp_path, [1.0, 1.0])
    found = worst_first(engine, "linear", data, masked=False)
    assert [one.name for one in found.pictures] == ["images/1.webp", "images/0.webp"]  # more green: less margin
    margin = np.array([2.0, 2.0 - 10 / 255])
    odds = 1 / (1 + np.exp(-margin))
    bits = -(odds * np.log2(odds) + (1 - odds) * np.log2(1 - odds))
    assert [one.score for one in found.pictures] == pytest.approx(bits[::-1].tolist(), abs=1e-4)


def test_masks_with_other_classes_are_mapped_on_the_page_as_anywhere_else(tmp_path: Path) -> None:
    data = folder(tmp_path, [1.0, 0.25])
    mapping = ClassMap(("nothing", "thing"), {"one": "thing"})  # what the network says everywhere is class 1 there
    engine = LocalEngine({"linear": LINEAR, "unet_narrow": NETWORKS["unet_narrow"]})
    engine.gallery = gallery_in(data, ("one", "other"), mapping=mapping)
    try:
        names = engine.answer(Pictures()).names
        judged = {name: engine.answer(Judge("linear", name)) for name in names}
        asked = [engine.answer(Agreement("linear", one.picture)) for one in judged.values()]
        assert (
            engine.answer(Agreement("unet_narrow", judged[names[0]].picture, 96)).mean is None
        )  # none for its classes
        assert engine.answer(WorstFirst("linear")) == worst_first(engine, "linear", data, mapping=mapping)
    finally:
        engine.close()
    # class 1 is nowhere in the first mask, and in three quarters of the second
    assert [one.iou for one in asked] == [(0.0, 0.0), (0.0, 0.75)]
    assert [judged[name].iou for name in names] == [0.0, 0.375]
    assert [one.name for one in asked[0].classes] == ["nothing", "thing"] and (asked[0].given == 1).all()
    with pytest.raises(InputError, match="speaks of “two”"):
        gallery_in(data, ("one", "other"), mapping=ClassMap(("nothing", "thing"), {"two": "thing"}))


def test_the_channels_that_tell_failing_from_good_are_named() -> None:
    rng = np.random.default_rng(0)
    activity = [{"A": rng.normal(0, 1, 3), "B": rng.normal([5.0 if place < 3 else 0.0, 0], 1)} for place in range(9)]
    first = telling_of(activity)[0]
    bad, good = (np.array([one["B"][0] for one in some]) for some in (activity[:3], activity[-3:]))
    assert (first.stage, first.channel) == ("B", 0)
    assert first.apart == pytest.approx((bad.mean() - good.mean()) / np.std([*bad, *good]))
    assert abs(first.apart) <= 2
    assert telling_of(activity[:5]) == ()


def test_a_mask_with_nothing_to_score_is_not_called_wrong() -> None:
    assert iou_of(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), ("one", "other")) == 1.0


def test_a_classifier_is_refused(engine: LocalEngine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no mask to score") as refused:
        worst_first(engine, "lenet", tmp_path)
    assert refused.value.code == "worst_classifier"


def test_the_command_prints_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(folder(tmp_path, [1.0, 0.0]))
    assert main(["worst", data, "--network", "unet_narrow", "--side", "96"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split() == ["picture", "IoU", "found"] and "images/0.webp" in printed
    assert main(["worst", data, "--network", "unet_narrow", "--side", "96", "--no-masks", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["masked"] is False and len(found["pictures"]) == 2


def test_the_command_opens_the_page_with_its_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, file = str(folder(tmp_path, [1.0, 0.0])), tmp_path / "map.json"
    file.write_text('{"classes": ["nothing", "thing"], "map": {"foreground": "thing"}}')
    opened: list[Gallery] = []
    monkeypatch.setattr("segdemo.exploring.page_of", lambda *_, gallery, **__: opened.append(gallery))
    monkeypatch.setattr("segdemo.ui.launch", lambda *_, **__: None)
    asked = ["worst", data, "--network", "unet_narrow", "--page", "--map", str(file)]
    assert main(asked) == 0 and main([*asked, "--json"]) == 2
    assert opened[0].mapping == ClassMap(("nothing", "thing"), {"foreground": "thing"}) and len(opened) == 1
    assert [entry.truth.classes for entry in opened[0].entries if entry.truth] == [("nothing", "thing")] * 2
