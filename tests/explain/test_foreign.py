"""Every tool on networks that are not ours: it answers, or says in a sentence why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.explain.autopsy import Autopsy, PixelAutopsy
from segdemo.explain.evidence import ClassEvidence, Evidence
from segdemo.explain.hooks import HonestHook, NaiveHooks
from segdemo.explain.mixer import Change, Mix, Mixed, skips_of
from segdemo.networks import Network
from segdemo.sources import network_of

SIDE = 64


@contextmanager
def opened(module: nn.Module) -> Iterator[tuple[LocalEngine, Network, str]]:
    """An engine that knows one network, with random weights, and a picture of noise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.2)
    spec = network_of(module.eval())
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    with closing(LocalEngine({spec.name: spec})) as engine:
        yield engine, spec, engine.keep(Image.fromarray(noise))


def refusal(engine: LocalEngine, question: Any) -> str:
    with pytest.raises(InputError) as refused:
        engine.answer(question)
    assert len(str(refused.value)) > 60
    return refused.value.code


class Tokens(nn.Module):
    """Patches as tokens, several tensors from one module, and an operation that joins what skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix = Embed(), nn.Linear(8, 8)
        self.head = nn.Conv2d(16, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        tokens, height, width = self.embed(x)
        mixed = torch.relu(self.mix(tokens))
        both = torch.cat([mixed, tokens], 2)
        return self.head(both.transpose(1, 2).reshape(1, 16, height, width))


class Embed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, 8, 4, stride=4)

    def forward(self, x: Tensor) -> tuple[Tensor, int, int]:
        x = self.proj(x)
        return x.flatten(2).transpose(1, 2), x.shape[2], x.shape[3]


def test_tokens_are_laid_out_and_operations_and_single_tensors_are_explained() -> None:
    with opened(Tokens()) as (engine, spec, noise):
        found: Autopsy = engine.answer(PixelAutopsy(spec.name, noise, (30, 20), SIDE))
        assert (8, 16, 16) in [stage.shape for stage in found.stages]
        assert all(stage.total != 0 for stage in found.stages)
        for stage in spec.stages:  # a tensor of several, tokens, an operation, maps
            evidence: Evidence = engine.answer(ClassEvidence(spec.name, noise, stage.label, size=SIDE))
            assert evidence.map.shape == (16, 16), stage
        whole: Mixed = engine.answer(Mix(spec.name, noise, (Change(spec.stages[0].label, factor=0.0),), SIDE))
        assert not np.array_equal(whole.result.logits, whole.before.logits)


class Added(nn.Module):
    """A skip connection that an operation between modules takes in."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 4, 1), nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1))
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return self.head(torch.cat([self.deep(x), x], 1))


def test_a_skip_that_an_operation_takes_in_is_turned_down_alone() -> None:
    module = Added()
    with opened(module) as (engine, spec, noise):
        (skip,) = skips_of(spec)
        assert (skip.source, skip.into) == ("down", "cat")
        mixed: Mixed = engine.answer(Mix(spec.name, noise, (Change("down", "cat", 0.0),), SIDE))
        nn.init.zeros_(module.head.weight[:, 4:].detach())  # as if it carried nothing
        engine.forget_answers()
        expected = engine.answer(Mix(spec.name, noise, (), SIDE)).result.logits
        np.testing.assert_allclose(mixed.result.logits, expected, atol=1e-5)
        assert mixed.layers == (1, 4)


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * x


class OneWay(nn.Module):
    """A function without a way back, in its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.entrance, self.out = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x.sub_(0.1)  # writes into its batch
        return self.out(Square.apply(self.entrance(x)))


def test_where_no_gradient_comes_back_it_is_said_and_behind_that_place_there_is_evidence() -> None:
    with opened(OneWay()) as (engine, spec, noise):
        assert refusal(engine, PixelAutopsy(spec.name, noise, (3, 3), SIDE)) == "no_gradient"
        assert refusal(engine, ClassEvidence(spec.name, noise, "entrance", size=SIDE)) == "no_gradient"
        found: Evidence = engine.answer(ClassEvidence(spec.name, noise, "out", size=SIDE))
        assert found.map.any()
        mixed: Mixed = engine.answer(Mix(spec.name, noise, (Change("entrance", factor=0.0),), SIDE))
        assert mixed.percent > 0 and mixed.layers == (1, 2)


class Frozen(nn.Module):
    """An entrance that no gradient comes back to, without any error."""

    def __init__(self) -> None:
        super().__init__()
        self.entrance, self.out = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.entrance(x)
        return self.out(x)


def test_an_entrance_that_no_gradient_reaches_is_not_shown_as_zeros() -> None:
    with opened(Frozen()) as (engine, spec, noise):
        assert refusal(engine, PixelAutopsy(spec.name, noise, (3, 3), SIDE)) == "no_gradient"
        assert refusal(engine, ClassEvidence(spec.name, noise, "entrance", size=SIDE)) == "no_gradient"


class Partly(nn.Module):
    """TorchScript in its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.entrance, self.out = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1)
        self.middle = torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.middle(self.entrance(x)))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is")
def test_around_a_scripted_part_all_tools_answer() -> None:
    with opened(Partly()) as (engine, spec, noise):
        assert [stage.label for stage in spec.stages] == ["entrance", "out"]
        found: Autopsy = engine.answer(PixelAutopsy(spec.name, noise, (3, 3), SIDE))
        assert [stage.label for stage in found.stages] == ["entrance", "out"] and found.stages[0].total != 0
        evidence: Evidence = engine.answer(ClassEvidence(spec.name, noise, "entrance", size=SIDE))
        assert evidence.map.any() and evidence.control is not None
        mixed: Mixed = engine.answer(Mix(spec.name, noise, (Change("entrance", factor=0.0),), SIDE))
        assert not np.array_equal(mixed.result.logits, mixed.before.logits)
        assert engine.answer(NaiveHooks(spec.name, SIDE)).layers == 2
        assert not engine.answer(HonestHook(spec.name, noise, "entrance", SIDE)).lies


class Looks(nn.Module):
    """Takes another way where values say so, and cannot run without them."""

    def __init__(self) -> None:
        super().__init__()
        self.entrance, self.out = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entrance(x)
        return self.out(x if x.sum() != 0 else x + 1)


def test_a_network_that_looks_at_values_is_explained_without_fields_and_mixed_either_way() -> None:
    with opened(Looks()) as (engine, spec, noise):
        found: Autopsy = engine.answer(PixelAutopsy(spec.name, noise, (3, 3), SIDE))
        assert found.trouble is not None and found.trouble.code == "not_followed"
        evidence: Evidence = engine.answer(ClassEvidence(spec.name, noise, "entrance", size=SIDE))
        assert evidence.control is not None
        mixed: Mixed = engine.answer(Mix(spec.name, noise, (Change("entrance", factor=0.0),), SIDE))
        bias = engine.open(spec.name).module.get_parameter("out.bias").detach()
        weight = engine.open(spec.name).module.get_parameter("out.weight").detach()[:, :, 0, 0]
        np.testing.assert_allclose(mixed.result.logits[:, 5, 5], (bias + weight.sum(1)).numpy(), rtol=1e-4)


def test_an_operation_has_no_hook() -> None:
    with opened(Added()) as (engine, spec, noise):
        assert refusal(engine, HonestHook(spec.name, noise, "cat", SIDE)) == "hook_operation"
