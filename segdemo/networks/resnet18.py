"""ResNet-18, and what all ResNets are made of: blocks that add what they found to what they were given."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from segdemo.networks.blocks import Sum, initialise
from segdemo.networks.classes import IMAGENET
from segdemo.networks.network import Network, Preprocessing, Stage

WIDTHS = (64, 128, 256, 512)  # channels inside the blocks of the four layers: table 1 of the paper


class BasicBlock(nn.Module):
    """Two 3×3 convolutions, added to the block's own input: the block of the shallow ResNets.

    Args:
        in_channels: channels that come in.
        width: channels inside, and of the output.
        stride: step of the first convolution, in pixels.
        downsample: brings the input to the shape of the output, None where it has that shape already.
    """

    expansion = 1  # output channels for each channel inside

    def __init__(self, in_channels: int, width: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample
        self.add = Sum()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, h / stride, w / stride) for (B, in_channels, h, w)."""
        identity = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))  # (B, width, h / stride, w / stride)
        y = self.bn2(self.conv2(y))  # (B, width, h / stride, w / stride)
        return self.relu(self.add(y, identity))


class Bottleneck(nn.Module):
    """1×1 to fewer channels, 3×3 among these, 1×1 to four times as many, added to the block's own input.

    The stride is at the 3×3 convolution, as in torchvision; the paper has it at the first 1×1.

    Args:
        in_channels: channels that come in.
        width: channels of the 3×3 convolution.
        stride: its step, in pixels.
        downsample: brings the input to the shape of the output, None where it has that shape already.
    """

    expansion = 4  # output channels for each channel inside

    def __init__(self, in_channels: int, width: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = downsample
        self.add = Sum()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 4 · width, h / stride, w / stride) for (B, in_channels, h, w)."""
        identity = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))  # (B, width, h, w)
        y = self.relu(self.bn2(self.conv2(y)))  # (B, width, h / stride, w / stride)
        y = self.bn3(self.conv3(y))  # (B, 4 · width, h / stride, w / stride)
        return self.relu(self.add(y, identity))


Block = type[BasicBlock] | type[Bottleneck]
Counts = tuple[int, int, int, int]


def make_layer(block: Block, in_channels: int, width: int, count: int, stride: int) -> nn.Sequential:
    """Chain blocks of equal output; the first changes size and channels, so its input is brought along by a 1×1.

    Args:
        block: which kind.
        in_channels: channels that come in.
        width: channels inside each block.
        count: how many blocks.
        stride: of the first block, in pixels.
    """
    out_channels = width * block.expansion
    downsample = None
    if stride != 1 or in_channels != out_channels:
        downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    first = block(in_channels, width, stride, downsample)
    return nn.Sequential(first, *(block(out_channels, width) for _ in range(count - 1)))


class ResNet(nn.Module):
    """ResNet of He, Zhang, Ren and Sun 2015, https://arxiv.org/abs/1512.03385, named as torchvision names it.

    torchvision's ImageNet weights load strictly, and then it answers the same to the last bit. ReLUs work on a copy,
    not in place, so that what a layer put out before them can still be looked at.

    Args:
        block: kind of the blocks.
        counts: how many of them each of the four layers has.
        num_classes: K, classes to tell apart.
    """

    def __init__(self, block: Block, counts: Counts, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = make_layer(block, 64, WIDTHS[0], counts[0], stride=1)
        self.layer2 = make_layer(block, WIDTHS[0] * block.expansion, WIDTHS[1], counts[1], stride=2)
        self.layer3 = make_layer(block, WIDTHS[1] * block.expansion, WIDTHS[2], counts[2], stride=2)
        self.layer4 = make_layer(block, WIDTHS[2] * block.expansion, WIDTHS[3], counts[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(WIDTHS[3] * block.expansion, num_classes)
        initialise(self)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, K) for a batch (B, 3, H, W). Channels in the comments: basic blocks, then bottlenecks."""
        x = self.relu(self.bn1(self.conv1(batch)))  # (B, 64, H/2, W/2)
        x = self.maxpool(x)  # (B, 64, H/4, W/4)
        x = self.layer1(x)  # (B, 64 or 256, H/4, W/4)
        x = self.layer2(x)  # (B, 128 or 512, H/8, W/8)
        x = self.layer3(x)  # (B, 256 or 1024, H/16, W/16)
        x = self.layer4(x)  # (B, 512 or 2048, H/32, W/32)
        x = self.flatten(self.avgpool(x))  # (B, 512 or 2048)
        return self.fc(x)  # (B, K)


def _layer(number: int, count: int) -> Stage:
    """Name a layer, with its blocks inside."""
    label, layer = f"Layer {number}", f"layer{number}"
    blocks = (Stage(f"{label} · block {block + 1}", f"{layer}.{block}") for block in range(count))
    return Stage(label, layer, inside=tuple(blocks))


def declare_resnet(depth: int, counts: Counts, build: Callable[[int], ResNet]) -> Network:
    """Declare a ResNet as an entry of the table.

    Args:
        depth: layers with weights, as in its name.
        counts: how many blocks each of the four layers has.
        build: makes it with random weights for K classes.
    """
    return Network(
        name=f"resnet{depth}",
        title=f"ResNet-{depth}",
        task="classification",
        build=build,
        classes=IMAGENET,
        stages=(
            Stage("Conv 1", "relu"),
            Stage("Pool", "maxpool"),
            *(_layer(number, count) for number, count in enumerate(counts, start=1)),
            Stage("Mean", "avgpool"),
            Stage("Logits", "fc"),
        ),
        preprocessing=Preprocessing(
            size=224,
            sizes=(128, 160, 224, 288),
            stride=32,
            shape="stretch",
            mean=(0.485, 0.456, 0.406),  # of ImageNet, as torchvision trained it
            std=(0.229, 0.224, 0.225),
        ),
        source="https://arxiv.org/abs/1512.03385",
        official=f"resnet{depth}",
    )


COUNTS = (2, 2, 2, 2)


def build(classes: int) -> ResNet:
    """Make the network with random weights; a function of the module, so that it can be pickled."""
    return ResNet(BasicBlock, COUNTS, classes)


NETWORK = declare_resnet(18, COUNTS, build)
