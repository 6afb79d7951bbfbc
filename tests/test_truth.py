"""Ground truth beside pictures: found, read as it is meant, compared; a network without any is none the worse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn

from segdemo import InputError, LocalEngine, Preprocessing, exploring
from segdemo.examples import GIVEN
from segdemo.sources import network_of
from segdemo.truth import Agreement, truths_for


class Halves(nn.Module):
    """Calls the left half of every picture class 0, the right half class 1, and nothing class 2."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first, self.last = nn.Identity(), nn.Identity()
        self.classes = classes

    def forward(self, batch: Tensor) -> Tensor:
        maps = self.first(batch).new_zeros(len(batch), self.classes, *batch.shape[2:])
        half = batch.shape[3] // 2
        maps[:, 0, :, :half], maps[:, 1, :, half:] = 5, 5
        return self.last(maps)


def write(path: Path, values: Any, **settings: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path, **settings)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """RGB, 64 × 32 (width, height)."""
    return write(tmp_path / "a street.png", np.zeros((32, 64, 3)))


def truth(*columns: int) -> np.ndarray:
    """Return a mask of 64 × 32 in equal vertical stripes of these values."""
    return np.repeat(np.array(columns, np.uint8), 64 // len(columns))[None].repeat(32, 0)


def agreed(classes: int, pictures: list[Path], masks: Any) -> list[Any]:
    """Tell an engine of the ground truth, and ask it about each picture."""
    preprocessing = Preprocessing(64, (64,), 1, shape="stretch")
    spec = network_of(Halves(classes), preprocessing=preprocessing)
    engine = LocalEngine({spec.name: spec})
    try:
        engine.truths |= truths_for([(engine.keep(file), file) for file in pictures], masks, spec.names)
        return [engine.answer(Agreement(spec.name, engine.keep(file))) for file in pictures]
    finally:
        engine.close()


def test_the_iou_of_a_picture_is_that_of_its_mask_without_what_is_not_scored(photo: Path) -> None:
    (one,) = agreed(3, [photo], [truth(0, 2, 255, 1)])
    # scored are three quarters: class 0 hits 1 of 2 stripes, class 1 its only one, class 2 none of one
    assert one.iou == (0.5, 1.0, 0.0) and one.mean == 0.5
    assert np.array_equal(one.mask, truth(0, 2, 255, 1))


def test_a_folder_of_masks_is_searched_by_the_names_of_the_pictures(photo: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "b.png", np.ones((32, 64, 3)))
    write(tmp_path / "masks" / "a street_mask.png", truth(0, 1))
    first, second = agreed(3, [photo, other], tmp_path / "masks")
    assert first.mean == 1 and second.mask is None and second.mean is None and second.iou == ()


def test_white_is_the_foreground_where_masks_are_black_and_white(photo: Path, tmp_path: Path) -> None:
    mask = write(tmp_path / "m.png", truth(0, 255))
    (one,) = agreed(2, [photo], [mask])
    assert one.mean == 1 and set(np.unique(one.mask)) == {0, 1}


def test_a_mask_lies_as_its_picture_is_stored_where_its_size_says_so(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # a viewer turns it by 90 degrees
    photo = tmp_path / "turned.jpg"
    Image.new("RGB", (32, 64)).save(photo, exif=exif)
    upright = truth(0, 1)
    stored = np.rot90(upright)  # counter-clockwise, which the viewer undoes
    for mask in (upright, stored, write(tmp_path / "m.png", stored)):
        (one,) = agreed(3, [photo], [mask])
        assert one.mean == 1 and np.array_equal(one.mask, upright)


def test_a_picture_of_which_nothing_is_to_be_scored_has_no_iou(photo: Path) -> None:
    (one,) = agreed(3, [photo], [truth(255)])
    assert one.mean is None and one.iou == (None, None, None) and one.mask is not None


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        (np.zeros((8, 8)), "truth_size"),
        (np.full((32, 64), 3), "truth_unreadable"),
        (np.full((32, 64), 0.5), "truth_unreadable"),
        (np.zeros((32, 64, 3)), "truth_unreadable"),
        ("nowhere.png", "truth_unreadable"),
    ],
)
def test_a_mask_that_cannot_be_used_is_refused_before_the_page_opens(photo: Path, mask: Any, code: str) -> None:
    with pytest.raises(InputError) as refused:
        agreed(3, [photo], [mask])
    assert refused.value.code == code


def test_masks_have_to_belong_to_the_pictures(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for masks, code in (
        ([None, None], "truth_count"),
        (tmp_path / "empty", "truth_none"),
        (tmp_path / "gone", "folder_unreadable"),
    ):
        with pytest.raises(InputError) as refused:
            agreed(3, [photo], masks)
        assert refused.value.code == code


def test_explore_takes_masks_and_other_classes_than_theirs_are_not_compared(photo: Path, tmp_path: Path) -> None:
    write(tmp_path / "masks" / "a street.png", truth(0, 1))
    page = exploring.page_of(Halves(3), pictures=[photo], masks=tmp_path / "masks")
    try:
        picture = page.engine.keep(GIVEN["a-street"])
        assert page.engine.answer(Agreement("halves", picture, 320)).mean == 1
        assert page.engine.answer(Agreement("unet_narrow", picture, 64)).mask is None
    finally:
        page.engine.close()
        GIVEN.clear()
