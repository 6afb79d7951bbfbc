"""A U-Net whose encoder has seen a million pictures: MobileNetV2, trained on ImageNet, under a light decoder."""

from __future__ import annotations

from torch import Tensor, nn

from segdemo.networks.blocks import Concat, ConvBNReLU, Resize, initialise
from segdemo.networks.classes import ANIMALS
from segdemo.networks.network import Network, Preprocessing, Stage

TAPS = (1, 3, 6, 13, 17)  # blocks after which the map is smallest but deepest at strides 2, 4, 8, 16 and 32
TAPPED = (16, 24, 32, 96, 320)  # their channels
DECODER = (128, 96, 64, 48)  # channels on the way up, to strides 16, 8, 4 and 2


class Separable(nn.Sequential):
    """A 3×3 convolution in two parts, each with batch normalisation and ReLU: within channels, then across them."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = ConvBNReLU(in_channels, in_channels, groups=in_channels)
        self.pointwise = ConvBNReLU(in_channels, out_channels, ks=1, padding=0)


class LightUp(nn.Module):
    """Enlarge to the size of the map from the encoder, join the two, then two separable convolutions."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = Resize(align_corners=False)
        self.join = Concat()
        self.conv1 = Separable(in_channels + skip_channels, out_channels)
        self.conv2 = Separable(out_channels, out_channels)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Return (B, out_channels, h, w) for a smaller (B, in_channels, …) and a skip (B, skip_channels, h, w)."""
        deep = self.up(deep, (skip.shape[2], skip.shape[3]))  # (B, in_channels, h, w)
        return self.conv2(self.conv1(self.join(skip, deep)))


class UNetMobileNetV2(nn.Module):
    """U-Net of Ronneberger, Fischer and Brox 2015 on MobileNetV2 of Sandler et al. 2018.

    Papers: https://arxiv.org/abs/1505.04597 and https://arxiv.org/abs/1801.04381. ``features`` is torchvision's, so
    its ImageNet weights fit by name; the last convolution, to 1280 channels, and the classifier are left out.
    Departures from U-Net: separable convolutions and bilinear enlarging in the decoder, which ends at stride 2; the
    logits are enlarged from there.

    Args:
        n_classes: K, classes to tell apart.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2  # seconds to import, which other networks need not wait for

        self.features = mobilenet_v2(weights=None).features[: TAPS[-1] + 1]
        self.up1 = LightUp(TAPPED[4], TAPPED[3], DECODER[0])
        self.up2 = LightUp(DECODER[0], TAPPED[2], DECODER[1])
        self.up3 = LightUp(DECODER[1], TAPPED[1], DECODER[2])
        self.up4 = LightUp(DECODER[2], TAPPED[0], DECODER[3])
        self.outc = nn.Conv2d(DECODER[3], n_classes, kernel_size=1)
        self.resize = Resize(align_corners=False)
        initialise(self)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for a batch (B, 3, H, W)."""
        taps: list[Tensor] = []
        x = batch
        for number, block in enumerate(self.features):
            x = block(x)  # at the taps (B, 16, H/2, W/2), (B, 24, H/4, W/4), … (B, 320, H/32, W/32)
            if number in TAPS:
                taps.append(x)
        x = self.up1(x, taps[3])  # (B, 128, H/16, W/16)
        x = self.up2(x, taps[2])  # (B, 96, H/8, W/8)
        x = self.up3(x, taps[1])  # (B, 64, H/4, W/4)
        x = self.up4(x, taps[0])  # (B, 48, H/2, W/2)
        return self.resize(self.outc(x), (batch.shape[2], batch.shape[3]))  # (B, K, H, W)


def _encoder(number: int) -> Stage:
    """Name the blocks between two taps by the last one."""
    return Stage(f"Encoder {number}" if number < 5 else "Bottleneck", f"features.{TAPS[number - 1]}")


def _decoder(number: int) -> Stage:
    """Name a decoder as the encoder at its depth, with its join and convolutions inside."""
    label, layer = f"Decoder {number}", f"up{5 - number}"
    parts = (("upsampled", "up"), ("joined", "join"), ("conv 1", "conv1"), ("conv 2", "conv2"))
    return Stage(label, layer, inside=tuple(Stage(f"{label} · {word}", f"{layer}.{part}") for word, part in parts))


NETWORK = Network(
    name="unet_mobilenet_v2",
    title="U-Net on MobileNetV2",
    task="segmentation",
    build=UNetMobileNetV2,
    classes=ANIMALS,
    stages=(
        *(_encoder(number) for number in (1, 2, 3, 4, 5)),
        *(_decoder(number) for number in (4, 3, 2, 1)),
        Stage("Logits", "resize"),
    ),
    preprocessing=Preprocessing(
        size=288,
        sizes=(192, 256, 288, 384, 512),
        stride=32,
        mean=(0.485, 0.456, 0.406),  # of ImageNet, as torchvision trained it
        std=(0.229, 0.224, 0.225),
    ),
    source="https://arxiv.org/abs/1801.04381",
)
