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
from segdemo.explain.compare import ALTERATIONS, Compare, Comparison, altered, linear_cka, turned_back
from segdemo.opened import fingerprint_of
from segdemo.questions import Run
from tests.explain.conftest import LINEAR, SIZE


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
    assert altered(picture, how, 0).tobytes() == picture.tobytes()
    apart = [np.abs(np.asarray(altered(picture, how, amount), float) - picture).mean() for amount in (0.1, 0.5, 1.0)]
    assert apart == sorted(apart)


def test_all_the_darkening_is_black(picture: Image.Image) -> None:
    assert not np.asarray(altered(picture, "darkened", 1.0)).any()


def test_an_unknown_alteration_and_too_much_are_refused(picture: Image.Image) -> None:
    with pytest.raises(InputError, match="blurred, darkened") as refused:
        altered(picture, "upside down")
    assert refused.value.code == "unknown_alteration"
    for amount in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="from 0 to 1") as refused:
            altered(picture, "noisy", amount)
        assert refused.value.code == "alteration_amount"


def test_a_quarter_turn_is_turned_back_and_what_left_the_picture_is_not_compared() -> None:
    square = np.arange(16).reshape(4, 4)
    back, inside = turned_back(np.rot90(square), 90)  # NumPy turns anticlockwise
    np.testing.assert_array_equal(back, square)
    assert inside.all()
    _, there = turned_back(np.zeros((3, 5), int), 90)
    np.testing.assert_array_equal(there, [[False, True, True, True, False]] * 3)


def test_a_turned_picture_is_compared_where_both_have_something(engine: LocalEngine) -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8))
    left, right = (engine.keep(one) for one in (small, small.transpose(Image.Transpose.ROTATE_90)))
    found: Comparison = engine.answer(Compare(Run("linear", left), Run("linear", right), 90.0))
    assert found.percent == 0 and found.compared.all()  # each pixel's class depends on that pixel alone
    np.testing.assert_allclose(np.diag(found.likeness), 1.0)
    assert engine.answer(Compare(Run("linear", left), Run("linear", right))).percent > 0
    tilted = engine.answer(Compare(Run("linear", left), Run("linear", left), 45.0))
    assert not tilted.compared.all() and not (tilted.disagreement & ~tilted.compared).any()
    assert tilted.percent == 100 * tilted.disagreement.sum() / tilted.compared.sum()
