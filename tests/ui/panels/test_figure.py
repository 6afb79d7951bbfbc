"""What the figure of the network sends to the page."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segdemo.errors import InputError
from segdemo.questions import Catalogue, Layers
from segdemo.rendering import Scale
from segdemo.results import LayerInfo
from segdemo.summaries import summarise
from segdemo.ui.panels.channels import coloured
from segdemo.ui.panels.figure import Figure, FigurePanel, asked_figure, pack, payload
from tests.ui.conftest import CALLS, FACTS, RUN, Kept, Table, made_up

BEFORE = Figure("made_up", 24)
AFTER = Figure("made_up", 24, None, RUN, "Encoder 1")


def tile(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def read_sprite(sent: dict[str, Any], kept: Kept) -> np.ndarray:
    with Image.open(io.BytesIO(kept.files[sent["sprite"]["url"]])) as sprite:
        assert sprite.format == "PNG"
        assert list(sprite.size) == sent["sprite_size"]
        return np.asarray(sprite.convert("RGB"))


def cut(sheet: np.ndarray, rectangle: list[int]) -> np.ndarray:
    x, y, width, height = rectangle
    return sheet[y : y + height, x : x + width]


def with_stage(table: Table, picture: Image.Image, values: torch.Tensor) -> None:
    """Let "Encoder 1" put this out in the run, batch first."""
    result = table.answers[RUN]
    table.answers[RUN] = made_up(picture, layers={**result.layers, "Encoder 1": summarise(values)})


def test_nothing_to_draw_stays_nothing(table: Table) -> None:
    panel: Any = FigurePanel(table)
    assert panel.postprocess(None) is None
    assert panel.preprocess({"selected": "Encoder 1"}) is None


@pytest.mark.parametrize("asked", [BEFORE, AFTER, replace(BEFORE, step=10, selected="Logits")])
def test_the_value_on_the_page_is_the_question_and_comes_back_as_it_went(table: Table, asked: Figure) -> None:
    assert asked_figure(json.loads(json.dumps(FigurePanel(table).postprocess(asked)))) == asked
    assert not table.asked


def test_pictures_come_back_from_the_sprite_bit_for_bit(table: Table, kept: Kept, picture: Image.Image) -> None:
    sent = payload(table, AFTER, kept)
    sheet = read_sprite(sent, kept)
    first, inner, last = sent["boxes"]
    summary = table.answers[RUN].layers["Encoder 1"]
    most_varied = coloured(summary, np.array([9]), [Scale(0.0, 9.0, diverging=False)])[0]
    assert (first["channel"], inner["channel"]) == (9, 7)
    assert np.array_equal(cut(sheet, first["thumbnail"]), most_varied)
    assert cut(sheet, inner["thumbnail"]).shape == cut(sheet, last["thumbnail"]).shape == (8, 12, 3)
    assert np.array_equal(cut(sheet, sent["picture"]), np.asarray(picture.resize((24, 24))))


def test_boxes_keep_their_order_and_name_the_box_they_are_in(table: Table, kept: Kept) -> None:
    sent = payload(table, AFTER, kept)
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent
    assert [(box["label"], box["layer"], box["parent"]) for box in sent["boxes"]] == [
        ("Encoder 1", "inc", None),
        ("Encoder 1 · conv 1", "inc.0", "Encoder 1"),
        ("Logits", "outc", None),
    ]
    assert sent["boxes"][2]["inputs"] == sent["boxes"][2]["skips"] == ["Encoder 1"]
    assert [(box["row"], box["column"]) for box in sent["boxes"]] == [(0, 0), (0, 0), (0, 1)]
    assert (sent["boxes"][0]["flags"], sent["boxes"][0]["dead_count"]) == (["dead", "nan", "inf"], 1)
    assert (sent["network"], sent["title"], sent["selected"]) == ("made_up", "Made up", "Encoder 1")


def test_before_the_first_run_shapes_are_known_and_no_file_is_written(table: Table, kept: Kept) -> None:
    sent = payload(table, BEFORE, kept)
    assert sent["sprite"] is None and sent["picture"] is None and not kept.files
    assert [box["shape"] for box in sent["boxes"]] == [[10, 8, 12], [10, 8, 12], [3, 8, 12]]
    assert {box["thumbnail"] for box in sent["boxes"]} == {None}
    assert RUN not in table.asked


@pytest.mark.parametrize(("step", "untrained"), [(None, False), (10, False), (0, True)])
def test_a_network_is_untrained_at_the_start_of_its_training(
    table: Table, kept: Kept, step: int | None, untrained: bool
) -> None:
    assert payload(table, replace(BEFORE, step=step), kept)["untrained"] is untrained


def test_a_network_without_weights_is_untrained_at_every_step(table: Table, kept: Kept) -> None:
    table.answers[Catalogue()] = (replace(FACTS, trained=False),)
    assert payload(table, BEFORE, kept)["untrained"] is True


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
    ("shape", "told"), [((8, 3, 4), [8, 3, 4]), ((120,), [120]), ((7, 5), None), ((2, 3, 4, 5), None)]
)
def test_shapes_of_maps_and_vectors_are_told_and_others_are_not(
    table: Table, kept: Kept, picture: Image.Image, shape: tuple[int, ...], told: list[int] | None
) -> None:
    with_stage(table, picture, torch.ones(1, *shape))
    assert payload(table, AFTER, kept)["boxes"][0]["shape"] == told


def test_a_shape_that_nobody_knows_is_not_told(table: Table, kept: Kept) -> None:
    table.answers[Layers("made_up", 24)] = ()
    assert {box["shape"] for box in payload(table, BEFORE, kept)["boxes"]} == {None}


@pytest.mark.parametrize(("shape", "told"), [((7, 5), None), ((2, 3, 4, 5), None), ((120,), [120])])
def test_a_shape_before_the_run_is_told_as_after_it(
    table: Table, kept: Kept, shape: tuple[int, ...], told: list[int] | None
) -> None:
    table.answers[Layers("made_up", 24)] = (LayerInfo("inc", "Odd", shape), *CALLS[2:])
    assert payload(table, BEFORE, kept)["boxes"][0]["shape"] == told


def test_a_vector_is_laid_out_row_by_row_and_its_zeros_are_no_dead_channels(
    table: Table, kept: Kept, picture: Image.Image
) -> None:
    with_stage(table, picture, torch.arange(12.0)[None])
    sent = payload(table, AFTER, kept)
    box = sent["boxes"][0]
    assert (box["shape"], box["channel"], box["flags"], box["dead_count"]) == ([12], None, [], 0)
    shown = cut(read_sprite(sent, kept), box["thumbnail"])
    assert shown.shape == (3, 4, 3)  # the squarest rectangle of 12
    single = [
        coloured(table.answers[RUN].layers["Encoder 1"], np.array([i]), [Scale(0.0, 11.0, False)]) for i in range(12)
    ]
    assert np.array_equal(shown.reshape(12, 3), np.concatenate([one.reshape(1, 3) for one in single]))


def test_a_stage_that_is_the_same_everywhere_is_flagged(table: Table, kept: Kept, picture: Image.Image) -> None:
    with_stage(table, picture, torch.full((1, 2, 3, 4), 5.0))
    assert payload(table, AFTER, kept)["boxes"][0]["flags"] == ["flat"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"network": None}, "wrong_text"),
        ({"network": "x" * 1000}, "wrong_text"),
        ({"size": None}, "wrong_whole_number"),
        ({"size": 24.5}, "wrong_whole_number"),
        ({"step": -1}, "wrong_whole_number"),
        ({"run": 3}, "run_once_more"),
        ({"selected": ["Encoder 1"]}, "wrong_text"),
    ],
)
def test_what_cannot_be_asked_is_refused(table: Table, wrong: dict[str, Any], code: str) -> None:
    right = FigurePanel(table).postprocess(AFTER)
    assert right is not None
    with pytest.raises(InputError) as error:
        asked_figure({**right, **wrong})
    assert error.value.code == code


def test_an_unknown_network_is_refused(table: Table, kept: Kept) -> None:
    with pytest.raises(InputError) as error:
        payload(table, replace(BEFORE, network="resnet"), kept)
    assert error.value.code == "unknown_network"


def test_select_can_be_listened_to(table: Table) -> None:
    assert callable(FigurePanel(table).select)
