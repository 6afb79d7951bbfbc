"""``segdemo evaluate``: scores of masks that are known, by the classes of either side."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdemo import NETWORKS, Segmenter
from segdemo.__main__ import main
from tests.commands.conftest import SIDE, segment


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


def test_evaluate_scores_lenet_on_digits_it_was_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--network", "lenet", "--data", "digits", "--limit", "50", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert set(scores) == {"accuracy", "recall", "pictures"}
    assert scores["accuracy"] >= 0.98 and scores["pictures"] == 50


def test_map_in_the_repository_covers_the_classes_both_sides_know() -> None:
    from segdemo.class_maps import KNOWN_CLASSES, read_map

    path = Path(__file__).parents[2] / "checkpoints" / "maps" / "voc-to-people-animals.json"
    mapping = read_map(path)
    assert mapping.classes == KNOWN_CLASSES[0]
    assert set(mapping.targets) <= set(NETWORKS["deeplabv3_mobilenet_v2"].classes)
    assert set(mapping.targets.values()) == set(mapping.classes)


def test_help_of_evaluate_explains_the_map(capsys: pytest.CaptureFixture[str]) -> None:
    from segdemo.class_maps import KNOWN_CLASSES

    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    for classes in KNOWN_CLASSES:
        assert f"  {', '.join(classes)}\n" in said
