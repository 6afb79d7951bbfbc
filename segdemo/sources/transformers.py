"""Networks of transformers: the labels of their configuration. What their image processor knows, it has to be given."""

from __future__ import annotations

import re

from torch import nn

from segdemo.sources.known import Known, comes_from


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
