"""Only what a change reaches runs again: which layers do is known by hand, and what comes out is a full pass's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from segdemo.engine import LocalEngine
from segdemo.explain import mixer, replay
from segdemo.explain.changes import mixing
from segdemo.explain.mixer import Ablation, Change, Mix, Mixed, skips_of
from segdemo.explain.replay import Resumed
from segdemo.networks import NETWORKS, Network
from segdemo.sources import network_of

SIDE = 64


def one(module: nn.Module) -> tuple[LocalEngine, Network, str]:
    """An engine that knows one foreign network, and a picture of noise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in module.parameters():
            if parameter.dim() > 1:
                nn.init.kaiming_normal_(parameter)
    spec = network_of(module.eval())
    engine = LocalEngine({spec.name: spec})
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    return engine, spec, engine.keep(Image.fromarray(noise))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the layers without parts whose own forward ran in the passes with a change."""
    names: list[str] = []
    changing = mixing

    def watched(bench: Any, changes: Any, *rest: Any) -> Any:
        names.clear()
        for name, module in bench.module.named_modules():
            if name and not any(module.children()) and "noted" not in getattr(module.forward, "__name__", ""):
                monkeypatch.setattr(module, "forward", noted(name, module.forward))
        return changing(bench, changes, *rest)

    def noted(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def noted_call(*arguments: Any, **keywords: Any) -> Any:
            names.append(name)
            return forward(*arguments, **keywords)

        return noted_call

    monkeypatch.setattr(mixer, "mixing", watched)
    yield names


def both(engine: LocalEngine, question: Mix, monkeypatch: pytest.MonkeyPatch) -> tuple[Mixed, np.ndarray]:
    """The answer, and the logits of a pass in which nothing is left out."""
    mixed = engine.answer(question)
    engine.forget_answers()
    with monkeypatch.context() as patch:
        patch.setattr(mixer, "_plan", lambda *_: Resumed())
        full = engine.answer(question).result.logits
    engine.forget_answers()
    return mixed, full


class Forked(nn.Module):
    """Two ways from one entrance, one of them rectified in place, that meet by addition."""

    def __init__(self) -> None:
        super().__init__()
        self.entrance, self.left, self.right = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.relu, self.drop, self.out = nn.ReLU(inplace=True), nn.Dropout(), nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entrance(x)
        left = self.left(x)
        self.relu(left)
        return self.out(self.drop(left) + self.right(x))


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (Change("out", factor=0.5), ["relu", "drop"]),  # the sum takes what these wrote into another's output
        (Change("left", factor=0.5), ["relu", "drop", "out"]),  # not the way beside it
        (Change("right", factor=0.5), ["relu", "drop", "out"]),
        (Change("entrance", factor=0.5), ["left", "relu", "drop", "right", "out"]),
        (Change("add", factor=0.5), ["relu", "drop", "out"]),
    ],
    ids=lambda value: value.layer if isinstance(value, Change) else "",
)
def test_only_what_a_change_reaches_runs_again(
    change: Change, again: list[str], ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, spec, noise = one(Forked())
    with closing(engine):
        question = Mix(spec.name, noise, (change,), SIDE)
        mixed: Mixed = engine.answer(question)
        assert ran == again
        assert mixed.layers == (len(again), 6) and mixed.whole is None
        mixed, full = both(engine, question, monkeypatch)
        np.testing.assert_array_equal(mixed.result.logits, full)
        assert mixed.result.logits.std() > 0 and not np.array_equal(full, mixed.before.logits)


def test_what_comes_before_is_kept_for_the_next_move(ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    engine, spec, noise = one(Forked())
    with closing(engine):
        engine.answer(Mix(spec.name, noise, (Change("left", factor=0.5),), SIDE))
        passes: list[str] = []
        monkeypatch.setattr(replay, "_keeping", lambda *_: passes.append("again"))
        engine.answer(Mix(spec.name, noise, (Change("left", factor=0.7), Change("out", factor=0.0)), SIDE))
        assert not passes and ran == ["relu", "drop", "out"]


def build_fcn() -> nn.Module:
    return torchvision.models.segmentation.fcn_resnet50(weights=None, weights_backbone=None, num_classes=4)


def build_unet() -> nn.Module:
    return smp.Unet("resnet18", encoder_weights=None, classes=4)


class Norms(nn.Module):
    """A module that is called twice, an operation between modules, and several tensors from one module."""

    def __init__(self) -> None:
        super().__init__()
        self.entrance, self.again, self.out = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), Both()

    def forward(self, x: Tensor) -> Tensor:
        x = self.entrance(x)
        one = torch.relu(self.again(x))
        two = self.again(one)
        left, right = self.out(torch.cat([one, two], 1))
        return left - right


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 6, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        left, right = self.conv(x).chunk(2, 1)
        return left, right * 2


@pytest.mark.parametrize(
    ("build", "changes"),
    [
        (Norms, [Change("again:2", factor=0.5)]),
        (Norms, [Change("again", factor=0.5)]),
        (Norms, [Change("out:1[0]", factor=0.0), Change("out:1[1]", instead="mean")]),
        (Norms, [Change("cat", factor=0.0, channels=(1, 5))]),
        (build_fcn, [Change("backbone.layer3", factor=0.5)]),
        (build_fcn, [Change("backbone.layer4.0.relu:2", factor=0.0, channels=(1,))]),
        (build_unet, [Change("encoder.layer2", factor=0.5)]),
        (build_unet, [Change("encoder.conv1–relu", "decoder.blocks.3", 0.0), Change("decoder.blocks.4", factor=1.5)]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "+".join(one.layer for one in value),
)
def test_foreign_networks_are_changed_bit_for_bit_as_in_a_full_pass(
    build: Callable[[], nn.Module], changes: list[Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, spec, noise = one(build())
    with closing(engine):
        mixed, full = both(engine, Mix(spec.name, noise, tuple(changes), SIDE), monkeypatch)
        np.testing.assert_array_equal(mixed.result.logits, full)
        assert mixed.layers[0] < mixed.layers[1] and mixed.whole is None
        assert not np.array_equal(full, mixed.before.logits)


class Remembering(Forked):
    """Adds what the pass before put out: nothing of it can be left out."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return super().forward(x) + self.count


class Escaping(Forked):
    """Hands a tensor on as an attribute, past what the module returns."""

    def __init__(self) -> None:
        super().__init__()
        self.entrance = Aside()  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.entrance.aside.mean()  # type: ignore[operator]


class Aside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        self.aside = x.sigmoid()
        return self.conv(x)


def test_a_network_that_is_not_the_same_twice_is_run_whole_and_that_is_said(ran: list[str]) -> None:
    engine, spec, noise = one(Remembering())
    with closing(engine):
        mixed: Mixed = engine.answer(Mix(spec.name, noise, (Change("left", factor=0.5),), SIDE))
    assert mixed.whole is not None and mixed.whole.code == "cut_inexact"
    assert ran == ["entrance", "left", "relu", "drop", "right", "out"] and mixed.layers == (6, 6)


def test_what_a_module_hands_on_beside_its_output_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, spec, noise = one(Escaping())
    with closing(engine):
        mixed, full = both(engine, Mix(spec.name, noise, (Change("out", factor=0.5),), SIDE), monkeypatch)
    np.testing.assert_array_equal(mixed.result.logits, full)
    assert mixed.layers == (2, 6) and mixed.whole is None  # its convolution is kept, what it hands on is made anew


def test_more_than_may_be_kept_is_not_kept(monkeypatch: pytest.MonkeyPatch, ran: list[str]) -> None:
    monkeypatch.setattr(replay, "LARGEST", 4 * 4 * SIDE * SIDE)  # one of the two maps that are needed
    engine, spec, noise = one(Forked())
    with closing(engine):
        mixed: Mixed = engine.answer(Mix(spec.name, noise, (Change("left", factor=0.5),), SIDE))
    assert mixed.whole is not None and mixed.whole.code == "cut_large" and "entrance" in ran


def test_a_hook_of_the_networks_owner_is_called_once_with_what_the_layer_put_out() -> None:
    module = Forked()
    module.left.register_forward_hook(lambda module, inputs, output: output + 1)
    engine, spec, noise = one(module)
    with closing(engine), pytest.MonkeyPatch.context() as patch:
        mixed, full = both(engine, Mix(spec.name, noise, (Change("out", factor=0.5),), SIDE), patch)
    np.testing.assert_array_equal(mixed.result.logits, full)


def test_nothing_of_a_replay_is_left_on_the_network() -> None:
    module = Forked()
    engine, spec, noise = one(module)
    with closing(engine):
        engine.answer(Mix(spec.name, noise, (Change("left", factor=0.5),), SIDE))
    assert not any("forward" in vars(one) or one._forward_hooks for one in module.modules())


def test_a_ranking_leaves_out_what_comes_before_its_layer(ran: list[str]) -> None:
    engine, spec, noise = one(Forked())
    with closing(engine):
        name = engine.answer(Mix(spec.name, noise, (), SIDE)).before.classes[0].name
        ranks = engine.answer(Ablation(spec.name, noise, "left", name, (2,), SIDE))
    assert len(ranks) == 1 and ran == ["relu", "drop", "out"]


@pytest.mark.parametrize("name", [name for name, spec in NETWORKS.items() if spec.task == "segmentation"])
def test_of_every_network_of_ours_a_stage_and_a_skip_are_changed_bit_for_bit(
    engine: LocalEngine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = NETWORKS[name]
    picture = engine.keep(Image.fromarray(np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)))
    stage = spec.stages[len(spec.stages) // 2]
    changes = [Change(stage.label, instead="noise"), *(Change(s.source, s.into, 0.5) for s in skips_of(spec)[-1:])]
    mixed, full = both(engine, Mix(name, picture, tuple(changes), spec.preprocessing.sizes[0]), monkeypatch)
    np.testing.assert_array_equal(mixed.result.logits, full)
    assert mixed.whole is None and mixed.layers[0] < mixed.layers[1]
    assert not np.array_equal(full, mixed.before.logits)
