"""Small pictures to learn from: bright shapes drawn on dark grounds, with the masks that say where they are."""

import random

import torch
from PIL import Image, ImageDraw
from torch import Tensor


def shapes(count: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw ellipses, rectangles and triangles, the same each time: (count, 3, side, side), and 1 where a shape is."""
    chance, noise = random.Random(seed), torch.Generator().manual_seed(seed)
    pictures, masks = [], []
    for _ in range(count):
        picture = Image.new("RGB", (side, side), tuple(chance.randrange(120) for _ in range(3)))
        mask = Image.new("L", (side, side))
        for _ in range(chance.randint(1, 3)):
            size = chance.randint(side // 5, side // 2)
            colour = tuple(chance.randrange(110, 256) for _ in range(3))
            left, top = chance.randint(0, side - size), chance.randint(0, side - size)
            corners = [(left, top + size), (left + size // 2, top), (left + size, top + size)]
            kind = chance.choice(("ellipse", "rectangle", "polygon"))
            place = corners if kind == "polygon" else (left, top, left + size, top + size)
            getattr(ImageDraw.Draw(picture), kind)(place, fill=colour)
            getattr(ImageDraw.Draw(mask), kind)(place, fill=1)
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(side, side, 3)
        grain = 0.1 * torch.randn(3, side, side, generator=noise)
        pictures.append((pixels.permute(2, 0, 1) / 255 + grain).clamp(0, 1))
        masks.append(torch.frombuffer(bytearray(mask.tobytes()), dtype=torch.uint8).view(side, side).long())
    return torch.stack(pictures), torch.stack(masks)
