"""Pictures with masks for training: from archives and folders, and every refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from segdemo.errors import InputError
from segdemo.networks import NETWORKS
from segdemo.training.data import fingerprint, read_pairs, read_pictures
from tests.training.conftest import SIZES, pair, png, zipped

SALIENT = NETWORKS["unet"].names
VOC = NETWORKS["deeplabv3_mobilenet_v2"].names
ANIMALS = ("background", "person", "cat", "dog")


def unpacked(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_archive_and_folder_give_the_same_pairs(archive: Path, files: dict[str, bytes], tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "pairs", files)
    for source in (archive, folder):
        found = list(read_pairs(str(source), SALIENT, 64))
        assert [sample.name.partition("/")[2] for sample in found] == [f"images/{n}.png" for n in range(len(SIZES))]
        for number, sample in enumerate(found):
            picture, mask = pair(number)
            assert np.array_equal(sample.picture, picture)
            assert sample.mask is not None and np.array_equal(sample.mask, mask)


def test_large_pictures_are_kept_at_the_short_side_asked_for_and_small_ones_as_they_are(archive: Path) -> None:
    for sample, (width, height) in zip(read_pairs(str(archive), SALIENT, 33), SIZES, strict=True):
        assert sample.mask is not None and sample.mask.shape == sample.picture.shape[:2]
        assert min(sample.mask.shape) == min(33, width, height)
        assert set(np.unique(sample.mask)) == {0, 1}


def test_pictures_alone_need_no_masks(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "alone", {name: data for name, data in files.items() if name.startswith("images")})
    found = list(read_pictures(str(folder), 64))
    assert len(found) == len(SIZES) and all(sample.mask is None for sample in found)


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("masks/3.png", png(np.zeros((9, 7), np.uint8)), "archive_size_differs", "masks/3.png is 7 × 9 pixels"),
        ("masks/3.png", png(np.full((32, 50), 2, np.uint8)), "archive_class_unknown", "masks/3.png holds class 2"),
        (
            "images/9.png",
            png(np.zeros((9, 7, 3), np.uint8)),
            "archive_pair_missing",
            "images/9.png, but no masks/9.png",
        ),
        ("images/3.png", b"no picture", "archive_file_unreadable", "images/3.png"),
    ],
)
@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_what_cannot_be_used_is_named(
    kind: str, name: str, content: bytes, code: str, message: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    files[name] = content
    source = zipped(tmp_path / "bad.zip", files) if kind == "archive" else unpacked(tmp_path / "bad", files)
    with pytest.raises(InputError, match=message) as refusal:
        list(read_pairs(str(source), SALIENT, 64))
    assert refusal.value.code == code


def test_missing_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.zip"):
        list(read_pairs(str(tmp_path / "none.zip"), SALIENT, 64))


def test_fingerprint_changes_with_names_and_pixels(archive: Path) -> None:
    found = list(read_pairs(str(archive), SALIENT, 64))
    assert fingerprint(found) == fingerprint(list(read_pairs(str(archive), SALIENT, 64)))
    before = fingerprint(found)
    found[2].picture[0, 0, 0] ^= 1
    assert fingerprint(found) != before
    assert fingerprint(found[:-1]) != before


class FakeVOC:
    """Stands for torchvision's data set: one picture, a cat (8) beside a sofa (18) with a border (255)."""

    def __init__(self, root: str, image_set: str, download: bool) -> None:
        assert image_set == "train" and download
        self.images = [f"{root}/a.jpg"]

    def __iter__(self):  # type: ignore[no-untyped-def]
        mask = Image.fromarray(np.array([[0, 8, 18, 255]] * 4, np.uint8))
        yield Image.new("RGB", (4, 4)), mask


@pytest.mark.parametrize(
    ("classes", "row"), [(VOC, [0, 8, 18, 255]), (ANIMALS, [0, 2, 0, 255]), (SALIENT, [0, 1, 1, 255])]
)
def test_voc_is_matched_by_name(
    classes: tuple[str, ...], row: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torchvision.datasets, "VOCSegmentation", FakeVOC)
    (sample,) = read_pairs(f"voc:{tmp_path}", classes, 64)
    assert sample.name.endswith("/a.jpg")
    assert sample.mask is not None and sample.mask.tolist() == [row] * 4


class FakePets:
    """Stands for torchvision's data set: one dog (species 1) with the trimap animal, background, outline."""

    def __init__(self, root: str, target_types: list[str], download: bool) -> None:
        assert target_types == ["binary-category", "segmentation"]
        self._images = [f"{root}/b.jpg"]

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield Image.new("RGB", (3, 3)), (1, Image.fromarray(np.array([[1, 2, 3]] * 3, np.uint8)))


@pytest.mark.parametrize(("classes", "row"), [(ANIMALS, [3, 0, 255]), (SALIENT, [1, 0, 255])])
def test_pets_are_matched_by_name(
    classes: tuple[str, ...], row: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torchvision.datasets, "OxfordIIITPet", FakePets)
    (sample,) = read_pairs(f"pets:{tmp_path}", classes, 64)
    assert sample.mask is not None and sample.mask.tolist() == [row] * 3


def test_pets_need_a_network_that_knows_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torchvision.datasets, "OxfordIIITPet", FakePets)
    with pytest.raises(InputError, match="cats and dogs"):
        list(read_pairs(f"pets:{tmp_path}", ("background", "car", "bus"), 64))
