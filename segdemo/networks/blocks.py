"""Layers that networks are built of. Letters in shapes: B pictures, C channels, h w reduced height and width."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Concat(nn.Module):
    """Join maps along the channels, as a module so that the joined map can be looked at; it has no parameters."""

    def forward(self, *maps: Tensor) -> Tensor:
        """Join maps of equal height and width, in the order given.

        Args:
            maps: each (B, C_i, h, w).

        Returns:
            (B, C_1 + C_2 + …, h, w).
        """
        return torch.cat(maps, dim=1)


class Sum(nn.Module):
    """Add two maps, as a module so that the sum can be looked at; it has no parameters."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Return (B, C, h, w) for two maps of that shape."""
        return torch.add(x, other)


class BackgroundLogit(nn.Module):
    """Put a logit of 0 for the background in front, so that softmax over two classes is the sigmoid of the other."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 1 + C, H, W) for (B, C, H, W)."""
        return torch.cat([torch.zeros_like(x[:, :1]), x], dim=1)


class Resize(nn.Module):
    """Interpolate a map to another size bilinearly, as a module so that the result can be looked at.

    Args:
        align_corners: True maps the outermost pixel centres onto each other, False the outermost pixel borders.
    """

    def __init__(self, *, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Interpolate.

        Args:
            x: (B, C, h, w).
            size: height and width wanted, in pixels.

        Returns:
            (B, C, height, width).
        """
        return functional.interpolate(x, size=size, mode="bilinear", align_corners=self.align_corners)


class ConvReLU(nn.Sequential):
    """Convolve with a bias, then rectify: what is left of convolution, batch normalisation and ReLU after folding.

    The sides of the map are kept at stride 1, and halved (rounded up) at stride 2.

    Args:
        in_channels: channels that come in.
        out_channels: channels that go out.
        kernel: side of the square kernel, odd, in pixels.
        stride: step of the kernel, in pixels.
        dilation: distance between kernel taps, in pixels.
        groups: separate groups of channels; ``in_channels`` makes it a depthwise convolution.
        ceiling: 6 for ReLU6, None for an unbounded ReLU.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        ceiling: int | None = None,
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups)
        self.relu = nn.ReLU() if ceiling is None else nn.ReLU6()


class ConvBNReLU(nn.Module):
    """Convolve, normalise over the batch, rectify: the usual layer of a convolutional network.

    Args:
        in_channels: channels that come in.
        out_channels: channels that go out.
        ks: side of the square kernel, in pixels.
        stride: step of the kernel, in pixels.
        padding: zeros added on each side, in pixels.
        dilation: distance between kernel taps, in pixels.
        groups: separate groups of channels.
        bias: add a bias in the convolution, which batch normalisation makes superfluous.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ks: int = 3,
        stride: int = 1,
        padding: int = 1,
        dilation: int = 1,
        groups: int = 1,
        *,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, ks, stride, padding, dilation, groups, bias)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h', w') for (B, in_channels, h, w)."""
        return self.relu(self.bn(self.conv(x)))


class DoubleConv(nn.Module):
    """Two times: 3×3 convolution that keeps the size, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, mid_channels: int | None = None) -> None:
        super().__init__()
        mid_channels = mid_channels or out_channels
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(),
            nn.Conv2d(mid_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h, w) for (B, in_channels, h, w)."""
        return self.double_conv(x)


class Down(nn.Module):
    """Halve both sides by maximum pooling, then DoubleConv."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(in_channels, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h // 2, w // 2) for (B, in_channels, h, w)."""
        return self.maxpool_conv(x)


class Up(nn.Module):
    """Double both sides, join with the map of the same size from the encoder, then DoubleConv."""

    def __init__(self, in_channels: int, out_channels: int, *, bilinear: bool) -> None:
        super().__init__()
        self.up: nn.Module
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(in_channels, out_channels, in_channels // 2)
        else:
            self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
            self.conv = DoubleConv(in_channels, out_channels)
        self.join = Concat()

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Return (B, out_channels, h, w) for a deep map of half the size and a skip (B, in_channels // 2, h, w)."""
        deep = self.up(deep)  # (B, in_channels // 2, h, w), one less in h or w where that side of the skip is odd
        rows = skip.shape[2] - deep.shape[2]
        columns = skip.shape[3] - deep.shape[3]
        deep = functional.pad(deep, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return self.conv(self.join(skip, deep))


class OutConv(nn.Module):
    """One logit per class from the channels of each pixel: a 1×1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h, w) for (B, in_channels, h, w)."""
        return self.conv(x)


def initialise(network: nn.Module) -> None:
    """Give a network its random start: Kaiming normal for convolutions, 0 for biases, identity for batch norm.

    Chosen explicitly, because the default of PyTorch (uniform, with the gain of a leaky ReLU of slope √5) suits
    networks of ReLUs less well.

    Args:
        network: changed in place.

    Source: He, Zhang, Ren, Sun 2015, "Delving Deep into Rectifiers", https://arxiv.org/abs/1502.01852
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
