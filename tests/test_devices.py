"""Where networks compute and how precisely: asked for by name, checked, and said where it is half."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segdemo import Segmenter
from segdemo.__main__ import main
from segdemo.commands import app
from segdemo.devices import device_called
from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.images import to_batch
from segdemo.networks import NETWORKS
from segdemo.open_networks import OpenNetworks
from segdemo.private import PrivateNetworks
from segdemo.questions import Activation, Run

LENET = NETWORKS["lenet"]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What a machine has, pretended: nothing is moved there."""
    has = SimpleNamespace(cuda=0, mps=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: has.cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has.mps)
    return has


def test_auto_is_the_fastest_device_that_there_is(machine: SimpleNamespace) -> None:
    assert device_called("auto") == torch.device("cpu")
    machine.mps = True
    assert device_called("auto") == torch.device("mps")
    machine.cuda = 2
    assert device_called("auto") == torch.device("cuda")
    assert device_called("cuda:1") == torch.device("cuda", 1)
    assert device_called("cpu") == torch.device("cpu")


@pytest.mark.parametrize("word", ["cuda", "cuda:2", "mps"])
def test_a_device_that_the_machine_has_not_is_a_sentence(machine: SimpleNamespace, word: str) -> None:
    machine.cuda = 0 if word == "cuda" else 2
    with pytest.raises(InputError, match=f"has no device {word}"):
        device_called(word)


@pytest.mark.parametrize("word", ["", "gpu", "meta", "cuda:x", "cuda:", "cuda:-1", "cpu:٣"])
def test_a_name_that_is_no_device_is_a_sentence(machine: SimpleNamespace, word: str) -> None:
    machine.cuda = 1
    with pytest.raises(InputError, match="is no device"):
        device_called(word)


def test_networks_go_to_the_device_and_one_that_was_given_stays_where_it_is() -> None:
    module = nn.Conv2d(3, 2, 1)
    given = replace(NETWORKS["unet"], name="given", weights="given", build=lambda _: module)
    networks = OpenNetworks({"lenet": LENET, "given": given}, PrivateNetworks(), 1 << 30, torch.device("meta"))
    assert {one.device.type for one in networks.open("lenet").module.parameters()} == {"meta"}
    assert networks.open("given").module.weight.device.type == "cpu"


def test_a_precision_that_is_none_is_a_sentence() -> None:
    with pytest.raises(InputError, match="'int8' is no precision"):
        Segmenter("lenet", precision="int8")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_said_and_what_a_layer_put_out_is_shown_as_it_was(
    picture: Image.Image, precision: str
) -> None:
    dtype = getattr(torch, precision)
    half, plain = Segmenter("unet_narrow", precision=precision), Segmenter("unet_narrow", device="cpu")
    layer = half.spec.stages[1].layer
    module, seen = plain.network, []
    batch, _ = to_batch(picture, plain.spec.preprocessing, 64)
    hook = module.get_submodule(layer).register_forward_hook(lambda *given: seen.append(given[-1]))
    with torch.no_grad(), torch.autocast("cpu", dtype):
        module(batch)
    hook.remove()
    shown = half.activation(picture, layer, size=64)
    assert np.array_equal(shown, seen[0][0].float().numpy())
    assert not np.array_equal(shown, plain.activation(picture, layer, size=64))
    result = half.run(picture, size=64)
    assert result.logits.dtype == np.float32
    (note,) = result.notes
    assert str(note).startswith(f"Computed in {precision}, as was asked for")
    assert plain.run(picture, size=64).notes == ()
    again = pickle.loads(pickle.dumps(half))
    assert (again.precision, again.spec.name) == (precision, "unet_narrow")


def test_an_engine_answers_in_half_precision_whatever_it_is_asked(picture: Image.Image) -> None:
    from segdemo.explain.autopsy import PixelAutopsy
    from segdemo.explain.compare import Compare
    from segdemo.explain.evidence import ClassEvidence
    from segdemo.explain.mixer import Change, Mix

    engine = LocalEngine(precision="bfloat16", device="auto")
    key = engine.keep(picture)
    labels = [stage.label for stage in NETWORKS["unet_narrow"].stages]
    run = Run("unet_narrow", key, 64)
    mixed = engine.answer(Mix("unet_narrow", key, (Change(labels[1], factor=1.0),), size=64))
    assert mixed.percent == 0
    assert engine.answer(Compare(run, run)).percent == 0
    engine.answer(PixelAutopsy("unet_narrow", key, point=(3, 4), size=64))
    engine.answer(ClassEvidence("unet_narrow", key, labels[-2], where="pixel", point=(3, 4), size=64))
    assert engine.answer(Activation("unet_narrow", key, labels[0], size=64)).dtype == np.float32
    engine.close()


def test_segment_says_in_every_result_that_it_was_half(
    tmp_path: Path, picture: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    picture.save(tmp_path / "cat.png")
    words = ["segment", str(tmp_path / "cat.png"), "--network", "unet_narrow", "--out", str(tmp_path / "out")]
    assert main([*words, "--precision", "bfloat16", "--device", "cpu"]) == 0
    assert "Computed in bfloat16" in capsys.readouterr().err
    facts = json.loads((tmp_path / "out" / "cat.json").read_text())
    assert "Computed in bfloat16" in facts["notes"][0]
    assert main(words) == 0  # another precision is another result
    assert "notes" not in json.loads((tmp_path / "out" / "cat.json").read_text())
    assert main([*words, "--device", "cuda:7"]) == 2
    assert "has no device cuda:7" in capsys.readouterr().err


def test_the_page_computes_as_the_command_line_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from segdemo.ui import limits

    for name in ("PASSES", "DEVICE", "PRECISION"):
        monkeypatch.setenv(f"SEGDEMO_{name}", "")  # as it was, afterwards
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert limits.passes() == 1
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert limits.passes() == 4
    found: list[LocalEngine] = []
    monkeypatch.setattr("segdemo.ui.launch", lambda: found.append(limits.engine({})))
    assert main(["app", "--passes", "2", "--device", "cpu", "--precision", "bfloat16"]) == 0
    assert (found[0]._passes, found[0].place) == (2, ("cpu", "bfloat16"))
    found[0].close()
    assert main(["app", "--passes", "2", "--engine", "auto"]) == 2
    assert app.HELP


@pytest.mark.parametrize("word", ["0", "-1", "many", "65", "1.5", "٣"])
def test_a_number_of_passes_that_is_none_is_a_sentence(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    from segdemo.ui import limits

    monkeypatch.setenv("SEGDEMO_PASSES", word)
    with pytest.raises(InputError, match="SEGDEMO_PASSES"):
        limits.check()
    assert limits.passes() >= 1
