"""The blocks of the U-Net that the lab builds; the lab shows them as they stand here."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class DoubleConv(nn.Module):
    """Twice: a convolution that keeps the size, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, between: int | None = None) -> None:
        super().__init__()
        between = between or out_channels
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, between, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(between),
            nn.ReLU(),
            nn.Conv2d(between, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps at the same size."""
        return self.layers(x)


class Down(nn.Module):
    """Half the size, then a double convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.conv = DoubleConv(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps at half the size."""
        return self.conv(self.pool(x))


class Up(nn.Module):
    """Twice the size, beside it what the encoder had at that size, then a double convolution."""

    def __init__(self, in_channels: int, out_channels: int, bilinear: bool, skips: bool, pad: bool) -> None:
        super().__init__()
        self.skips, self.pad = skips, pad
        half = in_channels // 2
        if bilinear:
            self.up: nn.Module = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        else:
            self.up = nn.ConvTranspose2d(in_channels, half, kernel_size=2, stride=2)
        taken = in_channels if skips else half
        self.conv = DoubleConv(taken, out_channels, half if bilinear else None)

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        """Return the maps at the size of those beside."""
        x = self.up(below)
        if self.pad:
            rows, columns = beside.shape[2] - x.shape[2], beside.shape[3] - x.shape[3]
            x = functional.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        return self.conv(torch.cat([beside, x], dim=1) if self.skips else x)


class OutConv(nn.Module):
    """A score for each class at each place."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map for each class."""
        return self.conv(x)


class UNet(nn.Module):
    """Down as often as it is deep, and up again."""

    def __init__(self, classes: int, width: int, depth: int, bilinear: bool, skips: bool, pad: bool) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        last = 2 if bilinear else 1  # bilinear upsampling cannot halve the channels, so that the block before it does
        self.inc = DoubleConv(3, width)
        self.downs = nn.ModuleList(
            Down(widths[level], widths[level + 1] // (last if level + 1 == depth else 1)) for level in range(depth)
        )
        self.ups = nn.ModuleList(
            Up(widths[level + 1], widths[level] // (last if level else 1), bilinear, skips, pad)
            for level in reversed(range(depth))
        )
        self.outc = OutConv(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return a score for each class at each pixel."""
        x = self.inc(x)
        beside = []
        for down in self.downs:
            beside.append(x)
            x = down(x)
        for up in self.ups:
            x = up(x, beside.pop())
        return self.outc(x)
