"""Receptive fields: known values of known networks, numbers by hand, and the support of a gradient."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from segdemo import ambient
from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.explain import follow
from segdemo.explain.follow import fields_of
from segdemo.explain.receptive import ReceptiveFields
from segdemo.networks import NETWORKS

SIDE = 96


def widest(network: nn.Module, layer: str, side: int = 640) -> tuple[int, int]:
    """Width and height of what one value of a layer sees where no border is near."""
    field = fields_of(network.eval(), [layer], side, side)[layer][0]
    assert field is not None and field.exact
    return (
        int((field.columns.last - field.columns.first).max()) + 1,
        int((field.rows.last - field.rows.first).max()) + 1,
    )


@pytest.mark.parametrize(
    ("build", "layer", "known"),
    [
        (torchvision.models.alexnet, "features.10", 163),
        (torchvision.models.alexnet, "features.12", 195),
        (torchvision.models.vgg16, "features.30", 212),
        (torchvision.models.resnet50, "layer4", 427),
    ],
)
def test_known_networks_have_their_published_receptive_fields(
    build: Callable[..., nn.Module], layer: str, known: int
) -> None:
    with torch.device("meta"):
        network = build(weights=None)
    assert widest(network, layer) == (known, known)


def test_our_alexnet_sees_as_much_as_the_original(engine: LocalEngine) -> None:
    found = {stage.label: stage.largest for stage in engine.answer(ReceptiveFields("fcn_alexnet"))}
    assert found["Conv 5"] == (163, 163) and found["Pool 5"] == (195, 195)


def test_global_pooling_sees_everything(engine: LocalEngine) -> None:
    found = {stage.label: stage for stage in engine.answer(ReceptiveFields("deeplabv3_mobilenet_v2"))}
    assert found["Image pooling"].largest == (None, None)
    assert found["Image pooling"].box((3, 60)) == (0, 0, 513, 513)


@pytest.mark.parametrize(
    ("layer", "cell", "box"),
    [
        (nn.Conv2d(3, 1, 3, padding=1), (4, 5), (3, 4, 6, 7)),
        (nn.Conv2d(3, 1, 3, padding=1), (0, 0), (0, 0, 2, 2)),  # cut at the border
        (nn.Conv2d(3, 1, 3, padding=4, dilation=4), (8, 8), (4, 4, 13, 13)),
        (nn.Conv2d(3, 1, 3, padding=4, dilation=4), (1, 8), (1, 4, 6, 13)),  # its left tap lies in the padding
        (nn.Conv2d(3, 1, (1, 5), stride=(1, 2)), (2, 3), (4, 3, 9, 4)),
        (nn.ConvTranspose2d(3, 1, 2, stride=2), (5, 4), (2, 2, 3, 3)),
        (nn.ConvTranspose2d(3, 1, 3, stride=2, padding=1), (5, 4), (2, 2, 4, 3)),  # odd places between two, even on one
        (nn.MaxPool2d(3, 2, padding=1), (2, 0), (3, 0, 6, 2)),
        (nn.MaxPool2d(2, ceil_mode=True), (1, 1), (2, 2, 4, 4)),
        (nn.AvgPool2d(2), (3, 1), (6, 2, 8, 4)),
        (nn.AdaptiveAvgPool2d(3), (1, 2), (5, 10, 11, 16)),  # of 16: floor(16/3), ceil(32/3)
        (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), (4, 5), (1, 2, 3, 4)),
        (nn.Upsample((31, 31), mode="bilinear", align_corners=True), (4, 5), (2, 2, 3, 4)),  # 4 lies on 2
        (nn.Upsample(scale_factor=2, mode="nearest"), (4, 5), (2, 2, 3, 3)),
        (nn.ReflectionPad2d(2), (0, 3), (2, 1, 3, 2)),
        (nn.Softmax(dim=1), (3, 4), (3, 4, 4, 5)),
        (nn.Softmax(dim=3), (3, 4), (0, 4, 16, 5)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_one_layer_sees_what_arithmetic_says(
    layer: nn.Module, cell: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    field = fields_of(nn.Sequential(layer), ["0"], 16, 16)["0"][0]
    assert field is not None and field.exact and field.box(cell) == box


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize(
    "operation",
    [
        nn.Conv2d(4, 6, (3, 5), stride=(2, 1), padding=(1, 4), dilation=2, groups=2),
        nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        nn.BatchNorm2d(4).eval(),
        nn.ReLU6(inplace=True),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample((5, 9), mode="nearest"),
        nn.ConstantPad2d((1, -2, 3, 0), 0.0),
        lambda x: x.mean((2, 3), keepdim=True),
        lambda x: x.mean(-1),
        lambda x: torch.cat([x, x[:, :1]], 1),
        lambda x: x * x.mean((2, 3), keepdim=True) + 1,
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_operations_without_values_put_out_shapes_as_those_with_values(
    operation: Callable[[Tensor], Tensor], *, last: bool
) -> None:
    batch = torch.rand(1, 4, 12, 10).to(memory_format=torch.channels_last if last else torch.contiguous_format)
    with torch.no_grad(), follow._Following():
        hollow = operation(follow._hollow(batch))
    with torch.no_grad():
        real = operation(batch)
    assert hollow.is_meta and hollow.shape == real.shape and hollow.dtype == real.dtype
    assert hollow.is_contiguous() == real.is_contiguous()


def test_a_network_is_followed_without_importing_the_compiler_of_pytorch() -> None:
    code = (
        "import sys; from segdemo.networks import NETWORKS; from segdemo.explain.follow import fields_of;"
        "spec = NETWORKS['deeplabv3_mobilenet_v2']; network = spec.build(21).eval();"
        "fields_of(network, [spec.stages[-1].layer], 65, 65);"
        "assert 'torch._dynamo' not in sys.modules and 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


class Branches(nn.Module):
    """A wide and flat kernel beside a narrow and tall one, and what lies two to the right, all added."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.tall = nn.Conv2d(3, 1, (1, 7), padding=(0, 3)), nn.Conv2d(3, 1, (5, 1), padding=(2, 0))

    def forward(self, x: Tensor) -> Tensor:
        return self.flat(x) + self.tall(x) + F.pad(x, (0, 2))[:, :1, :, 2:]


def test_branches_are_united() -> None:
    field = fields_of(Branches(), [""], 16, 16)[""][0]
    assert field is not None and field.box((8, 8)) == (5, 6, 12, 11)


class Unlike(nn.Module):
    """Looks at a value."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_that_looks_at_values_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match="does not run without values") as refused:
        fields_of(Unlike(), [""], 8, 8)
    assert refused.value.code == "not_followed"


def test_an_unknown_operation_is_said_to_see_everything_at_most() -> None:
    class Rolled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.roll(x, 3, dims=2)

    field = fields_of(Rolled(), [""], 8, 8)[""][0]
    assert field is not None and not field.exact and field.box((2, 2)) == (0, 0, 8, 8)


def positive(network: nn.Module) -> nn.Module:
    """Give a network positive weights, so that nothing cancels and nothing is rectified away."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.fill_(1)
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.weight.uniform_(0.5, 1.5)
                module.weight.mul_(1 / module.weight[0].numel())
            if getattr(module, "bias", None) is not None:
                module.get_parameter("bias").zero_()
    for module in network.modules():  # pooled by the mean: the greatest value alone would hand back a gradient
        for name, child in list(module.named_children()):
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, Mean(child))
            elif isinstance(child, nn.ReLU6):
                setattr(module, name, nn.Identity())
    return network.eval()


class Mean(nn.Module):
    """Pools the mean where a layer pools the maximum."""

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x)


def support(network: nn.Module, batch: Tensor, layer: str, cell: tuple[int, int]) -> tuple[int, int, int, int]:
    """The rectangle around the pixels whose change changes one place of a layer's output."""
    kept: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda module, inputs, output: kept.append(output))
    network(batch)
    handle.remove()
    (gradient,) = torch.autograd.grad(kept[0][0, :, cell[1], cell[0]].sum(), batch)
    strength = gradient[0].abs().amax(0)
    rows, columns = np.nonzero((strength > 0).any(1).numpy())[0], np.nonzero((strength > 0).any(0).numpy())[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


FOREIGN: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "resnet18": (lambda: torchvision.models.resnet18(weights=None), ["layer1", "layer2", "layer3"]),
    "shufflenet": (lambda: torchvision.models.shufflenet_v2_x0_5(weights=None), ["conv1", "stage2"]),
}


@pytest.mark.parametrize("name", [*(name for name, spec in NETWORKS.items() if spec.task == "segmentation"), *FOREIGN])
def test_the_gradient_of_positive_weights_touches_the_borders_of_the_field_and_nothing_outside(name: str) -> None:
    with ambient.making():
        if name in FOREIGN:
            network, layers = FOREIGN[name][0](), FOREIGN[name][1]
            side = SIDE
        else:
            spec = NETWORKS[name]
            network = spec.build(len(spec.classes))
            chosen = [stage.layer for stage in spec.stages if "logits" not in stage.label.lower()]
            layers = [chosen[index] for index in (0, len(chosen) // 4, len(chosen) // 2, -1)]
            side = SIDE + spec.preprocessing.remainder
    found = fields_of(positive(network), layers, side, side)
    network.double()
    batch = torch.rand(1, 3, side, side, dtype=torch.float64).requires_grad_()
    for layer in layers:
        field, shape = found[layer]
        assert field is not None and field.exact
        for cell in ((shape[3] // 2, shape[2] // 3), (0, shape[2] - 1)):
            assert support(network, batch, layer, cell) == field.box(cell), (layer, cell)
