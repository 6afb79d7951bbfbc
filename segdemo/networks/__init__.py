"""The table of networks. To add one: a file that ends in ``NETWORK``, and its name in the tuple below."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, overload

from segdemo.errors import InputError
from segdemo.networks import (
    alexnet,
    deeplabv3_mobilenet_v2,
    fcn_alexnet,
    lenet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    selfie,
    u2netp,
    unet,
    unet_bilinear,
    unet_mobilenet_v2,
    unet_narrow,
    yolo_v1,
)
from segdemo.networks.network import Network, Preprocessing, Stage

NETWORKS: dict[str, Network] = {
    module.NETWORK.name: module.NETWORK
    for module in (
        deeplabv3_mobilenet_v2,
        unet_mobilenet_v2,
        fcn_alexnet,
        u2netp,
        unet,
        unet_bilinear,
        unet_narrow,
        selfie,
        lenet,
        alexnet,
        resnet18,
        resnet34,
        resnet50,
        resnet101,
        resnet152,
        yolo_v1,
    )
}
Entry = TypeVar("Entry")
DEFAULT = "deeplabv3_mobilenet_v2"


@overload
def find(name: str) -> Network: ...
@overload
def find(name: str, networks: Mapping[str, Entry]) -> Entry: ...
def find(name: str, networks: Mapping[str, Any] = NETWORKS) -> Any:
    """Look up a network.

    Args:
        name: as in the table, for example ``"unet"``.
        networks: the table.

    Returns:
        Its entry there.

    Raises:
        InputError: ``unknown_network``, when the table has no such name; names the nearest ones.
    """
    if isinstance(name, str) and name in networks:
        return networks[name]
    near = get_close_matches(str(name), networks, n=3, cutoff=0.4) or list(networks)
    raise InputError(
        "unknown_network",
        "There is no network called “{name}”. The name has to be in the table of networks. Try {nearest}.",
        name=name,
        nearest=", ".join(near),
    )


__all__ = ["DEFAULT", "NETWORKS", "Network", "Preprocessing", "Stage", "find"]
