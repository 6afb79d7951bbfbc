"""Networks of segmentation_models_pytorch. Their encoders' mean and deviation would be asked of a hub: they are not."""

from __future__ import annotations

from torch import nn

from segdemo.sources.known import Known, comes_from


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
