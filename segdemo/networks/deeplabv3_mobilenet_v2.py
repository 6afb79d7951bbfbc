"""DeepLabv3 on MobileNetV2: dilation keeps the map at an eighth of the size, pooling tells each pixel of the whole."""

from __future__ import annotations

from torch import Tensor, nn

from segdemo.networks.blocks import Concat, ConvReLU, Resize, initialise
from segdemo.networks.classes import VOC
from segdemo.networks.network import Network, Preprocessing, Stage

# Inverted residual blocks in groups of equal output: (channels, blocks, stride of the first block, dilation of the
# first, dilation of the others). Output channels, repeats and expansion: table 2 of the MobileNetV2 paper. Two strides
# there of 2 are 1 here, and the layers behind them are dilated instead, which keeps the map at 1/8 ("output stride 8").
GROUPS = (
    (16, 1, 1, 1, 1),
    (24, 2, 2, 1, 1),
    (32, 3, 2, 1, 1),
    (64, 4, 1, 1, 2),
    (96, 3, 1, 2, 2),
    (160, 3, 1, 2, 4),
    (320, 1, 1, 4, 4),
)


class InvertedResidual(nn.Module):
    """Widen with 1×1, filter each channel alone with 3×3, narrow with 1×1; add the input where shapes agree.

    Args:
        in_channels: channels that come in.
        out_channels: channels that go out.
        stride: step of the depthwise convolution, in pixels.
        dilation: distance between its taps, in pixels.
        expansion: how many times wider the inside is; 1 leaves the widening out.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, dilation: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * in_channels
        self.adds_input = stride == 1 and in_channels == out_channels
        self.expand = ConvReLU(in_channels, wide, ceiling=6) if expansion > 1 else nn.Identity()
        self.depthwise = ConvReLU(wide, wide, 3, stride=stride, dilation=dilation, groups=wide, ceiling=6)
        self.project = nn.Conv2d(wide, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h / stride, w / stride), rounded up, for (B, in_channels, h, w)."""
        y = self.expand(x)  # (B, wide, h, w)
        y = self.depthwise(y)  # (B, wide, h / stride, w / stride)
        y = self.project(y)  # (B, out_channels, h / stride, w / stride)
        return x + y if self.adds_input else y


class ImagePooling(nn.Module):
    """The mean over the whole map, through a 1×1 convolution and ReLU, given to every pixel."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.conv = ConvReLU(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h, w), constant over h and w, for (B, in_channels, h, w)."""
        y = self.mean(x)  # (B, in_channels, 1, 1)
        y = self.conv(y)  # (B, out_channels, 1, 1)
        return y.expand(-1, -1, x.shape[2], x.shape[3])  # (B, out_channels, h, w)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling without its atrous branches: image pooling beside a 1×1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.image_pooling = ImagePooling(in_channels, out_channels)
        self.conv1x1 = ConvReLU(in_channels, out_channels)
        self.join = Concat()
        self.projection = ConvReLU(2 * out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, h, w) for (B, in_channels, h, w)."""
        y = self.join(self.image_pooling(x), self.conv1x1(x))  # (B, 2 * out_channels, h, w)
        return self.projection(y)  # (B, out_channels, h, w)


class DeepLabV3MobileNetV2(nn.Module):
    """DeepLabv3 on MobileNetV2, with output stride 8.

    Papers: Chen, Papandreou, Schroff and Adam 2017, https://arxiv.org/abs/1706.05587 (DeepLabv3); Sandler, Howard,
    Zhu, Zhmoginov and Chen 2018, https://arxiv.org/abs/1801.04381 (MobileNetV2; its section 6.3 describes the pair).
    Batches have sides 8k + 1: there TensorFlow's "SAME" padding is equal on both sides, as it is here.

    Departures from the papers: batch normalisation is folded into the convolutions, as in the published trained
    graph, so training from a random start is slower; as in section 6.3, ASPP keeps only image pooling and the
    1×1 convolution. The atrous rates of the blocks are those of the published graph for output stride 8.

    Args:
        n_classes: K, classes to tell apart.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.stem = ConvReLU(3, 32, 3, stride=2, ceiling=6)
        self.blocks = nn.Sequential()
        channels = 32
        for out_channels, repeats, first_stride, first_dilation, dilation in GROUPS:
            for repeat in range(repeats):
                block = InvertedResidual(
                    channels,
                    out_channels,
                    stride=first_stride if repeat == 0 else 1,
                    dilation=first_dilation if repeat == 0 else dilation,
                    expansion=6 if len(self.blocks) else 1,
                )
                self.blocks.append(block)
                channels = out_channels
        self.aspp = ASPP(channels, 256)
        self.logits = nn.Conv2d(256, n_classes, kernel_size=1)
        self.upsample = Resize(align_corners=True)
        initialise(self)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for a batch (B, 3, H, W) with sides 8k + 1; h = (H + 7) / 8, w = (W + 7) / 8."""
        x = self.stem(batch)  # (B, 32, (H+1)/2, (W+1)/2)
        x = self.blocks(x)  # (B, 320, h, w)
        x = self.aspp(x)  # (B, 256, h, w)
        x = self.logits(x).contiguous()  # (B, K, h, w); what comes next, like all who use logits, goes class by class
        return self.upsample(x, (batch.shape[2], batch.shape[3]))  # (B, K, H, W)


def _group(first: int, last: int) -> Stage:
    """Name blocks of equal output as one stage, with their steps inside; block 0 has no widening."""
    label = f"Block {first}" if first == last else f"Blocks {first}-{last}"
    steps = [(number, step) for number in range(first, last + 1) for step in ("expand", "depthwise", "project")]
    inside = (
        Stage(f"Block {number} · {step}", f"blocks.{number}.{step}")
        for number, step in steps
        if number or step != "expand"
    )
    return Stage(label, f"blocks.{last}", inside=tuple(inside))


NETWORK = Network(
    name="deeplabv3_mobilenet_v2",
    title="DeepLabv3 · MobileNetV2",
    task="segmentation",
    build=DeepLabV3MobileNetV2,
    classes=VOC,
    stages=(
        Stage("Stem", "stem"),
        _group(0, 0),
        _group(1, 2),
        _group(3, 5),
        _group(6, 9),
        _group(10, 12),
        _group(13, 15),
        _group(16, 16),
        Stage("Image pooling", "aspp.image_pooling"),
        Stage("ASPP 1×1", "aspp.conv1x1"),
        Stage("Projection", "aspp.projection", inside=(Stage("Projection · joined", "aspp.join"),)),
        Stage("Logits", "logits"),
        Stage("Upsampled logits", "upsample"),
    ),
    preprocessing=Preprocessing(
        size=513,
        sizes=(257, 321, 385, 513, 641),
        stride=8,
        remainder=1,
        shape="square",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
    source="https://arxiv.org/abs/1706.05587",
)
