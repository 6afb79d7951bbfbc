"""What the panel of the labs sends besides what a lab shows."""

from __future__ import annotations

import base64
import io

import pytest
import torch

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.labs import LABS
from segdemo.labs.unet_training import MOST, TURN
from segdemo.ui.panels.labs import asked_lab, file_address, payload, refusal, training


def test_file_of_a_snippet_holds_the_weights_and_no_other_can_be_had() -> None:
    address = file_address("lenet", "lenet.pt")
    weights = torch.load(io.BytesIO(base64.b64decode(address.partition(",")[2])), weights_only=True)
    assert sum(value.numel() for value in weights.values()) == 81_194
    for lab, name in (("lenet", "../lenet.pt"), ("unet", "lenet.pt")):
        with pytest.raises(InputError) as caught:
            file_address(lab, name)
        assert caught.value.code == "unknown_file"


def test_what_is_refused_comes_with_the_setting_that_mends_it() -> None:
    engine = LocalEngine()
    question = asked_lab(engine, {"lab": "lenet", "words": {"side": "28"}})
    with pytest.raises(InputError) as caught:
        payload(engine, question)
    found = refusal("lenet", caught.value, None)
    assert found["offer"] == {"resize": "1"}
    assert "28 × 28" in found["refused"]
    payload(engine, asked_lab(engine, {"lab": "lenet", "words": {"side": "28", **found["offer"]}}))
    with pytest.raises(InputError):
        refusal("unet", caught.value, None)  # nothing mends it there
    engine.close()


def test_training_says_what_comes_next() -> None:
    engine = LocalEngine()
    question = asked_lab(engine, {"lab": "unet", "words": {"width": "1", "depth": "1"}})
    found = training(engine, question, 0)
    assert (found["next"], found["most"]) == (TURN, MOST)
    assert {"losses", "mask_with", "mask_without", "layers_with"} <= {block["name"] for block in found["blocks"]}
    engine.close()


def test_only_labs_that_tell_it_apart_are_asked_for_what_needs_no_pass() -> None:
    engine = LocalEngine()
    for name, lab in LABS.items():
        assert asked_lab(engine, {"lab": name, "words": {}, "quick": True}).quick is hasattr(lab, "quick")
    engine.close()
