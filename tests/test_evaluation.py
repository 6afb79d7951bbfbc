"""Scores of a network on an archive: by hand, against torchmetrics, and every refusal."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from segdemo.archives import Archive
from segdemo.class_maps import KNOWN_CLASSES, ClassMap, read_map
from segdemo.errors import InputError
from segdemo.evaluation import Evaluator, Scores, evaluate, survey

CLASSES = ("background", "cat", "dog")
Mask = NDArray[np.uint8]


class Answers:
    """Stands for a network: answers with the given masks, one after the other."""

    def __init__(self, *masks: Mask, classes: Sequence[str] = CLASSES) -> None:
        self.classes = tuple(classes)
        self.sizes: list[tuple[int, int]] = []
        self._masks = iter(masks)

    def run(self, picture: Image.Image) -> SimpleNamespace:
        assert picture.mode == "RGB"
        self.sizes.append(picture.size)
        return SimpleNamespace(mask=next(self._masks))


def mask(*rows: Sequence[int]) -> Mask:
    return np.array(rows, np.uint8)


def encoded(picture: Image.Image, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, format)
    return file.getvalue()


def palette_png(values: Mask) -> bytes:
    picture = Image.fromarray(values)
    picture.putpalette(bytes(range(256)) * 3)
    return encoded(picture)


def webp(size: tuple[int, int]) -> bytes:
    return encoded(Image.new("RGB", size, "gray"), "WEBP")


def archive(folder: Path, *truths: Mask, **others: bytes | None) -> Path:
    """Write an archive of grey pictures named a, b, … with masks; others replace (bytes) or remove (None) files."""
    files: dict[str, bytes | None] = {}
    for name, truth in zip("abcdefgh", truths, strict=False):
        files[f"images/{name}.webp"] = webp((truth.shape[1], truth.shape[0]))
        files[f"masks/{name}.png"] = palette_png(truth)
    files |= {name.replace("__", "/").replace("_", "."): content for name, content in others.items()}
    path = folder / "pictures.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            if content is not None:
                file.writestr(name, content)
    return path


def refusal(path: Path, segmenter: Answers | None = None, mapping: ClassMap | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        evaluate(segmenter or Answers(mask([0, 0])), path, mapping)
    return caught.value


def test_evaluator_counts_pairs_of_classes_and_leaves_out_255() -> None:
    evaluator = Evaluator(CLASSES)
    evaluator.add(mask([0, 1, 1], [2, 255, 2]), mask([0, 1, 2], [2, 1, 0]))
    assert evaluator.confusion.tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 1]]
    evaluator.add(mask([255, 1]), mask([2, 0]))
    assert evaluator.confusion.tolist() == [[1, 0, 0], [1, 1, 1], [1, 0, 1]]
    assert evaluator.pictures == 2


def test_evaluator_takes_labelled_pictures_and_masks_alike() -> None:
    pixels, whole = Evaluator(CLASSES), Evaluator(CLASSES)
    truth, guess = [0, 1, 1, 1], [0, 1, 2, 0]
    pixels.add(mask(truth), mask(guess))
    for pair in zip(truth, guess, strict=True):
        whole.add(*pair)
    # background: 1 hit, 1 too many; cat: 1 of 3 found; dog: once predicted, nowhere there
    expected = Scores(
        (1 / 2 + 1 / 3 + 0) / 3,
        {"background": 1 / 2, "cat": 1 / 3, "dog": 0.0},
        2 / 4,
        {"background": 1.0, "cat": 1 / 3, "dog": None},
        pictures=1,
    )
    assert pixels.scores() == expected
    assert whole.scores() == replace(expected, pictures=4)


def test_class_255_of_a_whole_picture_is_a_class_as_any_other() -> None:
    evaluator = Evaluator([str(index) for index in range(300)])
    evaluator.add(255, 255)
    evaluator.add(299, 255)
    scores = evaluator.scores()
    assert (scores.accuracy, scores.recall["255"], scores.recall["299"], scores.iou["255"]) == (0.5, 1.0, 0.0, 0.5)


def test_evaluator_that_took_in_nothing_refuses_to_score() -> None:
    with pytest.raises(InputError, match="In the 0 masks every pixel is 255") as caught:
        Evaluator(CLASSES).scores()
    assert caught.value.code == "evaluation_nothing_to_judge"


def test_scores_of_two_pictures_worked_out_by_hand(tmp_path: Path) -> None:
    path = archive(tmp_path, mask([0, 0, 1], [1, 1, 255]), mask([0, 1]))
    segmenter = Answers(mask([0, 1, 1], [1, 0, 1]), mask([0, 1]))
    # background: 2 hits, 1 missed, 1 too many; cat: 3 hits, 1 missed, 1 too many; dog nowhere
    scores = evaluate(segmenter, path)
    assert scores.iou == {"background": 2 / 4, "cat": 3 / 5, "dog": None}
    assert scores.recall == {"background": 2 / 3, "cat": 3 / 4, "dog": None}
    assert (scores.accuracy, scores.pictures) == (5 / 7, 2)
    assert scores.miou == pytest.approx((2 / 4 + 3 / 5) / 2)
    assert segmenter.sizes == [(3, 2), (2, 1)]


def test_masks_that_were_looked_through_before_are_not_looked_through_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path, mask([0, 1, 255]))
    with Archive(path) as file:
        reading = survey(file, file.some_pairs(None), 3)
    monkeypatch.delattr(Archive, "survey")
    assert evaluate(Answers(mask([0, 1, 1])), path, reading=reading).miou == 1.0


def test_predicted_class_that_never_occurs_scores_zero(tmp_path: Path) -> None:
    scores = evaluate(Answers(mask([0, 2])), archive(tmp_path, mask([0, 0])))
    assert scores.iou == {"background": 0.5, "cat": None, "dog": 0.0}
    assert scores.miou == 0.25


def test_map_turns_network_classes_into_those_of_the_archive(tmp_path: Path) -> None:
    path = archive(tmp_path, mask([0, 1, 1, 0]))
    mapping = ClassMap(("background", "animal"), {"cat": "animal", "dog": "animal"})
    scores = evaluate(Answers(mask([0, 1, 2, 3]), classes=(*CLASSES, "bus")), path, mapping)
    assert scores.iou == {"background": 1.0, "animal": 1.0}


def test_limit_takes_pictures_from_the_whole_archive(tmp_path: Path) -> None:
    path = archive(tmp_path, *(mask([0] * width) for width in range(1, 9)))
    segmenter = Answers(*(mask([0] * width) for width in (1, 3, 6)))
    steps: list[tuple[int, int]] = []
    assert evaluate(segmenter, path, limit=3, progress=lambda *step: steps.append(step)).pictures == 3
    assert [width for width, _ in segmenter.sizes] == [1, 3, 6]
    assert steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_torchmetrics(tmp_path: Path, seed: int) -> None:
    from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex, MulticlassRecall

    random = np.random.default_rng(seed)
    truths = [random.choice(np.array([0, 1, 2, 4, 255], np.uint8), (7 + n, 9)) for n in range(4)]
    answers = [random.integers(0, 5, truth.shape, np.uint8) for truth in truths]
    iou = MulticlassJaccardIndex(6, average=None, ignore_index=255)
    accuracy = MulticlassAccuracy(6, average="micro", ignore_index=255)
    recall = MulticlassRecall(6, average=None, ignore_index=255)
    for truth, answer in zip(truths, answers, strict=True):
        for metric in (iou, accuracy, recall):
            metric.update(torch.from_numpy(answer)[None].long(), torch.from_numpy(truth)[None].long())
    scores = evaluate(Answers(*answers, classes=tuple("abcdef")), archive(tmp_path, *truths))
    expected = iou.compute().tolist()
    assert [scores.iou[name] for name in "abcde"] == pytest.approx(expected[:5])
    assert scores.iou["f"] is None
    assert scores.miou == pytest.approx(sum(expected[:5]) / 5)
    assert scores.accuracy == pytest.approx(float(accuracy.compute()))
    present = {0: "a", 1: "b", 2: "c", 4: "e"}
    assert [scores.recall[name] for name in present.values()] == pytest.approx(recall.compute()[list(present)].tolist())
    assert scores.recall["d"] is None and scores.recall["f"] is None


def test_files_that_are_not_pairs_are_passed_over(tmp_path: Path) -> None:
    path = archive(tmp_path, mask([0]))
    with zipfile.ZipFile(path, "a") as file:
        for name in ("README.md", "images/", "images/.DS_Store", "__MACOSX/images/a.webp"):
            file.writestr(name, b"")
    assert evaluate(Answers(mask([0])), path).pictures == 1


@pytest.mark.parametrize("content", [None, b"", b"no archive at all"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.zip"
    if content is not None:
        path.write_bytes(content)
    error = refusal(path)
    assert error.code == "archive_unreadable"
    assert "broken.zip cannot be read as an archive" in str(error)


def test_archive_without_pictures_is_refused(tmp_path: Path) -> None:
    assert refusal(archive(tmp_path, notes_txt=b"nothing")).code == "archive_empty"


@pytest.mark.parametrize("missing", ["images/a.webp", "masks/a.png"])
def test_picture_without_partner_is_named(tmp_path: Path, missing: str) -> None:
    path = archive(tmp_path, mask([0]), mask([0]), **{missing.replace("/", "__").replace(".", "_"): None})
    error = refusal(path)
    assert error.code == "archive_pair_missing"
    assert f"but no {missing}" in str(error)


@pytest.mark.parametrize("name", ["images__a_webp", "masks__a_png"])
@pytest.mark.parametrize("content", [b"", b"text", palette_png(mask([0] * 900))[:-30]])
def test_file_that_cannot_be_decoded_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    error = refusal(archive(tmp_path, mask([0] * 900), **{name: content}))
    assert error.code in ("archive_file_unreadable", "picture_cut")
    assert f"{name.replace('__', '/').replace('_', '.')} cannot be read" in str(error)


def test_file_damaged_inside_the_zip_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path, mask([0, 0]))
    content = path.read_bytes()
    path.write_bytes(content.replace(palette_png(mask([0, 0]))[8:], palette_png(mask([0, 1]))[8:], 1))
    assert content != path.read_bytes()
    error = refusal(path)
    assert error.code == "archive_file_unreadable"
    assert "masks/a.png" in str(error)


def test_colour_picture_in_place_of_a_mask_is_refused(tmp_path: Path) -> None:
    error = refusal(archive(tmp_path, mask([0, 0]), masks__a_png=encoded(Image.new("RGB", (2, 1), "red"))))
    assert error.code == "archive_file_unreadable"
    assert "its mode is RGB, and it is coloured" in str(error)


def test_mask_with_an_unknown_class_is_named(tmp_path: Path) -> None:
    error = refusal(archive(tmp_path, mask([0, 3])))
    assert error.code == "archive_class_unknown"
    assert "masks/a.png holds class 3, but the classes are 0 to 2" in str(error)


def test_mask_of_another_size_is_named(tmp_path: Path) -> None:
    error = refusal(archive(tmp_path, mask([0, 0]), images__a_webp=webp((2, 2))))
    assert error.code == "archive_size_differs"
    assert "masks/a.png is 2 × 1 pixels, images/a.webp 2 × 2" in str(error)


def test_archive_that_judges_nothing_is_refused(tmp_path: Path) -> None:
    assert refusal(archive(tmp_path, mask([255, 255]))).code == "evaluation_nothing_to_judge"


def test_map_that_speaks_of_unknown_classes_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, mask([0, 0]))
    error = refusal(path, mapping=ClassMap(("background", "animal"), {"cta": "animal"}))
    assert error.code == "map_class_not_in_network"
    assert "“cta”" in str(error) and "perhaps cat" in str(error)
    error = refusal(path, mapping=ClassMap(("background", "animal"), {"cat": "animals"}))
    assert error.code == "map_class_not_in_archive"
    assert "“animals”" in str(error) and "perhaps animal" in str(error)


def test_map_file_may_list_the_classes_of_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"classes": ["none", "animal"], "map": {"cat": "animal"}}), "utf-8")
    assert read_map(path) == ClassMap(("none", "animal"), {"cat": "animal"})


def test_map_file_may_be_the_map_alone_where_the_classes_are_known(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    for targets, expected in (
        ({"cow": "cow", "person": "person", "bus": "background"}, KNOWN_CLASSES[0]),
        ({"person": "salient foreground"}, KNOWN_CLASSES[1]),
        ({"cow": "cow", "person": "peson"}, KNOWN_CLASSES[0]),
    ):
        path.write_text(json.dumps(targets), "utf-8")
        assert read_map(path) == ClassMap(expected, targets)


@pytest.mark.parametrize("targets", [{}, {"cat": "background"}, {"cat": "animal"}])
def test_map_that_leaves_the_classes_open_is_refused(tmp_path: Path, targets: dict[str, str]) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps(targets), "utf-8")
    with pytest.raises(InputError) as caught:
        read_map(path)
    assert caught.value.code == "map_classes_unknown"
    assert 'Write {"classes": ["background", …], "map": {…}}' in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"cat"',
        '{"cat": 1}',
        '{"map": {"cat": 1}}',
        '{"classes": "cat", "map": {"cat": "cat"}}',
        '{"classes": [], "map": {}}',
        '{"classes": ["a", "a"], "map": {}}',
        '{"classes": ["a", 1], "map": {}}',
        None,
    ],
)
def test_file_that_is_no_map_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "map.json"
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(InputError) as caught:
        read_map(path)
    assert caught.value.code == "map_unreadable"
    assert "map.json cannot be read as a class map" in str(caught.value)
