"""``explore``: README.md's examples open the page, and everything on it can be asked for; without a browser."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import segdemo
import segdemo.ui
from segdemo import InputError, Segmenter, exploring
from segdemo.examples import EXAMPLES, GIVEN, example
from segdemo.questions import Activation, Catalogue, Layers, LayerSummary, Run
from segdemo.ui.messages import language_of
from segdemo.ui.page import describe
from segdemo.ui.panels.figure import Figure, payload
from segdemo.ui.tabs.look import _choices

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
SECTION = README.split("\n## A network of your own\n")[1].split("\n## ")[0]
SIDE = 128  # pixels


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, dict[str, Any]]]]:
    """The pages that were opened, and how: nothing is served."""
    pages: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(segdemo.ui, "launch", lambda page, **settings: pages.append((page, settings)))
    yield pages
    for page, _ in pages:
        page.engine.close()
    GIVEN.clear()


def shown(number: int) -> str:
    return re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)[number]


def check_page(page: Any, picture: Image.Image) -> Any:
    """Ask for all that the page can show of its first network; return what is known of it."""
    engine = page.engine
    facts = engine.answer(Catalogue())[0]
    kept = engine.keep(picture)
    side = SIDE if SIDE in facts.sizes else facts.size
    run = Run(facts.name, kept, side)
    result = engine.answer(run)
    assert result.mask.shape == picture.size[::-1] and not result.notes
    assert set(result.layers) == {stage.label for stage in facts.stages}
    layers = {info.name: info for info in engine.answer(Layers(facts.name, run.size, picture.size))}
    offered = {label for _, label in _choices(facts, layers)}
    modules = {info.name for info in layers.values() if info.kind == "module"}
    labels = {stage.label for stage in facts.stages}
    assert offered == labels | (modules - {stage.layer for stage in facts.stages})
    stages = {stage.layer for stage in facts.stages}
    for info in [info for place, info in enumerate(layers.values()) if info.name in stages or place % 8 == 0]:
        assert engine.answer(LayerSummary(facts.name, kept, info.name, run.size)).shape
        values = engine.answer(Activation(facts.name, kept, info.name, size=run.size))
        assert values.size == np.prod(info.shape)
    drawn = payload(engine, Figure(facts.name, side, None, run, None), lambda content, name: name)
    assert all(box["thumbnail"] for box in drawn["boxes"])
    return facts


def test_the_examples_of_the_readme_open_pages_on_which_every_layer_can_be_looked_at(
    opened: list[Any], picture: Image.Image
) -> None:
    torch.manual_seed(0)
    exec(compile(shown(0), "README.md", "exec"), {})
    unet, segformer, lraspp = (check_page(page, picture) for page, _ in opened)
    assert unet.names == ("road", "sky", "car") and "classes" not in unet.guesses
    assert segformer.names == ("wall", "floor", "window")
    assert lraspp.names[15] == "person" and lraspp.guesses == ()
    inputs = {stage.layer: (stage.inputs, stage.skips) for stage in unet.stages}
    assert [skips for _, skips in inputs.values() if skips] == [
        ("encoder.layer3",),
        ("encoder.layer2",),
        ("encoder.layer1",),
        ("encoder.conv1–relu",),
    ]


def test_the_module_of_the_readme_opens_a_page(opened: list[Any], picture: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "harbour.py"
    path.write_text(shown(1), "utf-8")
    spec = importlib.util.spec_from_file_location("harbour", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    segdemo.explore(module.build(), block=False)
    facts = check_page(opened[0][0], picture)
    assert facts.guesses == ("classes", "normalisation", "size")
    assert "".join(shown(1)).count("\n") < 50


class Plain(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))


@pytest.mark.parametrize(("prompt", "block", "waits"), [(False, None, True), (True, None, False), (True, True, True)])
def test_a_script_waits_and_a_prompt_does_not(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch, prompt: bool, block: bool | None, waits: bool
) -> None:
    monkeypatch.setattr(exploring, "_at_prompt", lambda: prompt)
    monkeypatch.setattr(exploring, "in_notebook", lambda: False)
    monkeypatch.setattr(exploring, "_has_desktop", lambda: False)
    segdemo.explore(Plain(), block=block, port=7999)
    assert opened[0][1]["prevent_thread_lock"] is not waits and opened[0][1]["server_port"] == 7999


def test_in_a_notebook_the_page_stands_below_the_cell(opened: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell:
        pass

    import sys

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: ZMQInteractiveShell()))
    segdemo.explore(Plain())
    assert opened[0][1]["inline"] and opened[0][1]["prevent_thread_lock"] and not opened[0][1]["inbrowser"]


def test_the_page_begins_with_the_pictures_that_were_given(
    opened: list[Any], picture: Image.Image, tmp_path: Path
) -> None:
    picture.save(tmp_path / "chelsea.png")
    picture.save(tmp_path / "my photo.tiff")
    segdemo.explore(Plain(), pictures=[tmp_path / "chelsea.png", str(tmp_path / "my photo.tiff"), picture], block=False)
    names = list(GIVEN)
    assert len(names) == 3 and not set(names) & set(EXAMPLES) and names[1:] == ["my-photo", "picture-3"]
    for name in names:
        with Image.open(example(name)) as kept:
            assert np.array_equal(np.asarray(kept.convert("RGB")), np.asarray(picture))
    (offered,) = [block for block in opened[0][0].blocks.values() if isinstance(block, gr.Dataset)]
    assert len(offered.samples) == 3


def test_a_picture_that_is_none_is_refused_before_the_page_opens(opened: list[Any], tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"nothing")
    with pytest.raises(InputError):
        segdemo.explore(Plain(), pictures=[tmp_path / "no.png"], block=False)
    with pytest.raises(InputError, match="41 pictures"):
        segdemo.explore(Plain(), pictures=[tmp_path / "no.png"] * 41, block=False)
    assert not opened


def test_ours_and_torchvisions_stand_beside_it(opened: list[Any]) -> None:
    segdemo.explore(Plain(), block=False)
    names = [facts.name for facts in opened[0][0].engine.answer(Catalogue())]
    assert names[0] == "plain" and {"unet", "deeplabv3_resnet50", "lraspp_mobilenet_v3_large"} <= set(names[1:])


def test_a_segmenter_and_a_name_open_the_page_too(opened: list[Any], picture: Image.Image) -> None:
    segmenter = Segmenter(Plain(), classes=["left", "right"])
    segdemo.explore(segmenter, block=False, size=64)
    segdemo.explore("unet_narrow", block=False)
    facts = opened[0][0].engine.answer(Catalogue())[0]
    assert facts.names == ("left", "right") and facts.size == 64
    assert opened[1][0].engine.answer(Catalogue())[0].name == "unet_narrow"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_says_what_was_guessed_and_what_is_random(opened: list[Any], language: str) -> None:
    request: Any = SimpleNamespace(cookies={"segdemo_language": language}, headers={})
    assert language_of(request) == language
    segdemo.explore(Plain(), classes=["a", "b"], block=False)
    facts = {one.name: one for one in opened[0][0].engine.answer(Catalogue())}
    said = describe(facts["plain"], request)
    assert "⚠" in said and ("ImageNet" in said) and ("names of the classes" not in said)
    random = describe(facts["fcn_resnet50"], request)
    assert ("untrained" in random or "未训练" in random) and "⚠" not in random
    assert "⚠" not in describe(facts["unet"], request)


def test_what_is_no_network_is_refused(opened: list[Any]) -> None:
    with pytest.raises(InputError, match="class of networks"):
        segdemo.explore(Plain)  # type: ignore[arg-type]
    assert not opened
