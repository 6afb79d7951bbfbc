"""U-Net: an encoder that sees ever more and ever less sharply, a decoder that gets the sharpness back over skips."""

from __future__ import annotations

from torch import Tensor, nn

from segdemo.networks.blocks import DoubleConv, Down, OutConv, Up, initialise
from segdemo.networks.classes import SALIENT
from segdemo.networks.network import Network, Preprocessing, Stage


class UNet(nn.Module):
    """U-Net of Ronneberger, Fischer and Brox 2015, https://arxiv.org/abs/1505.04597, as it is mostly used today.

    Departures from the paper: convolutions are padded, so the logits have the size of the batch and skips are not
    cropped; batch normalisation follows every 3×3 convolution; the bottleneck has no dropout. Module names are those
    of the widespread PyTorch version, so its published checkpoints load strictly at width 64. ReLUs work on a copy,
    not in place, so that what a convolution put out can still be looked at and differentiated.

    Args:
        n_channels: channels of the batch, 3 for RGB.
        n_classes: K, classes to tell apart.
        bilinear: upsample by interpolation in place of learned transposed convolutions; halves the deepest maps.
        width: channels of the first encoder, doubled four times on the way down. 64 in the paper.
    """

    def __init__(self, n_channels: int, n_classes: int, *, bilinear: bool = False, width: int = 64) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_classes = n_classes
        self.bilinear = bilinear
        factor = 2 if bilinear else 1
        self.inc = DoubleConv(n_channels, width)
        self.down1 = Down(width, 2 * width)
        self.down2 = Down(2 * width, 4 * width)
        self.down3 = Down(4 * width, 8 * width)
        self.down4 = Down(8 * width, 16 * width // factor)
        self.up1 = Up(16 * width, 8 * width // factor, bilinear=bilinear)
        self.up2 = Up(8 * width, 4 * width // factor, bilinear=bilinear)
        self.up3 = Up(4 * width, 2 * width // factor, bilinear=bilinear)
        self.up4 = Up(2 * width, width, bilinear=bilinear)
        self.outc = OutConv(width, n_classes)
        initialise(self)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for a batch (B, 3, H, W). Channels in the comments are for width 64."""
        x1 = self.inc(batch)  # (B, 64, H, W)
        x2 = self.down1(x1)  # (B, 128, H/2, W/2)
        x3 = self.down2(x2)  # (B, 256, H/4, W/4)
        x4 = self.down3(x3)  # (B, 512, H/8, W/8)
        x = self.down4(x4)  # (B, 1024, H/16, W/16)
        x = self.up1(x, x4)  # (B, 512, H/8, W/8)
        x = self.up2(x, x3)  # (B, 256, H/4, W/4)
        x = self.up3(x, x2)  # (B, 128, H/2, W/2)
        x = self.up4(x, x1)  # (B, 64, H, W)
        return self.outc(x)  # (B, K, H, W)


def _two_convs(label: str, layer: str) -> tuple[Stage, Stage]:
    """Name what the two convolutions of a DoubleConv put out after their ReLU."""
    return (
        Stage(f"{label} · conv 1", f"{layer}.double_conv.2"),
        Stage(f"{label} · conv 2", f"{layer}.double_conv.5"),
    )


def _encoder(label: str, layer: str) -> Stage:
    """Name an encoder with its pooling and convolutions inside."""
    pool = Stage(f"{label} · pooled", f"{layer}.maxpool_conv.0")
    return Stage(label, layer, inside=(pool, *_two_convs(label, f"{layer}.maxpool_conv.1")))


def _decoder(number: int) -> Stage:
    """Name a decoder as the encoder at its depth, with its join and convolutions inside."""
    label, layer = f"Decoder {number}", f"up{5 - number}"
    up, join = Stage(f"{label} · upsampled", f"{layer}.up"), Stage(f"{label} · joined", f"{layer}.join")
    return Stage(label, layer, inside=(up, join, *_two_convs(label, f"{layer}.conv")))


def build(classes: int) -> UNet:
    """Make the network with random weights; a function of the module, so that it can be pickled."""
    return UNet(3, classes, width=16)


NETWORK = Network(
    name="unet",
    title="U-Net",
    task="segmentation",
    build=build,
    classes=SALIENT,
    stages=(
        Stage("Encoder 1", "inc", inside=_two_convs("Encoder 1", "inc")),
        _encoder("Encoder 2", "down1"),
        _encoder("Encoder 3", "down2"),
        _encoder("Encoder 4", "down3"),
        _encoder("Bottleneck", "down4"),
        *(_decoder(number) for number in (4, 3, 2, 1)),
        Stage("Logits", "outc"),
    ),
    # Stretched, as the crops it was trained on; padding of 0, which it has never seen, would cost it 0.03 of mIoU.
    preprocessing=Preprocessing(size=128, sizes=(96, 128, 144, 160, 192, 256), stride=16, shape="stretch"),
    source="https://arxiv.org/abs/1505.04597",
)
