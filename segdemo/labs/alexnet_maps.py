"""What AlexNet does to maps: ReLU, normalisation among channels, dropout, ten crops."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from segdemo import checkpoints
from segdemo.errors import InputError
from segdemo.labs.alexnet_blocks import features, stored, ten_crops
from segdemo.labs.lab import Block, Curves, Formula, Maps, Outcome, Said, Table, array, call

ACTS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
FILE = "alexnet.safetensors"  # in the folder of checkpoints that comes with the package
SHOWN = 8  # maps of the 64
CROPS = ("top left", "top right", "bottom left", "bottom right", "middle")


def _net_code(settings: Mapping[str, Any]) -> tuple[list[Any], str]:
    """Return what makes the features."""
    lines = "net = features()\n"
    if settings["weights"] == "random":
        return [features], lines
    lines += f'weights = stored("{FILE}")  # from the folder "checkpoints" of segdemo\n'
    return [features, stored], lines + (
        'net.load_state_dict({name.removeprefix("features."): value for name, value in weights.items()})\n'
    )


def _net(settings: Mapping[str, Any]) -> nn.Sequential:
    net = features()
    if settings["weights"] == "trained":
        net.load_state_dict(trained())
    return net


@lru_cache(1)
def trained() -> dict[str, Tensor]:
    """Return the weights of the trained features, by their names there; not to be changed.

    Raises:
        InputError: the file is not there.
    """
    path = checkpoints.folder() / FILE
    if not path.is_file():
        raise InputError(
            "lab_weights",
            "The trained weights should be in the file {file}, which is not there. Take random ones, or put it into "
            "the folder of checkpoints.",
            file=FILE,
        )
    return {name.removeprefix("features."): value for name, value in stored(str(path)).items()}


def gradients(net: nn.Sequential, x: Tensor, kind: type[nn.Module]) -> Tensor:
    """Return the deviation of the gradient at each convolution, for a random one at the end."""
    found = []
    for layer in net:
        x = kind()(x) if isinstance(layer, nn.ReLU) else layer(x)
        if isinstance(layer, nn.Conv2d):
            x.retain_grad()
            found.append(x)
    torch.manual_seed(1)
    x.backward(torch.randn(x.shape))
    return torch.stack([values.grad.std() for values in found])  # type: ignore[union-attr]


def relu_code(settings: Mapping[str, Any]) -> tuple[list[Any], str]:
    """Return what is shown of the network, and the code that follows it."""
    shown, lines = _net_code(settings)
    kind = f"nn.{ACTS[settings['act']].__name__}"
    return [*shown, gradients], lines + (
        f"before = net[0](x)\nafter = {kind}()(before)\nslopes = gradients(net, x, {kind})\n"
        "print(before.min().item(), after.min().item(), slopes.tolist())\n"
    )


def relu(batch: Tensor, settings: Mapping[str, Any]) -> Outcome:
    """Show the first convolution before and after its activation, and the gradient for each activation."""
    net = _net(settings)
    before = net[0](batch)
    after = ACTS[settings["act"]]()(before)
    slopes = {name: gradients(net, batch, kind) for name, kind in ACTS.items()}
    blocks: tuple[Block, ...] = (
        Maps("before", array(before[0][:SHOWN]), shape=tuple(before.shape)),
        Maps("after", array(after[0][:SHOWN]), shape=tuple(after.shape)),
        Curves("slopes", {name: tuple(values.tolist()) for name, values in slopes.items()}, logarithmic=True),
        Said("slopes", {name: f"{float(values[0] / values[-1]):.2g}" for name, values in slopes.items()}),
    )
    values = {"before": before, "after": after, "slopes": slopes[settings["act"]]}
    return Outcome({name: array(value) for name, value in values.items()}, blocks, {})


def lrn_code(settings: Mapping[str, Any]) -> tuple[list[Any], str]:
    """Return what is shown of the network, and the code that follows it."""
    shown, lines = _net_code(settings)
    arguments = {key: settings[key] for key in ("alpha", "beta", "k")}
    made = call("nn.LocalResponseNorm", {"size": settings["neighbours"]} | arguments)
    return shown, lines + (
        f"with torch.no_grad():\n    before = net[:2](x)\n    after = {made}(before)\n"
        "print(before.max().item(), after.max().item())\n"
    )


def lrn(batch: Tensor, settings: Mapping[str, Any]) -> Outcome:
    """Show maps before and after each value was divided by what its neighbours among the channels have there."""
    size, alpha, beta, k = (settings[key] for key in ("neighbours", "alpha", "beta", "k"))
    with torch.no_grad():
        before = _net(settings)[:2](batch)
        after = nn.LocalResponseNorm(size, alpha, beta, k)(before)
    channel, row, column = (int(place) for place in torch.unravel_index(before[0].argmax(), before.shape[1:]))
    first = max(channel - size // 2, 0)
    near = before[0, first : channel + (size - 1) // 2 + 1, row, column]
    value, squares = float(before[0, channel, row, column]), float((near**2).sum())
    lines = (
        "b = a / (k + alpha / size × Σ a²) ^ beta",
        f"{value:.4g} / ({k:g} + {alpha:g} / {size} × {squares:.4g}) ^ {beta:g} = "
        f"{value / (k + alpha / size * squares) ** beta:.4g}",
    )
    blocks: tuple[Block, ...] = (
        Formula("lrn", lines),
        Said("neighbours", {"channel": channel, "first": first, "last": first + len(near) - 1}),
        Maps("before", array(before[0][:SHOWN]), shape=tuple(before.shape)),
        Maps("after", array(after[0][:SHOWN]), shape=tuple(after.shape)),
    )
    facts = {"written": value / (k + alpha / size * squares) ** beta, "place": (channel, row, column)}
    return Outcome({"before": array(before), "after": array(after)}, blocks, facts)


def dropout_code(settings: Mapping[str, Any]) -> tuple[list[Any], str]:
    """Return what is shown of the network, and the code that follows it."""
    shown, lines = _net_code(settings)
    return shown, lines + (
        f"dropout = nn.Dropout({settings['p']})\ndropout.train({settings['training']})\n"
        "with torch.no_grad():\n    before = net[:2](x)\n"
        f"    after = torch.stack([dropout(before) for _ in range({settings['passes']})]).mean(0)\n"
        "print(before.mean().item(), after.mean().item(), (after == 0).float().mean().item())\n"
    )


def dropout(batch: Tensor, settings: Mapping[str, Any]) -> Outcome:
    """Show maps with some values dropped and the others made larger, and the mean of several such passes."""
    layer = nn.Dropout(settings["p"])
    layer.train(settings["training"])
    with torch.no_grad():
        before = _net(settings)[:2](batch)
        after = torch.stack([layer(before) for _ in range(settings["passes"])]).mean(0)
    same = bool(torch.equal(before, after))
    rows = tuple(
        (name, values.mean().item(), values.std().item(), (values == 0).double().mean().item())
        for name, values in (("before", before), ("after", after))
    )
    kept = 1 - settings["p"]
    blocks: tuple[Block, ...] = (
        Said("untouched")
        if same
        else Said("dropped", {"p": f"{settings['p']:g}", "scale": f"{1 / kept:.3g}" if kept else "0"}),
        Maps("before", array(before[0][:SHOWN]), shape=tuple(before.shape)),
        Maps("after", array(after[0][:SHOWN]), shape=tuple(after.shape)),
        Table("dropout", ("what", "mean", "std", "zeros"), rows),
    )
    return Outcome({"before": array(before), "after": array(after)}, blocks, {"same": same})


def crops_code(settings: Mapping[str, Any]) -> tuple[list[Any], str]:
    """Return what is shown of the network, and the code that follows it."""
    shown, lines = _net_code(settings)
    return [*shown, ten_crops], lines + (
        f"crops = ten_crops(x, {settings['crop']})\n"
        "with torch.no_grad():\n    answers = net[:2](crops).mean((2, 3))  # (10, 64), in place of the scores\n"
        "mean = answers.mean(0)  # what is answered for the picture\n"
        "likeness = nn.functional.cosine_similarity(answers, mean[None])\nprint(likeness.tolist())\n"
    )


def crops(batch: Tensor, settings: Mapping[str, Any]) -> Outcome:
    """Show the ten crops, and how much what is found in each is like the mean of all.

    Raises:
        InputError: a crop is larger than the picture.
    """
    side, whole = settings["crop"], batch.shape[2]
    if side > whole:
        raise InputError(
            "crop_beyond_picture",
            "A crop of {side} × {side} pixels is larger than the picture, {whole} × {whole}. Lower the crop, or raise "
            "the picture size.",
            side=side,
            whole=whole,
        )
    net = _net(settings)
    ten = ten_crops(batch, side)
    with torch.no_grad():
        answers = net[:2](ten).mean((2, 3))
    mean = answers.mean(0)
    likeness = nn.functional.cosine_similarity(answers, mean[None])
    shown = (ten * 0.225 + 0.45).clamp(0, 1)
    sheet = torch.cat([torch.cat(list(shown[start : start + 5]), dim=2) for start in (0, 5)], dim=1)
    rows = tuple(
        (CROPS[index % 5].replace(" ", "_"), index >= 5, value) for index, value in enumerate(likeness.tolist())
    )
    blocks: tuple[Block, ...] = (
        Maps("crops", array(sheet), picture=True, shape=tuple(ten.shape)),
        Said("crops", {"least": f"{float(likeness.min()):.3f}"}),
        Table("crops", ("crop", "mirrored", "likeness"), rows),
    )
    values = {"crops": ten, "answers": answers, "mean": mean, "likeness": likeness}
    return Outcome({name: array(value) for name, value in values.items()}, blocks, {})
