"""A camera or a film, frame by frame: what is taken, and what comes back for a frame."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo import Segmenter
from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.networks import NETWORKS
from segdemo.questions import Catalogue, Frame
from segdemo.ui.panels import live

NETWORK, SIZE = "unet_narrow", 96


def jpeg_of(picture: Image.Image, kind: str = "JPEG") -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    """The cat, 160 × 106 pixels."""
    return jpeg_of(Image.open(example("chelsea")).convert("RGB").resize((160, 106)))


def sent(content: bytes) -> str:
    """Write a file as the page's script does."""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def drawn(address: str) -> np.ndarray:
    """Read the picture that an address holds."""
    return np.array(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_a_frame_is_segmented_as_the_picture_it_is(engine: LocalEngine, jpeg: bytes) -> None:
    expected = Segmenter(NETWORK).run(Image.open(io.BytesIO(jpeg)), SIZE)
    found = engine.answer(Frame(NETWORK, jpeg, SIZE, "Encoder 2"))
    assert np.array_equal(found.mask, expected.mask)
    assert list(found.layers) == ["Encoder 2"]
    assert np.array_equal(found.layers["Encoder 2"].thumbnails, expected.layers["Encoder 2"].thumbnails)
    shown = live.payload(found)
    pixels = drawn(shown["mask"])
    colour = bytes.fromhex(found.known[1].colour.removeprefix("#"))
    assert pixels.shape == (106, 160, 4)
    assert (pixels[expected.mask == 1] == [*colour, live.ALPHA]).all()
    assert not pixels[expected.mask == 0].any()  # the background is seen through
    assert shown["classes"][0]["percent"] == pytest.approx(100 * (expected.mask == 1).mean())


def test_nothing_of_a_frame_is_kept(jpeg: bytes) -> None:
    engine = LocalEngine({NETWORK: NETWORKS[NETWORK]}, pictures=0)
    first, second = (engine.answer(Frame(NETWORK, jpeg, SIZE, None)) for _ in range(2))
    assert first is not second
    assert engine._answers.used == engine._pictures.used == 0
    engine.close()


def test_the_channels_of_the_first_frame_are_shown_of_those_that_follow(engine: LocalEngine, jpeg: bytes) -> None:
    first = engine.answer(Frame(NETWORK, jpeg, SIZE, "Encoder 3"))
    chosen = live.tiles(first, "Encoder 3", None)
    assert len(chosen["channels"]) == live.TILES
    ranked = first.layers["Encoder 3"].channels.ranked("variance")[: live.TILES]
    assert chosen["channels"] == sorted(ranked.tolist())
    later = engine.answer(Frame(NETWORK, jpeg_of(Image.new("RGB", (160, 106), "navy")), SIZE, "Encoder 3"))
    assert live.tiles(later, "Encoder 3", chosen["channels"])["channels"] == chosen["channels"]
    rows, columns, _ = drawn(chosen["tiles"]).shape
    assert (rows, columns) == (3 * 24 + 2, 4 * 24 + 3)  # with lines between; this network sees all pictures as squares
    with pytest.raises(InputError, match="has 32 channels"):
        live.tiles(first, "Encoder 3", [99])


@pytest.mark.parametrize(
    "wrong",
    [None, 7, "", "data:image/png;base64,iVBORw0KGgo=", "data:image/jpeg;base64,*", "data:image/jpeg;base64,AAAA", [1]],
)
def test_what_is_no_frame_is_refused_with_a_sentence(wrong: Any) -> None:
    with pytest.raises(InputError, match="A frame has to be a JPEG"):
        live.asked_frame(wrong)


def test_a_frame_that_is_too_large_or_another_kind_of_file_is_refused(jpeg: bytes) -> None:
    assert live.asked_frame(sent(jpeg)) == jpeg
    large = jpeg_of(Image.new("RGB", (live.SIDE + 1, 8)))
    png = jpeg_of(Image.new("RGB", (8, 8)), "PNG")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (600, 600, 3), np.uint8))
    for content in (large, png, jpeg[:40], jpeg_of(noise)):
        with pytest.raises(InputError, match="A frame has to be a JPEG"):
            live.asked_frame(sent(content))


def test_trained_networks_alone_are_offered_each_with_a_size_that_it_has(engine: LocalEngine) -> None:
    offered = {one["name"]: one for one in live.offered(engine.answer(Catalogue()))}
    assert live.FIRST in offered
    assert "yolo_v1" not in offered and "alexnet" not in offered
    for one in offered.values():
        assert one["size"] in one["sizes"]
        assert one["stages"]
