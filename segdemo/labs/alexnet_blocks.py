"""AlexNet and what belongs to it: its two parts, ten crops, and the head of YOLO; the lab shows them as they stand."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn


def features() -> nn.Sequential:
    """Make the five convolutions, which find patterns and where they are."""
    return nn.Sequential(
        nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, kernel_size=5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, kernel_size=3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, kernel_size=3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2),
    )  # fmt: skip


def classifier(classes: int) -> nn.Sequential:
    """Make the three linear layers, which weigh all that was found for each class."""
    return nn.Sequential(
        nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, classes),
    )  # fmt: skip


class AlexNet(nn.Module):
    """Features, brought to 6 × 6 places whatever the size of the picture, and the classifier."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = features()
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = classifier(classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, classes)."""
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def ten_crops(x: Tensor, side: int) -> Tensor:
    """Return the four corners and the middle of a picture, then the same mirrored, (10, 3, side, side)."""
    height, width = x.shape[2:]
    down, right = height - side, width - side
    places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    five = torch.cat([x[:, :, top : top + side, left : left + side] for top, left in places])
    return torch.cat([five, five.flip(3)])


class YoloHead(nn.Module):
    """The end of YOLO: two linear layers whose answer is a row of numbers, to be read as 7 × 7 cells."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.LeakyReLU(0.1), nn.AdaptiveAvgPool2d(7))
        self.conn_layer1 = nn.Sequential(nn.Linear(7 * 7 * 16, 64), nn.Dropout(0.5), nn.LeakyReLU(0.1))
        self.conn_layer2 = nn.Sequential(nn.Linear(64, 7 * 7 * (2 * 5 + classes)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 7 · 7 · (2 · 5 + classes))."""
        return self.conn_layer2(self.conn_layer1(torch.flatten(self.before(x), 1)))


def stored(path: str) -> dict[str, Tensor]:
    """Read a .safetensors file: eight bytes with the length of a table, the table, and the numbers."""
    data = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    kinds = {"F16": torch.float16, "F32": torch.float32, "I64": torch.int64}
    found = {}
    for name, about in json.loads(data[8:start]).items():
        if name != "__metadata__":
            first, last = about["data_offsets"]
            raw = torch.frombuffer(data[start + first : start + last], dtype=kinds[about["dtype"]])
            found[name] = raw.view(about["shape"]).float()
    return found
