"""Networks of segmentation_models_pytorch and timm, recognised by the names and shapes of their tensors.

A library is imported once tensors are named as in one of its networks, and only where it is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from segdemo.networks.classes import declare
from segdemo.networks.network import Network, Preprocessing
from segdemo.weights import named

SMP = "segmentation_models_pytorch"
ARCHITECTURES = (
    *("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3", "DeepLabV3Plus"),
    *("UPerNet", "Segformer"),
)
# The tensor that tells a family, and its members.
ENCODERS = {
    "layer1.0.conv1.weight": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d"),
    "features.denseblock1.denselayer1.conv1.weight": ("densenet121", "densenet169", "densenet201"),
    "features.0.weight": ("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
    "_conv_stem.weight": tuple(f"efficientnet-b{number}" for number in range(8)),
    "features.0.0.weight": ("mobilenet_v2",),
    "patch_embed1.proj.weight": tuple(f"mit_b{number}" for number in range(6)),
}
_VIT = [f"vit_{size}_patch{patch}_224" for size in ("tiny", "small", "base", "large") for patch in (8, 16, 32)]
FAMILIES = {
    "layer1.0.conv1.weight": (
        *("resnet18", "resnet26", "resnet34", "resnet50", "resnet101", "resnet18d", "resnet34d", "resnet50d"),
        *("resnext50_32x4d", "seresnet50", "resnet26d", "wide_resnet50_2"),
    ),
    "layers.0.blocks.0.attn.qkv.weight": tuple(
        f"swin_{size}_patch4_window7_224" for size in ("tiny", "small", "base", "large")
    ),
    "blocks.0.attn.qkv.weight": (*_VIT, "deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224"),
    "stages.0.blocks.0.conv_dw.weight": tuple(
        f"convnext_{size}" for size in ("atto", "femto", "pico", "nano", "tiny", "small", "base")
    ),
    "conv_stem.weight": (
        *(f"efficientnet_b{number}" for number in range(5)),
        *("efficientnet_lite0", "mobilenetv3_small_100", "mobilenetv3_large_100", "mobilenetv2_100", "mnasnet_100"),
        *("tf_efficientnet_b0", "tf_mobilenetv3_large_100"),
    ),
    "s1.b1.conv1.conv.weight": ("regnetx_002", "regnetx_004", "regnety_002", "regnety_004", "regnety_008"),
    "features.conv0.weight": ("densenet121", "densenet169", "densenet201"),
}
PATIENT = 0.5  # of the tensors of a network have to be there before it is a candidate


@dataclass(frozen=True)
class BuildSmp:
    """Makes a network of segmentation_models_pytorch with random weights; can be pickled.

    Args:
        architecture: name of its class.
        encoder: name of its encoder.
        channels: of the batch.
    """

    architecture: str
    encoder: str
    channels: int

    def __call__(self, classes: int) -> nn.Module:
        """Make the network for K classes."""
        make: Any = getattr(import_module(SMP), self.architecture)
        network: nn.Module = make(self.encoder, encoder_weights=None, in_channels=self.channels, classes=classes)
        return network


@dataclass(frozen=True)
class BuildTimm:
    """Makes a network of timm with random weights; can be pickled.

    Args:
        name: as ``timm.create_model`` takes it.
    """

    name: str

    def __call__(self, classes: int) -> nn.Module:
        """Make the network for K classes."""
        make: Any = import_module("timm").create_model
        network: nn.Module = make(self.name, pretrained=False, num_classes=classes)
        return network


def candidates(state: Mapping[str, Any]) -> tuple[Network, ...]:
    """Return the networks of both libraries that a state dict may be of, those that fit best.

    Args:
        state: tensors by name, prefixes or not.

    Returns:
        Their stages are not known yet; several where their tensors are the same.
    """
    found = [*_of_smp(state)] if find_spec(SMP) else []
    return tuple(found or (_of_timm(state) if find_spec("timm") else ()))


def _of_smp(state: Mapping[str, Any]) -> Iterator[Network]:
    family = next((tensor for tensor in ENCODERS if _has(state, f"encoder.{tensor}")), None)
    if family is None:
        return
    values = _short(state, f"encoder.{family}")
    inside = {name.removeprefix("encoder."): one for name, one in values.items() if name.startswith("encoder.")}
    shares = {encoder: _share(_encoder_shapes(encoder), inside) for encoder in ENCODERS[family]}
    encoder = max(shares, key=lambda one: shares[one])
    first, head = values[f"encoder.{family}"], values.get("segmentation_head.0.weight")
    channels = 1 if _input_channels(values, first) == 1 else 3
    count = head.shape[0] if isinstance(head, Tensor) and head.dim() else 1
    made = {architecture: BuildSmp(architecture, encoder, channels) for architecture in ARCHITECTURES}
    scored = {architecture: _share(_shapes(build, count), values) for architecture, build in made.items()}
    best = max(scored.values(), default=0.0)
    for architecture, share in scored.items():
        if share == best > PATIENT:
            yield _declared(f"{architecture} · {encoder}", made[architecture], max(count, 1), "segmentation")


def _of_timm(state: Mapping[str, Any]) -> list[Network]:
    family = next((tensor for tensor in FAMILIES if _has(state, tensor)), None)
    if family is None:
        return []
    values = _short(state, family)
    head = next((values[name] for name in ("fc.weight", "head.weight", "head.fc.weight", "classifier.weight")
                 if isinstance(values.get(name), Tensor) and values[name].dim()), None)  # fmt: skip
    count = 1000 if head is None else head.shape[0]
    scored = {name: _share(_shapes(BuildTimm(name), count), values) for name in FAMILIES[family]}
    best = max(scored.values())
    names = [name for name, share in scored.items() if share == best > PATIENT]
    return [_declared(f"timm's {name}", BuildTimm(name), count, "classification") for name in names]


def _declared(title: str, build: BuildSmp | BuildTimm, count: int, task: Any) -> Network:
    """Declare as much as tensors tell; the rest is seen once the network runs."""
    return Network(
        name=re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_"),
        title=title,
        task=task,
        build=build,
        classes=declare([f"class {number}" for number in range(count)]),
        stages=(),
        preprocessing=Preprocessing(size=320, sizes=(320,), stride=32),
        source="",
    )


def _has(state: Mapping[str, Any], tensor: str) -> bool:
    """Say whether a state dict has a tensor of that name, behind prefixes or not."""
    return any(name == tensor or name.endswith(f".{tensor}") for name in state)


def _short(state: Mapping[str, Any], tensor: str) -> dict[str, Any]:
    return named(state, {tensor})


def _input_channels(values: Mapping[str, Any], first: Any) -> int:
    """Return how many channels the first convolution of an encoder takes."""
    convolutions = [one for one in values.values() if isinstance(one, Tensor) and one.dim() == 4]
    return min((one.shape[1] for one in convolutions[:1]), default=3)


def _share(shapes: Mapping[str, torch.Size], values: Mapping[str, Any]) -> float:
    """Return how many tensors fit in name and shape, as a share of all tensors of both."""
    tensors = {name for name, value in values.items() if isinstance(value, Tensor)}
    fits = sum(name in tensors and values[name].shape == shape for name, shape in shapes.items())
    return fits / len(tensors | shapes.keys())


class _WithNumbers(TorchFunctionMode):
    """Let what networks count with while they are made, such as rates of drop-out, have values."""

    def __torch_function__(self, function: Any, kinds: Any, given: Any = (), named: Any = None) -> Any:
        """Make numbers in a row on the CPU."""
        named = dict(named or {})
        if function is torch.linspace:
            named["device"] = "cpu"
        return function(*given, **named)


@contextmanager
def hollow() -> Iterator[None]:
    """Make networks whose weights have no values and take no memory, as long as the block lasts."""
    with torch.device("meta"), _WithNumbers():
        yield


@cache
def _shapes(build: BuildSmp | BuildTimm, classes: int) -> dict[str, torch.Size]:
    try:
        with hollow():
            return {name: tensor.shape for name, tensor in build(classes).state_dict().items()}
    except Exception:  # this version of the library has none such, or not with this encoder
        return {"": torch.Size()}


@cache
def _encoder_shapes(encoder: str) -> dict[str, torch.Size]:
    make: Any = import_module(SMP).encoders.get_encoder
    try:
        with hollow():
            return {name: tensor.shape for name, tensor in make(encoder, weights=None).state_dict().items()}
    except Exception:
        return {"": torch.Size()}
