"""YOLO: one pass answers for a grid of cells what is in each, and with which box."""

from __future__ import annotations

from torch import Tensor, nn

from segdemo.networks.classes import VOC
from segdemo.networks.network import Network, Preprocessing, Stage

SIDE = 448  # of a picture, in pixels: the full layers fit no other
CELLS = 7  # S, cells in a row and in a column
BOXES = 2  # B, boxes for each cell
BOX = 5  # numbers for each box: x, y, width, height, confidence
LEAK = 0.1  # slope of the activation below 0
# Figure 3 of the paper: (channels, kernel, stride) of each convolution; every group but the last two ends in pooling.
GROUPS: tuple[tuple[tuple[int, int, int], ...], ...] = (
    ((64, 7, 2),),
    ((192, 3, 1),),
    ((128, 1, 1), (256, 3, 1), (256, 1, 1), (512, 3, 1)),
    (*((256, 1, 1), (512, 3, 1)) * 4, (512, 1, 1), (1024, 3, 1)),
    (*((512, 1, 1), (1024, 3, 1)) * 2, (1024, 3, 1), (1024, 3, 2)),
    ((1024, 3, 1), (1024, 3, 1)),
)
POOLED = 4  # groups that end in pooling


class Grid(nn.Module):
    """Read a row of numbers as cells: (B, S · S · C) becomes (B, C, S, S); the numbers of a cell lie side by side."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, 7, 7) for (B, 7 · 7 · C)."""
        return x.unflatten(1, (CELLS, CELLS, -1)).permute(0, 3, 1, 2)


class YOLOv1(nn.Module):
    """YOLO of Redmon, Divvala, Girshick and Farhadi 2015, https://arxiv.org/abs/1506.02640.

    Departures: batch normalisation follows every convolution, as in the authors' later configuration and most versions
    in PyTorch; the answer is given as maps, one cell a value, which hold the paper's 7 × 7 × 30 numbers.

    Args:
        num_classes: C, classes to tell apart.
        hidden: outputs of the first full layer, 4096 in the paper.
    """

    def __init__(self, num_classes: int, hidden: int = 4096) -> None:
        super().__init__()
        layers, channels = [], 3
        for number, group in enumerate(GROUPS):
            parts: list[nn.Module] = []
            for out_channels, kernel, stride in group:
                parts += [
                    nn.Conv2d(channels, out_channels, kernel, stride, padding=kernel // 2),
                    nn.BatchNorm2d(out_channels),
                    nn.LeakyReLU(LEAK),
                ]
                channels = out_channels
            if number < POOLED:
                parts.append(nn.MaxPool2d(kernel_size=2, stride=2))
            layers.append(nn.Sequential(*parts))
        (
            self.conv_layer1,
            self.conv_layer2,
            self.conv_layer3,
            self.conv_layer4,
            self.conv_layer5,
            self.conv_layer6,
        ) = layers
        self.flatten = nn.Flatten()
        self.conn_layer1 = nn.Sequential(
            nn.Linear(CELLS * CELLS * channels, hidden), nn.Dropout(0.5), nn.LeakyReLU(LEAK)
        )
        self.conn_layer2 = nn.Sequential(nn.Linear(hidden, CELLS * CELLS * (BOXES * BOX + num_classes)))
        self.grid = Grid()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=LEAK)  # He et al. 2015, https://arxiv.org/abs/1502.01852

    def forward(self, batch: Tensor) -> Tensor:
        """Return for a batch (B, 3, 448, 448) the numbers of each cell, (B, 2 · 5 + C, 7, 7).

        The channels are x, y, width, height and confidence of the first box, the same of the second, and a score for
        each class.
        """
        x = self.conv_layer1(batch)  # (B, 64, 112, 112)
        x = self.conv_layer2(x)  # (B, 192, 56, 56)
        x = self.conv_layer3(x)  # (B, 512, 28, 28)
        x = self.conv_layer4(x)  # (B, 1024, 14, 14)
        x = self.conv_layer5(x)  # (B, 1024, 7, 7)
        x = self.conv_layer6(x)  # (B, 1024, 7, 7)
        x = self.conn_layer1(self.flatten(x))  # (B, hidden), by way of (B, 50176)
        return self.grid(self.conn_layer2(x))  # (B, 10 + C, 7, 7), by way of (B, 49 · (10 + C))


def build(classes: int) -> YOLOv1:
    """Make the network with random weights, its first full layer an eighth as wide: at 4096 it has 822 MB."""
    return YOLOv1(classes, hidden=512)


def _stage(number: int) -> Stage:
    """Name a group of convolutions, with what each put out after its activation inside."""
    label, layer, count = f"Convs {number}", f"conv_layer{number}", len(GROUPS[number - 1])
    inside = (Stage(f"{label} · conv {place + 1}", f"{layer}.{3 * place + 2}") for place in range(count))
    return Stage(label, layer, inside=tuple(inside) if count > 1 else ())


NETWORK = Network(
    name="yolo_v1",
    title="YOLO, version 1",
    task="detection grid",
    build=build,
    classes=VOC[1:],
    stages=(
        *(_stage(number) for number in (1, 2, 3, 4, 5, 6)),
        Stage("Full 1", "conn_layer1"),
        Stage("Grid", "grid"),
    ),
    preprocessing=Preprocessing(size=SIDE, sizes=(SIDE,), stride=SIDE, shape="stretch"),
    source="https://arxiv.org/abs/1506.02640",
)
