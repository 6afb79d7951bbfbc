"""Networks of timm: what the configuration says that each of them carries."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import nn

from segdemo.sources.known import Known, comes_from, three


def recognises(module: nn.Module) -> bool:
    """Say whether a network is one of timm's."""
    return comes_from(module, "timm")


def known(module: nn.Module) -> Known:
    """Return mean, deviation and size as timm resolves them, and ImageNet's classes."""
    data: Any = import_module("timm.data")

    carried: dict[str, Any] = dict(getattr(module, "pretrained_cfg", None) or {})
    settings = data.resolve_model_data_config(module)
    names = data.ImageNetInfo()
    size = int(settings["input_size"][-1])
    return Known(
        title=str(carried.get("architecture") or ""),
        classes={names.num_classes(): tuple(names.index_to_description(index) for index in range(names.num_classes()))},
        mean=three(settings["mean"]) if carried else None,
        std=three(settings["std"]) if carried else None,
        size=size,
        sizes=(128, 160, size, 288, 320),
        fixed=bool(carried.get("fixed_input_size")),
        stride=32,
        shape="square",
        source=str(carried.get("paper_link") or "https://huggingface.co/docs/timm"),
    )


def names() -> tuple[str, ...]:
    """Return the names of all networks that the library can build."""
    listed: Any = import_module("timm")
    return tuple(listed.list_models())


def build(name: str, classes: int = 0) -> nn.Module:
    """Build a network with random weights.

    Args:
        name: one of :func:`names`, which name no file and no address.
        classes: has no influence: the network tells as many apart as its author meant it to.
    """
    module: nn.Module = import_module("timm").create_model(name, pretrained=False)
    return module
