"""Networks of ultralytics, recognised by the name of their class. The library is never imported from here."""

from __future__ import annotations

from torch import nn

from segdemo.sources.known import Known, comes_from


def recognises(module: nn.Module) -> bool:
    """Say whether a network is one of ultralytics'."""
    return comes_from(module, "ultralytics")


def known(module: nn.Module) -> Known:
    """Return the names that the network carries; what is in no box is background."""
    carried = getattr(module, "names", None) or {}
    names = tuple(str(carried[index]) for index in sorted(carried)) if isinstance(carried, dict) else tuple(carried)
    return Known(
        classes={len(names): names, len(names) + 1: ("background", *names)} if names else {},
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        size=640,
        sizes=(320, 480, 640),
        stride=32,
        shape="square",
        source="https://docs.ultralytics.com",
    )


def inner(module: nn.Module) -> nn.Module:
    """Return the network within ultralytics' wrapper, which takes files and addresses."""
    inside = getattr(module, "model", None)
    return inside if type(module).__name__ == "YOLO" and isinstance(inside, nn.Module) else module
