"""Networks of transformers: the labels of their configuration. What their image processor knows, it has to be given."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from torch import nn

from segdemo.sources.known import Known, comes_from

TASKS = ("SEMANTIC_SEGMENTATION", "UNIVERSAL_SEGMENTATION", "INSTANCE_SEGMENTATION", "IMAGE_CLASSIFICATION")
SETTINGS: dict[str, dict[str, Any]] = {"BeitForSemanticSegmentation": {"out_indices": [3, 5, 7, 11]}}  # of its paper


def recognises(module: nn.Module) -> bool:
    """Say whether a network is one of transformers'."""
    return comes_from(module, "transformers")


def known(module: nn.Module) -> Known:
    """Return the labels, unless they are LABEL_0, LABEL_1 …, and the size where the configuration has one."""
    config = getattr(module, "config", None)
    labels = dict(getattr(config, "id2label", None) or {})
    names = tuple(str(labels[index]) for index in sorted(labels))
    told = bool(names) and not all(re.fullmatch(r"LABEL_\d+", name) for name in names)
    size = getattr(config, "image_size", None)
    return Known(
        title=re.sub(r"(For\w+|Model)$", "", type(module).__name__) or type(module).__name__,
        classes={len(names): names} if told else {},
        size=size if isinstance(size, int) else None,
        shape="stretch",
        source="https://huggingface.co/docs/transformers",
    )


def names() -> tuple[str, ...]:
    """Return the classes that segment or classify pictures, as the library names them."""
    return tuple(_kinds())


def build(name: str, classes: int = 0) -> nn.Module:
    """Build a network with random weights, as large as the library's own defaults make it.

    Args:
        name: one of :func:`names`.
        classes: has no influence: the configuration says it.
    """
    library: Any = import_module("transformers")
    auto: Any = import_module("transformers.models.auto.configuration_auto")
    config = auto.CONFIG_MAPPING[_kinds()[name]]()
    if hasattr(config, "use_pretrained_backbone"):
        config.use_pretrained_backbone = False  # else a hub is asked
    for key, value in SETTINGS.get(name, {}).items():
        setattr(config, key, value)
    module: nn.Module = getattr(library, name)(config)
    return module


def _kinds() -> dict[str, str]:
    """Return the type of configuration of every class that is offered."""
    auto: Any = import_module("transformers.models.auto.modeling_auto")
    found: dict[str, str] = {}
    for task in TASKS:
        for kind, listed in getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES", {}).items():
            found |= {name: kind for name in ([listed] if isinstance(listed, str) else listed)}
    return found
