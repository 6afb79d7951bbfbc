"""MediaPipe's selfie segmentation: a U so small that it runs in every video call, a person and what is behind."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from segdemo.networks.blocks import BackgroundLogit, Resize, initialise
from segdemo.networks.classes import PEOPLE
from segdemo.networks.network import Network, Preprocessing, Stage


class ConvAct(nn.Module):
    """Convolve with a bias, then an activation; a side is halved by padding as TensorFlow does.

    Args:
        in_channels: channels that come in.
        out_channels: channels that go out.
        kernel: side of the square kernel, odd, in pixels.
        stride: 1 or 2, step of the kernel in pixels; sides of the map must be even for 2.
        groups: separate groups of channels.
        act: what follows, nothing by default.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        act: nn.Module | None = None,
    ) -> None:
        super().__init__()
        missing = kernel - stride  # rows and columns of zeros in all, of which TensorFlow puts the odd one behind
        self.padding = (missing // 2, missing - missing // 2) * 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, groups=groups)
        self.act = act or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h / stride, w / stride) for (B, in_channels, h, w)."""
        return self.act(self.conv(functional.pad(x, self.padding)))


class SqueezeExcitation(nn.Module):
    """Find from the mean of each channel a weight in (0, 1) for each channel.

    Args:
        channels: that come in, and weights that come out.
        squeezed: channels between the two 1×1 convolutions.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = ConvAct(channels, squeezed, act=nn.ReLU())
        self.excite = ConvAct(squeezed, channels, act=nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Return weights (B, C, 1, 1) for maps (B, C, h, w)."""
        return self.excite(self.squeeze(self.pool(x)))


class InvertedResidual(nn.Module):
    """Widen with 1×1, filter each channel alone, weigh the channels, narrow with 1×1; add the input where shapes agree.

    Args:
        in_channels: channels that come in.
        wide: channels inside.
        out_channels: channels that go out.
        kernel: side of the depthwise kernel, in pixels.
        stride: its step, in pixels.
        squeezed: channels of the weighing, 0 for none.
        hard: activations are hard swishes, otherwise ReLUs.
    """

    def __init__(
        self, in_channels: int, wide: int, out_channels: int, kernel: int, stride: int, squeezed: int, *, hard: bool
    ) -> None:
        super().__init__()
        act = nn.Hardswish if hard else nn.ReLU
        self.adds_input = stride == 1 and in_channels == out_channels
        self.expand = ConvAct(in_channels, wide, act=act())
        self.depthwise = ConvAct(wide, wide, kernel, stride=stride, groups=wide, act=act())
        self.weigh = SqueezeExcitation(wide, squeezed) if squeezed else None
        self.project = ConvAct(wide, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h / stride, w / stride) for (B, in_channels, h, w)."""
        y = self.depthwise(self.expand(x))  # (B, wide, h / stride, w / stride)
        if self.weigh is not None:
            y = y * self.weigh(y)
        y = self.project(y)  # (B, out_channels, h / stride, w / stride)
        return x + y if self.adds_input else y


class LiteASPP(nn.Module):
    """Weigh the channels of 1×1 features by what the mean of the whole map says: LR-ASPP of MobileNetV3."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.features = ConvAct(in_channels, out_channels, act=nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.weights = ConvAct(in_channels, out_channels, act=nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h, w) for (B, in_channels, h, w)."""
        return self.features(x) * self.weights(self.pool(x))


class Gate(nn.Module):
    """Weigh the channels of a skip by what it and the map from below say together, then add that map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = SqueezeExcitation(channels, channels)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Return (B, C, h, w) for two maps of that shape."""
        return skip * self.weigh(skip + deep) + deep


class UpBlock(nn.Module):
    """Double both sides, narrow, take in the skip through a gate, then mix across channels and within each.

    Args:
        in_channels: channels from below.
        channels: of the skip, and of the output.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.up = Resize(align_corners=False)
        self.narrow = ConvAct(in_channels, channels)
        self.gate = Gate(channels)
        self.mix = ConvAct(channels, channels, act=nn.ReLU())
        self.depthwise = ConvAct(channels, channels, 3, groups=channels, act=nn.ReLU())

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Return (B, channels, h, w) for (B, in_channels, h / 2, w / 2) and a skip (B, channels, h, w)."""
        deep = self.narrow(self.up(deep, (skip.shape[2], skip.shape[3])))  # (B, channels, h, w)
        y = self.mix(self.gate(deep, skip))  # (B, channels, h, w)
        return y + self.depthwise(y)


class SelfieNet(nn.Module):
    """The general model of MediaPipe Selfie Segmentation, as its graph has it.

    A reduced MobileNetV3 of Howard et al. 2019, https://arxiv.org/abs/1905.02244, under a decoder that takes in skips
    through gates. Departures from the graph: its sigmoid is the softmax over a logit of 0 for the background and the
    person's; means are over the map, whatever its size, which is the same at 256 pixels.

    Args:
        n_classes: K, classes to tell apart, the first of which is the background.
    """

    def __init__(self, n_classes: int = 2) -> None:
        super().__init__()
        self.stem = ConvAct(3, 16, 3, stride=2, act=nn.Hardswish())
        self.block1 = InvertedResidual(16, 16, 16, 3, 2, squeezed=8, hard=False)
        self.blocks3 = nn.Sequential(
            InvertedResidual(16, 72, 24, 3, 2, squeezed=0, hard=False),
            InvertedResidual(24, 88, 24, 3, 1, squeezed=0, hard=False),
        )
        self.blocks4 = nn.Sequential(
            InvertedResidual(24, 96, 32, 5, 2, squeezed=24, hard=True),
            InvertedResidual(32, 128, 32, 5, 1, squeezed=32, hard=True),
            InvertedResidual(32, 128, 32, 5, 1, squeezed=32, hard=True),
            InvertedResidual(32, 96, 32, 5, 1, squeezed=24, hard=True),
            InvertedResidual(32, 96, 32, 5, 1, squeezed=24, hard=True),
        )
        self.aspp = LiteASPP(32, 128)
        self.up3 = UpBlock(128, 24)
        self.up2 = UpBlock(24, 16)
        self.up1 = UpBlock(16, 16)
        self.segment = nn.ConvTranspose2d(16, n_classes - 1, kernel_size=2, stride=2)
        self.logits = BackgroundLogit()
        initialise(self)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for a batch (B, 3, H, W), sides multiples of 16."""
        x1 = self.stem(batch)  # (B, 16, H/2, W/2)
        x2 = self.block1(x1)  # (B, 16, H/4, W/4)
        x3 = self.blocks3(x2)  # (B, 24, H/8, W/8)
        x = self.blocks4(x3)  # (B, 32, H/16, W/16)
        x = self.aspp(x)  # (B, 128, H/16, W/16)
        x = self.up3(x, x3)  # (B, 24, H/8, W/8)
        x = self.up2(x, x2)  # (B, 16, H/4, W/4)
        x = self.up1(x, x1)  # (B, 16, H/2, W/2)
        return self.logits(self.segment(x))  # (B, K, H, W)


def _blocks(number: int, count: int) -> Stage:
    """Name an encoder, with its blocks inside."""
    label, layer = f"Encoder {number}", f"blocks{number}"
    blocks = (Stage(f"{label} · block {block + 1}", f"{layer}.{block}") for block in range(count))
    return Stage(label, layer, inside=tuple(blocks))


def _decoder(number: int) -> Stage:
    """Name a decoder as the encoder at its depth, with its parts inside; "narrow" changes channels alone."""
    label, layer = f"Decoder {number}", f"up{number}"
    parts = (("upsampled", "up"), ("gated", "gate"), ("mixed", "mix"))
    return Stage(label, layer, inside=tuple(Stage(f"{label} · {word}", f"{layer}.{part}") for word, part in parts))


NETWORK = Network(
    name="selfie",
    title="Selfie segmentation",
    task="segmentation",
    build=SelfieNet,
    classes=PEOPLE,
    stages=(
        Stage("Encoder 1", "stem"),
        Stage("Encoder 2", "block1"),
        _blocks(3, 2),
        _blocks(4, 5),
        Stage("Weighed", "aspp"),
        *(_decoder(number) for number in (3, 2, 1)),
        Stage("Person", "segment"),
        Stage("Logits", "logits"),
    ),
    # In [0, 1] and stretched, as MediaPipe's own graph does before it.
    preprocessing=Preprocessing(size=256, sizes=(128, 192, 256, 320, 384), stride=16, shape="stretch"),
    source="https://arxiv.org/abs/1905.02244",
)
