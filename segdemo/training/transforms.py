"""What happens to a picture, its mask and its soft labels together before a network learns from them."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from segdemo.networks.network import Preprocessing


def augmentation(side: int, scale: tuple[float, float] = (0.4, 1.0)) -> v2.Transform:
    """Make the random changes: a crop stretched to a square, a flip, other colours.

    Args:
        side: of the square, in pixels.
        scale: smallest and largest share of the picture's area that a crop takes.

    Returns:
        A transform for a tv_tensors.Image uint8 (3, h, w) with a tv_tensors.Mask (C, h, w), to (…, side, side).
    """
    return v2.Compose(
        [
            v2.RandomResizedCrop(side, scale=scale, ratio=(0.7, 1.4), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.4)], p=0.6),
            v2.RandomGrayscale(p=0.05),
        ]
    )


def augment(transform: v2.Transform, picture: Tensor, maps: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Change a picture and the maps that belong to it in the same way.

    Every random choice follows from the seed, so an interrupted run goes on as if it had not been interrupted, and
    several processes make of a picture what one would.

    Args:
        transform: from :func:`augmentation`.
        picture: (3, h, w) uint8.
        maps: (C, h, w) uint8.
        seed: any whole number.

    Returns:
        (3, side, side) uint8 and (C, side, side) uint8.
    """
    generator = torch.default_generator  # torch.manual_seed looks at every device there is: slow for each picture
    before = generator.get_state()
    generator.manual_seed(seed)
    changed, others = transform(tv_tensors.Image(picture), tv_tensors.Mask(maps))
    generator.set_state(before)
    return changed.as_subclass(Tensor), others.as_subclass(Tensor)


def normalise(batch: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Scale (B, 3, H, W) uint8 to float32 as a network's preprocessing says."""
    mean, std = (
        torch.tensor(numbers, device=batch.device).view(1, 3, 1, 1)
        for numbers in (preprocessing.mean, preprocessing.std)
    )
    return (batch.float() / 255 - mean) / std
