"""What is shown of a result."""

from __future__ import annotations

import pytest
from PIL import Image
from segdemo.ui.values import display_size


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1280, 20), (1280, 20)),
        ((20, 1280), (20, 1280)),
        ((1281, 1281), (1280, 1280)),
        ((2560, 1280), (1280, 640)),
        ((1000, 4000), (320, 1280)),
        ((10_000, 1), (1280, 1)),
        ((1, 10_000), (1, 1280)),
        ((3, 2), (3, 2)),
    ],
)
def test_a_picture_is_shown_in_its_own_size_or_with_its_longer_side_reduced_to_1280(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    assert display_size(Image.new("1", size)) == shown
