"""FCN on AlexNet: the first network for pictures of any size made of one that answers once per picture."""

from __future__ import annotations

from torch import Tensor, nn

from segdemo.networks.alexnet import CONVOLUTIONS, convolutions
from segdemo.networks.blocks import Resize, Sum, initialise
from segdemo.networks.classes import ANIMALS
from segdemo.networks.network import Network, Preprocessing, Stage


class FCNAlexNet(nn.Module):
    """FCN-8s of Long, Shelhamer and Darrell 2015, https://arxiv.org/abs/1411.4038, on the AlexNet of torchvision.

    AlexNet's convolutions see a picture of any size; what was its classifier becomes convolutions, so that it answers
    at every place. Its answers, 32 pixels apart, are then added to coarser guesses made earlier, 16 and 8 pixels
    apart. ``features`` is named and numbered as in torchvision, whose ImageNet weights fit.

    Departures from the paper: the former fully connected layers have 256 channels, not 4096, and see 3 × 3 places, not
    6 × 6, which saves 97 % of the weights; skips start at the fifth and the second convolution, where the paper has
    those of VGG; pooling is padded by 1, so that 32 pixels are enough and maps lie on each other; maps are enlarged
    bilinearly by a fixed rule, not by learned kernels that start as one; the picture is not padded by 100 pixels.

    Args:
        n_classes: K, classes to tell apart.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.features = convolutions(padding=1)
        self.conv6 = nn.Sequential(nn.Conv2d(256, 256, kernel_size=3, padding=1), nn.ReLU(), nn.Dropout2d(0.2))
        self.conv7 = nn.Sequential(nn.Conv2d(256, 256, kernel_size=1), nn.ReLU(), nn.Dropout2d(0.2))
        self.score32 = nn.Conv2d(256, n_classes, kernel_size=1)
        self.score16 = nn.Conv2d(256, n_classes, kernel_size=1)
        self.score8 = nn.Conv2d(192, n_classes, kernel_size=1)
        self.up16, self.fuse16 = Resize(align_corners=False), Sum()
        self.up8, self.fuse8 = Resize(align_corners=False), Sum()
        self.resize = Resize(align_corners=False)
        initialise(self)
        for score in (self.score16, self.score8):
            nn.init.zeros_(score.weight)  # as in the paper: at first, the skips change nothing

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for a batch (B, 3, H, W)."""
        second = self.features[:5](batch)  # (B, 192, H/8, W/8)
        fifth = self.features[5:12](second)  # (B, 256, H/16, W/16)
        x = self.features[12](fifth)  # (B, 256, H/32, W/32)
        x = self.score32(self.conv7(self.conv6(x)))  # (B, K, H/32, W/32)
        x = self.fuse16(self.score16(fifth), self.up16(x, (fifth.shape[2], fifth.shape[3])))  # (B, K, H/16, W/16)
        x = self.fuse8(self.score8(second), self.up8(x, (second.shape[2], second.shape[3])))  # (B, K, H/8, W/8)
        return self.resize(x, (batch.shape[2], batch.shape[3]))  # (B, K, H, W)


NETWORK = Network(
    name="fcn_alexnet",
    title="FCN on AlexNet",
    task="segmentation",
    build=FCNAlexNet,
    classes=ANIMALS,
    stages=(
        *CONVOLUTIONS,
        Stage("Conv 6", "conv6"),
        Stage("Conv 7", "conv7"),
        Stage("Score 32", "score32"),
        Stage("Score 16", "score16"),
        Stage("Fused 16", "fuse16"),
        Stage("Score 8", "score8"),
        Stage("Fused 8", "fuse8"),
        Stage("Logits", "resize"),
    ),
    preprocessing=Preprocessing(
        size=256,
        sizes=(192, 256, 320, 384, 512),
        stride=32,
        mean=(0.485, 0.456, 0.406),  # of ImageNet, as torchvision trained it
        std=(0.229, 0.224, 0.225),
    ),
    source="https://arxiv.org/abs/1411.4038",
)
