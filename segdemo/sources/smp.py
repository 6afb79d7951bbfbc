"""Networks of segmentation_models_pytorch. Their encoders' mean and deviation would be asked of a hub: they are not."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch import nn

from segdemo.sources.known import Known, comes_from

CLASSES = 3  # of a network with random weights, where one would do: so that classes can be told from each other


def recognises(module: nn.Module) -> bool:
    """Say whether a network is one of segmentation_models_pytorch's."""
    return comes_from(module, "segmentation_models_pytorch")


def known(module: nn.Module) -> Known:
    """Return the stride of the encoder, to whose multiples the library itself holds its inputs."""
    stride = getattr(getattr(module, "encoder", None), "output_stride", None)
    name = str(getattr(module, "name", "") or "").partition("-")[2]
    return Known(
        title=" · ".join(filter(None, [type(module).__name__, name])),
        stride=stride if isinstance(stride, int) else None,
        source="https://smp.readthedocs.io",
    )


def names() -> tuple[str, ...]:
    """Return every pair of an architecture and an encoder, as ``"unet:resnet34"``; encoders of timm begin with tu-."""
    library: Any = import_module("segmentation_models_pytorch")
    encoders = [*library.encoders.get_encoder_names()]
    if find_spec("timm") is not None:
        encoders += [f"tu-{name}" for name in import_module("timm").list_models()]
    return tuple(f"{one}:{encoder}" for one in library.MODEL_ARCHITECTURES_MAPPING for encoder in encoders)


def build(name: str, classes: int = CLASSES) -> nn.Module:
    """Build a network with random weights.

    Args:
        name: one of :func:`names`.
        classes: K.
    """
    architecture, _, encoder = name.partition(":")
    library: Any = import_module("segmentation_models_pytorch")
    module: nn.Module = library.create_model(architecture, encoder, encoder_weights=None, classes=classes)
    return module
