"""The network diagram's Python side: what travels to the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from segdemo.ui.components.network_diagram import Box, DiagramData, DiagramValue, NetworkDiagram, pack


def tile(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def value() -> DiagramValue:
    inner = Box("Encoder 1 · conv 1", "inc.0", 0, 0, shape=(8, 30, 40), thumbnail=tile(15, 20, 1), channel=3)
    encoder = Box(
        "Encoder 1",
        "inc",
        0,
        0,
        inside=(inner,),
        shape=(8, 30, 40),
        thumbnail=tile(30, 40, 2),
        channel=np.int64(5),  # type: ignore[arg-type]  # what NumPy's argmax gives
        flags=("dead",),
        dead_count=np.int64(2),  # type: ignore[arg-type]
    )
    logits = Box("Logits", "outc", 0, 1, inputs=("Encoder 1",), skips=("Encoder 1",))
    picture = Image.fromarray(tile(12, 16, 3))
    return DiagramValue("unet", "U-Net", True, "Encoder 1", picture, (encoder, logits))


def read_sprite(data: DiagramData) -> np.ndarray:
    assert data.sprite is not None
    with Image.open(data.sprite.path) as sprite:
        assert sprite.format == "PNG"
        assert list(sprite.size) == data.sprite_size
        return np.asarray(sprite.convert("RGB"))


def cut(sheet: np.ndarray, rectangle: list[int]) -> np.ndarray:
    x, y, width, height = rectangle
    return sheet[y : y + height, x : x + width]


def test_nothing_to_draw_stays_nothing() -> None:
    diagram = NetworkDiagram()
    assert diagram.postprocess(None) is None
    assert diagram.preprocess(None) is None


def test_pictures_come_back_from_the_sprite_bit_for_bit(value: DiagramValue) -> None:
    data = NetworkDiagram().postprocess(value)
    assert data is not None and data.picture is not None and value.picture is not None
    sheet = read_sprite(data)
    for number, box in enumerate((value.boxes[0], value.boxes[0].inside[0])):
        assert box.thumbnail is not None
        assert np.array_equal(cut(sheet, data.boxes[number]["thumbnail"]), box.thumbnail)
    assert np.array_equal(cut(sheet, data.picture), np.asarray(value.picture))


def test_boxes_keep_their_order_and_name_the_box_they_are_in(value: DiagramValue) -> None:
    data = NetworkDiagram().postprocess(value)
    assert data is not None
    assert [(box["label"], box["parent"]) for box in data.boxes] == [
        ("Encoder 1", None),
        ("Encoder 1 · conv 1", "Encoder 1"),
        ("Logits", None),
    ]
    assert data.boxes[2]["inputs"] == data.boxes[2]["skips"] == ["Encoder 1"]
    assert data.boxes[0]["flags"] == ["dead"]
    data.model_dump_json()  # numpy integers have become plain ones


def test_before_the_first_run_no_file_is_written(value: DiagramValue) -> None:
    bare = Box("Encoder 1", "inc", 0, 0)
    data = NetworkDiagram().postprocess(replace(value, picture=None, boxes=(bare,)))
    assert data is not None
    assert data.sprite is None and data.picture is None
    assert data.boxes[0]["shape"] is None and data.boxes[0]["thumbnail"] is None


def test_as_an_input_it_gives_the_picked_stage(value: DiagramValue) -> None:
    diagram = NetworkDiagram()
    assert diagram.preprocess(diagram.postprocess(value)) == "Encoder 1"


def test_an_unknown_flag_is_refused(value: DiagramValue) -> None:
    odd = replace(value.boxes[1], flags=("tired",))
    with pytest.raises(ValueError, match=r"Logits.*tired"):
        NetworkDiagram().postprocess(replace(value, boxes=(odd,)))


@pytest.mark.parametrize("sizes", [[], [(1, 1)], [(96, 96)] * 40, [(3, 2000), (50, 7), (96, 64), (1, 9)]])
def test_packed_pictures_do_not_overlap_and_repeat_their_border(sizes: list[tuple[int, int]]) -> None:
    tiles = [tile(*size, seed) for seed, size in enumerate(sizes)]
    sheet, places = pack(tiles)
    covered = np.zeros(sheet.shape[:2], int)
    for one, (x, y, width, height) in zip(tiles, places, strict=True):
        assert np.array_equal(sheet[y : y + height, x : x + width], one)
        assert np.array_equal(sheet[y - 1, x : x + width], one[0])
        assert np.array_equal(sheet[y : y + height, x + width], one[:, -1])
        covered[y - 1 : y + height + 1, x - 1 : x + width + 1] += 1
    assert covered.max(initial=0) <= 1


@pytest.mark.parametrize(
    ("shape", "told"), [((8, 30, 40), [8, 30, 40]), ((120,), [120]), ((7, 5), None), ((2, 3, 4, 5), None), (None, None)]
)
def test_shapes_of_maps_and_vectors_are_told_and_others_are_not(
    value: DiagramValue, shape: tuple[int, ...] | None, told: list[int] | None
) -> None:
    data = NetworkDiagram().postprocess(replace(value, boxes=(Box("One", "one", 0, 0, shape=shape),)))
    assert data is not None
    assert [box["shape"] for box in data.boxes] == [told]
