"""Layers used by at least two networks. Letters in shapes: B pictures, C channels, h w reduced height and width."""

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
