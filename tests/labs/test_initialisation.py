"""The lab of initialisation: weights as theory has them, within what chance allows."""

from __future__ import annotations

import pytest
from PIL import Image

from segdemo.labs import initialisation
from segdemo.labs.question import checked, run


@pytest.mark.parametrize("kind", initialisation.KINDS)
def test_weights_have_the_deviation_of_theory_within_the_sampling_error(kind: str, picture: Image.Image) -> None:
    outcome = run("initialisation", picture, {"weights": kind, "width": 32, "size": 16})
    weights, expected = outcome.values["weights"], outcome.facts["expected"]
    count = weights.size
    assert abs(weights.mean()) < 4 * expected / count**0.5
    assert abs(weights.std() - expected) < 4 * expected / (2 * count) ** 0.5


def test_theory_is_met_without_a_border_or_an_activation() -> None:
    """In a wide picture of noise, where borders hardly count, each layer has the deviation that theory says."""
    noise = Image.effect_noise((48, 48), 60).convert("RGB")
    given = {"act": "none", "depth": 3, "width": 32, "weights": "lecun"}
    outcome = run("initialisation", noise, given)
    assert initialisation.predicted(checked("initialisation", given)) == pytest.approx((1, 1, 1))
    assert outcome.values["deviations"] == pytest.approx(1, rel=0.35)


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({"weights": "kaiming_in", "depth": 20}, "steady"),
        ({"weights": "by_hand", "depth": 20}, "steady"),
        ({"weights": "default", "depth": 12}, "vanishes"),
        ({"weights": "normal", "spread": 0.9, "depth": 12}, "explodes"),
        ({"weights": "normal", "spread": 0.9, "depth": 12, "norm": True}, "steady"),
    ],
)
def test_signal_gets_through_where_theory_says(given: dict[str, object], state: str, picture: Image.Image) -> None:
    assert run("initialisation", picture, given).facts["state"] == state
