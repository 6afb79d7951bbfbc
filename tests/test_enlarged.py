"""What is sent of a result: the logits before the network's last enlargement, where that gives all of them."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from segdemo import LocalEngine
from segdemo.questions import Run
from segdemo.results import Result


def answered(network: str, picture: Image.Image, size: int) -> Result:
    engine = LocalEngine()
    result: Result = engine.answer(Run(network, engine.keep(picture), size))
    engine.close()
    return result


@pytest.mark.parametrize(("network", "size"), [("deeplabv3_mobilenet_v2", 257), ("unet_mobilenet_v2", 192)])
def test_a_pickle_holds_the_small_logits_and_gives_back_every_bit(
    network: str, size: int, picture: Image.Image
) -> None:
    result = answered(network, picture, size)
    enlarged = result.enlarged
    assert enlarged is not None
    by_hand = functional.interpolate(
        torch.from_numpy(enlarged.values.copy())[None],
        enlarged.size,
        mode="bilinear",
        align_corners=enlarged.align_corners,
    )[0]
    rows, columns = result.logits.shape[1:]
    assert np.allclose(by_hand[:, :rows, :columns], result.logits, atol=1e-4)
    sent = pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
    whole = pickle.dumps(replace(result, enlarged=None), pickle.HIGHEST_PROTOCOL)
    assert len(whole) - len(sent) > 0.9 * result.logits.nbytes - 2 * enlarged.values.nbytes
    back = pickle.loads(sent)
    assert back.logits.tobytes() == result.logits.tobytes()
    assert not back.logits.flags.writeable
    assert np.array_equal(back.mask, result.mask)


def test_logits_that_are_no_enlargement_are_sent_as_they_are(picture: Image.Image) -> None:
    result = answered("unet", picture, 128)
    assert result.enlarged is None
    assert pickle.loads(pickle.dumps(result)).logits.tobytes() == result.logits.tobytes()


def test_logits_that_an_enlargement_does_not_give_to_the_bit_are_sent_as_they_are(picture: Image.Image) -> None:
    result = answered("unet_mobilenet_v2", picture, 192)
    other = result.logits.copy()
    other[0, 0, 0] = np.nextafter(other[0, 0, 0], np.float32(np.inf))
    changed = replace(result, logits=other)
    assert pickle.loads(pickle.dumps(changed)).logits.tobytes() == other.tobytes()


def test_what_is_wider_than_the_enlargement_is_none_of_it(picture: Image.Image) -> None:
    result = answered("unet_mobilenet_v2", picture, 192)
    assert result.enlarged is not None
    assert result.enlarged.gives(result.logits)
    assert not result.enlarged.gives(np.zeros((7, 10, 10_000), np.float32))
