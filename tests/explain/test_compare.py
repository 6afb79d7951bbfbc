"""Two runs side by side: CKA by its definition, disagreement counted, what is refused."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.explain.compare import ALTERATIONS, Compare, Comparison, altered, linear_cka
from segdemo.opened import fingerprint_of
from segdemo.questions import Run
from tests.explain.conftest import LINEAR


@pytest.fixture(scope="module")
def cat(engine: LocalEngine) -> str:
    return engine.keep(example("chelsea"))


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with centred Gram matrices."""
    centre = np.eye(len(x)) - 1 / len(x)
    k, m = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    return float(np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m)))


@pytest.mark.parametrize(("wide", "other"), [(3, 5), (40, 5), (40, 60)])
def test_cka_is_what_its_definition_says(wide: int, other: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, wide)), rng.normal(size=(20, other))
    assert linear_cka(x, y) == pytest.approx(by_definition(x, y))
    turn, _ = np.linalg.qr(rng.normal(size=(wide, wide)))
    assert linear_cka(x, 3 * x @ turn + 7) == pytest.approx(1.0)
    assert np.isnan(linear_cka(x, np.ones((20, 2))))


def test_a_run_agrees_with_itself(engine: LocalEngine, cat: str) -> None:
    run = Run("unet_narrow", cat)
    found: Comparison = engine.answer(Compare(run, run))
    assert found.percent == 0 and not found.disagreement.any()
    np.testing.assert_allclose(np.diag(found.likeness), 1.0)
    assert all(left == right for left, right, _ in found.matched)
    assert all(before == after for _, before, after in found.shares)


def test_two_networks_disagree_where_their_classes_have_other_names(engine: LocalEngine, cat: str) -> None:
    left, right = Run("unet_mobilenet_v2", cat), Run("deeplabv3_mobilenet_v2", cat, 257)
    found: Comparison = engine.answer(Compare(left, right))
    one, other = (engine.answer(run) for run in (left, right))
    names = [np.array(result.names)[result.mask] for result in (one, other)]
    np.testing.assert_array_equal(found.disagreement, names[0] != names[1])
    assert found.common == one.names and found.likeness.shape == tuple(map(len, found.stages))
    assert dict((name, before) for name, before, _ in found.shares)["aeroplane"] is None


def test_a_step_of_the_training_is_compared_with_its_end(engine: LocalEngine, cat: str) -> None:
    found: Comparison = engine.answer(Compare(Run("unet_narrow", cat, step=0), Run("unet_narrow", cat)))
    assert found.percent > 1 and not found.left.trained and found.right.trained


@pytest.mark.parametrize("how", ["in place", "put in its place"])
def test_a_network_that_was_changed_is_compared_anew(picture: Image.Image, how: str) -> None:
    engine = LocalEngine({"linear": LINEAR, "again": replace(LINEAR, name="again")})
    try:
        kept = engine.keep(picture)
        question = Compare(Run("linear", kept), Run("again", kept))
        assert engine.answer(question).percent == 0
        opened = engine.open("again")
        module = opened.module if how == "in place" else copy.deepcopy(opened.module)
        with torch.no_grad():
            module.second.weight.copy_(module.second.weight.flip(0))  # type: ignore[operator, union-attr]
        if how == "put in its place":
            engine.adopt(replace(opened, module=module, fingerprint=fingerprint_of(module)))
        assert engine.answer(question).percent == 100
    finally:
        engine.close()


def test_networks_without_a_common_class_are_refused(engine: LocalEngine, cat: str) -> None:
    with pytest.raises(InputError, match="no class in common") as refused:
        engine.answer(Compare(Run("lenet", cat), Run("unet_narrow", cat)))
    assert refused.value.code == "nothing_in_common"


@pytest.mark.parametrize("how", ALTERATIONS)
def test_an_altered_picture_is_another_of_the_same_size_and_the_same_each_time(picture: Image.Image, how: str) -> None:
    once, again = altered(picture, how), altered(picture, how)
    assert once.size == picture.size and once.tobytes() == again.tobytes() != picture.tobytes()


def test_an_unknown_alteration_is_refused(picture: Image.Image) -> None:
    with pytest.raises(InputError, match="blurred, darkened") as refused:
        altered(picture, "upside down")
    assert refused.value.code == "unknown_alteration"
