"""Residual networks of BasicBlocks, with and without the identity; the lab shows them as they stand here."""

from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two convolutions, and beside them the way on which the input goes past."""

    def __init__(self, inplanes: int, planes: int, stride: int, identity: bool, norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes) if norm else nn.Identity()
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes) if norm else nn.Identity()
        self.identity = identity
        self.downsample = None
        if identity and (stride > 1 or inplanes != planes):  # the two have to be of one shape to be added
            side_way = nn.Conv2d(inplanes, planes, 1, stride, bias=False)
            self.downsample = nn.Sequential(side_way, nn.BatchNorm2d(planes) if norm else nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, planes, h, w)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.identity:
            out = out + (x if self.downsample is None else self.downsample(x))
        return self.relu(out)


class ResNet(nn.Module):
    """A first convolution, four layers of blocks, each but the first of half the size, and a linear layer."""

    def __init__(self, counts: list[int], width: int, classes: int, identity: bool, norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)
        layers, inplanes = [], width
        for level, count in enumerate(counts):
            planes, blocks = width * 2**level, []
            for index in range(count):
                blocks.append(BasicBlock(inplanes, planes, 2 if level and not index else 1, identity, norm))
                inplanes = planes
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(inplanes, classes)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return what each block puts out, and (B, classes) at the end."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        found = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in layer:
                x = block(x)
                found.append(x)
        return [*found, self.fc(self.avgpool(x).flatten(1))]
