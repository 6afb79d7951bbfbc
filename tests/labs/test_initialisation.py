"""The lab of initialisation: weights as theory has them, within what chance allows."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import nn

from segdemo.labs import initialisation
from segdemo.labs.alexnet_maps import trained
from segdemo.labs.initialisation_nets import Deep, follow
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


@pytest.mark.parametrize("net", ["alexnet", "resnet", "unet"])
@pytest.mark.parametrize("kind", ["by_hand", "by_name", "default", "xavier"])
def test_weights_of_a_real_network_have_the_deviation_of_theory(net: str, kind: str, picture: Image.Image) -> None:
    rows = run("initialisation", picture, {"net": net, "weights": kind}).facts["rows"]
    assert len(rows) == {"alexnet": 5, "resnet": 20, "unet": 19}[net]
    for name, mean, std, expected, error in rows:
        assert abs(std - expected) < 5 * error, name
        assert abs(mean) < 5 * error * 2**0.5, name


def test_units_are_dead_where_a_relu_gives_nothing_anywhere(picture: Image.Image) -> None:
    values = run("initialisation", picture, {"weights": "normal", "spread": 0.0, "depth": 3, "width": 5}).values
    assert values["dead"].tolist() == [5, 5, 5]
    values = run("initialisation", picture, {"weights": "normal", "spread": 0.5, "depth": 3, "width": 5}).values
    assert values["dead"].sum() < 15


def test_trained_weights_stand_beside_the_random_ones(picture: Image.Image) -> None:
    outcome = run("initialisation", picture, {"net": "alexnet", "beside": True})
    assert len(outcome.values["theirs"]) == len(outcome.values["deviations"]) == 5
    kernels = trained()["0.weight"]
    assert outcome.facts["rows"][0][5] == pytest.approx(kernels.std().item())
    assert outcome.facts["rows"][0][2] != pytest.approx(kernels.std().item(), rel=0.01)


def test_gradient_that_is_followed_is_that_of_autograd(picture: Image.Image) -> None:
    net = Deep(2, 4, False, nn.ReLU)
    x = torch.randn(1, 3, 6, 6)
    found, cut = follow(net, x)
    first = net[0](x).detach().requires_grad_()
    torch.manual_seed(1)
    output = net[3](net[2](net[1](first)))
    output.backward(torch.randn(output.shape))
    torch.testing.assert_close(found[0].grad, first.grad)
    torch.testing.assert_close(cut[1], output.detach())
    assert not any(module._forward_hooks for module in net.modules())
