"""U-Net once more, half as wide again: small enough to ship as it was at many moments of its training."""

from __future__ import annotations

from dataclasses import replace

from segdemo.networks import unet
from segdemo.networks.spec import Snapshot
from segdemo.networks.unet import UNet


def build(classes: int) -> UNet:
    """Make the network with random weights; a function of the module, so that it can be pickled."""
    return UNet(3, classes, width=8)


SPEC = replace(
    unet.SPEC,
    name="unet_narrow",
    title="U-Net, narrow",
    build=build,
    sha256="11761821a8d95c5050ee76e82c25572586f6b7867e310f4e17dfaa2089f54368",
    snapshots=(
        Snapshot(0, "8016a5b2df39576a52fed2cd52e6ea28fc795df47b31f5c9f7f15a43445d1640"),
        Snapshot(29, "1ae019a46f67c337cdc35f2a92e4f176fcef8ddfafefbaef2ab7e36258b82e0e"),
        Snapshot(87, "935b0b7a2be3a23e137579f0d04a26994164abbd09ac7e3bd8739e5eb8753003"),
        Snapshot(152, "535f868fe80543996e267331064005733912600c5e0b620b5953dfdb3c7fbb47"),
        Snapshot(357, "41ab3d91782edb51ffff3c8c1f549c84141f067c45be982e8d216090f4494bae"),
        Snapshot(500, "bed1f39e8dc541a6bb3752c717c8de9d72b9e26b55489fe07120e786f2f93769"),
        Snapshot(654, "d70fbdb9c39bdf31bdf024e65ee225f1df65613d6241a85d5b9ee56eb38dbe64"),
        Snapshot(873, "e988a54c855ac793b36f83970406782680f81c41d89e6f5ee73fa66fc8391a34"),
        Snapshot(1061, "257b4d9ddf105acb3ac3bf658784f9f0845a0c9a3ed32d0669f06014b86fc65b"),
    ),
)
