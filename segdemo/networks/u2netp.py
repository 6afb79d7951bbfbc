"""U²-Net, small: a U-Net in which every stage is a U-Net itself, for finding what stands out in a picture."""

from __future__ import annotations

from torch import Tensor, nn

from segdemo.networks.blocks import BackgroundLogit, Concat, Resize, initialise
from segdemo.networks.classes import SALIENT
from segdemo.networks.network import Network, Preprocessing, Stage


class REBNCONV(nn.Module):
    """3×3 convolution that keeps the size, then ReLU; batch normalisation is folded into the convolution."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
        self.relu_s1 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h, w) for (B, in_channels, h, w)."""
        return self.relu_s1(self.conv_s1(x))


class RSU(nn.Module):
    """Residual U-block: what its small U-Net puts out, plus what went into that.

    Args:
        height: L, convolutions on the way down: RSU-7 has seven.
        in_channels: channels that come in.
        mid_channels: channels within.
        out_channels: channels that go out.
    """

    def __init__(self, height: int, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        self.height = height
        self.rebnconvin = REBNCONV(in_channels, out_channels)
        for k in range(1, height + 1):
            dilation = 2 if k == height else 1
            self.add_module(f"rebnconv{k}", REBNCONV(out_channels if k == 1 else mid_channels, mid_channels, dilation))
            if k < height - 1:
                self.add_module(f"pool{k}", nn.MaxPool2d(2, ceil_mode=True))
        for k in range(height - 1, 0, -1):
            self.add_module(f"join{k}", Concat())
            self.add_module(f"rebnconv{k}d", REBNCONV(2 * mid_channels, out_channels if k == 1 else mid_channels))
        self.resize = Resize(align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h, w) for (B, in_channels, h, w)."""
        entrance = self.rebnconvin(x)  # (B, out_channels, h, w)
        x = entrance
        downs: list[Tensor] = []
        for k in range(1, self.height):
            x = self.get_submodule(f"rebnconv{k}")(x)  # (B, mid_channels, h / 2^(k-1), w / 2^(k-1))
            downs.append(x)
            if k < self.height - 1:
                x = self.get_submodule(f"pool{k}")(x)  # (B, mid_channels, h / 2^k, w / 2^k)
        x = self.get_submodule(f"rebnconv{self.height}")(x)  # as before: dilated in place of pooled
        for k in range(self.height - 1, 0, -1):
            down = downs[k - 1]
            if x.shape != down.shape:
                x = self.resize(x, (down.shape[2], down.shape[3]))
            x = self.get_submodule(f"join{k}")(x, down)  # (B, 2 mid_channels, h / 2^(k-1), w / 2^(k-1))
            x = self.get_submodule(f"rebnconv{k}d")(x)  # (B, mid_channels or at last out_channels, …)
        return x + entrance  # (B, out_channels, h, w)


class RSU4F(nn.Module):
    """Residual U-block for the smallest maps: four convolutions with dilation 1, 2, 4, 8 in place of pooling."""

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        self.rebnconvin = REBNCONV(in_channels, out_channels)
        self.rebnconv1 = REBNCONV(out_channels, mid_channels, dilation=1)
        self.rebnconv2 = REBNCONV(mid_channels, mid_channels, dilation=2)
        self.rebnconv3 = REBNCONV(mid_channels, mid_channels, dilation=4)
        self.rebnconv4 = REBNCONV(mid_channels, mid_channels, dilation=8)
        self.join3, self.join2, self.join1 = Concat(), Concat(), Concat()
        self.rebnconv3d = REBNCONV(2 * mid_channels, mid_channels, dilation=4)
        self.rebnconv2d = REBNCONV(2 * mid_channels, mid_channels, dilation=2)
        self.rebnconv1d = REBNCONV(2 * mid_channels, out_channels, dilation=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h, w) for (B, in_channels, h, w); all maps within are (…, h, w) too."""
        entrance = self.rebnconvin(x)  # (B, out_channels, h, w)
        x1 = self.rebnconv1(entrance)  # (B, mid_channels, h, w)
        x2 = self.rebnconv2(x1)
        x3 = self.rebnconv3(x2)
        x = self.rebnconv4(x3)
        x = self.rebnconv3d(self.join3(x, x3))
        x = self.rebnconv2d(self.join2(x, x2))
        x = self.rebnconv1d(self.join1(x, x1))  # (B, out_channels, h, w)
        return x + entrance


class U2NetP(nn.Module):
    """The small U²-Net ("U²-Net†" in the paper, "u2netp" in its code).

    Paper: Qin, Zhang, Huang, Dehghan, Zaiane and Jagersand 2020, "U²-Net: Going deeper with nested U-structure for
    salient object detection", https://arxiv.org/abs/2005.09007. Module names are those of the authors' code.

    Departures: batch normalisation is folded into the convolutions, as in the published trained graph. The logits
    are the fused map before its sigmoid, behind a background logit of 0; the side outputs are for looking at. The
    authors' code divides a picture by its own brightest value and stretches the saliency map of each picture to
    0 … 1; here pictures are divided by 255 and probabilities are left as they come, so that the same grey always
    means the same and an empty picture may have no foreground.

    Args:
        n_classes: K, classes to tell apart, at least 2; the trained network has 2.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        maps = n_classes - 1  # of each side output: the background has none
        self.stage1, self.pool12 = RSU(7, 3, 16, 64), nn.MaxPool2d(2, ceil_mode=True)
        self.stage2, self.pool23 = RSU(6, 64, 16, 64), nn.MaxPool2d(2, ceil_mode=True)
        self.stage3, self.pool34 = RSU(5, 64, 16, 64), nn.MaxPool2d(2, ceil_mode=True)
        self.stage4, self.pool45 = RSU(4, 64, 16, 64), nn.MaxPool2d(2, ceil_mode=True)
        self.stage5, self.pool56 = RSU4F(64, 16, 64), nn.MaxPool2d(2, ceil_mode=True)
        self.stage6 = RSU4F(64, 16, 64)
        self.join5, self.stage5d = Concat(), RSU4F(128, 16, 64)
        self.join4, self.stage4d = Concat(), RSU(4, 128, 16, 64)
        self.join3, self.stage3d = Concat(), RSU(5, 128, 16, 64)
        self.join2, self.stage2d = Concat(), RSU(6, 128, 16, 64)
        self.join1, self.stage1d = Concat(), RSU(7, 128, 16, 64)
        self.side1, self.side2, self.side3, self.side4, self.side5, self.side6 = (
            nn.Conv2d(64, maps, kernel_size=3, padding=1) for _ in range(6)
        )
        self.resize = Resize(align_corners=False)
        self.join_sides = Concat()
        self.outconv = nn.Conv2d(6 * maps, maps, kernel_size=1)
        self.logits = BackgroundLogit()
        initialise(self)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for a batch (B, 3, H, W); the logit of the background is 0."""
        x1 = self.stage1(batch)  # (B, 64, H, W)
        x2 = self.stage2(self.pool12(x1))  # (B, 64, H/2, W/2)
        x3 = self.stage3(self.pool23(x2))  # (B, 64, H/4, W/4)
        x4 = self.stage4(self.pool34(x3))  # (B, 64, H/8, W/8)
        x5 = self.stage5(self.pool45(x4))  # (B, 64, H/16, W/16)
        d6 = self.stage6(self.pool56(x5))  # (B, 64, H/32, W/32)
        d5 = self.stage5d(self.join5(self._like(x5, d6), x5))  # (B, 64, H/16, W/16)
        d4 = self.stage4d(self.join4(self._like(x4, d5), x4))  # (B, 64, H/8, W/8)
        d3 = self.stage3d(self.join3(self._like(x3, d4), x3))  # (B, 64, H/4, W/4)
        d2 = self.stage2d(self.join2(self._like(x2, d3), x2))  # (B, 64, H/2, W/2)
        d1 = self.stage1d(self.join1(self._like(x1, d2), x1))  # (B, 64, H, W)
        side1 = self.side1(d1)  # (B, K-1, H, W)
        side2 = self._like(side1, self.side2(d2))  # (B, K-1, H, W) from (B, K-1, H/2, W/2), and so on
        side3 = self._like(side1, self.side3(d3))
        side4 = self._like(side1, self.side4(d4))
        side5 = self._like(side1, self.side5(d5))
        side6 = self._like(side1, self.side6(d6))
        sides = self.join_sides(side1, side2, side3, side4, side5, side6)  # (B, 6 (K-1), H, W)
        return self.logits(self.outconv(sides))  # (B, K, H, W)

    def _like(self, wanted: Tensor, x: Tensor) -> Tensor:
        """Resize a map to the height and width of another."""
        return self.resize(x, (wanted.shape[2], wanted.shape[3]))


def _stage(label: str, layer: str, height: int, join: str | None = None) -> Stage:
    """Name a stage, with its small U inside: the join, the way down, the dilated bottom, the way up."""
    names = ["conv in", *(f"conv {k}" for k in range(1, height + 1)), *(f"conv {k}d" for k in range(height - 1, 0, -1))]
    inside = [Stage(f"{label} · {name}", f"{layer}.{name.replace('conv ', 'rebnconv')}") for name in names]
    joined = [] if join is None else [Stage(f"{label} · joined", join)]
    return Stage(label, layer, inside=(*joined, *inside))


def _encoder(number: int, height: int) -> Stage:
    return _stage(f"En_{number}", f"stage{number}", height)


def _decoder(number: int, height: int) -> Stage:
    return _stage(f"De_{number}", f"stage{number}d", height, join=f"join{number}")


NETWORK = Network(
    name="u2netp",
    title="U²-Net, small",
    task="segmentation",
    build=U2NetP,
    classes=SALIENT,
    stages=(
        *(_encoder(number, height) for number, height in ((1, 7), (2, 6), (3, 5), (4, 4), (5, 4), (6, 4))),
        *(_decoder(number, height) for number, height in ((5, 4), (4, 4), (3, 5), (2, 6), (1, 7))),
        *(Stage(f"Side {number}", f"side{number}") for number in (1, 2, 3, 4, 5, 6)),
        Stage("Fused", "outconv"),
        Stage("Logits", "logits"),
    ),
    preprocessing=Preprocessing(
        size=320,
        sizes=(192, 256, 320, 416, 512),
        stride=32,
        shape="stretch",
        mean=(0.485, 0.456, 0.406),  # of ImageNet, as the authors' code
        std=(0.229, 0.224, 0.225),
    ),
    source="https://arxiv.org/abs/2005.09007",
    # Side outputs are gathered below all stages, as in figure 5 of the paper.
    places=(("Side 6", 5, 3), ("Fused", 6, 4), ("Logits", 7, 4)),
)
