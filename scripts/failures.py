"""Draw where networks fail, on pictures that packages ship, and write it into their cards: python -m scripts.failures.

Each sheet has the picture above and the overlay below. What is said of it was read off the sheet by a person.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from segdemo import Segmenter, checkpoints, rendering
from segdemo.images import load_picture

ROOT = Path(__file__).resolve().parent.parent
HEADING = "## Failure cases"
SIDE = 240  # of a picture on the sheet, in pixels
FOLDERS = {"skimage": "data", "sklearn": "datasets/images", "matplotlib": "mpl-data/sample_data"}
ASTRONAUT, COFFEE = "skimage/astronaut.png", "skimage/coffee.png"
ROCKET, COINS, RETINA = "skimage/rocket.jpg", "skimage/coins.png", "skimage/retina.jpg"
CAMERA, FLOWER, HOPPER = "skimage/camera.png", "sklearn/flower.jpg", "matplotlib/grace_hopper.jpg"

CASES: dict[str, dict[str, str]] = {
    "deeplabv3_mobilenet_v2": {
        COFFEE: "cup and saucer count as dining table; Pascal VOC has no cups, and the nearest class wins",
        ASTRONAUT: "specks of the helmet are a bottle",
        FLOWER: "specks of a dahlia are a potted plant, the rest of it nothing",
    },
    "u2netp": {
        COINS: "coins of the second row run together with the tray between them",
        RETINA: "the whole eye stands out, so nothing in it does",
    },
    "unet": {
        ROCKET: "a patch of empty night sky is foreground",
        COINS: "the tray between the coins counts as foreground too",
        COFFEE: "a strip of the table beside the saucer is foreground",
    },
    "unet_bilinear": {
        ROCKET: "half of the night sky is foreground",
        COINS: "the tray between the coins counts as foreground too",
        HOPPER: "one arm and the lower edge of the dark uniform are lost, a part of the flag is not",
    },
    "unet_narrow": {
        CAMERA: "the lawn between the legs of the tripod belongs to the photographer",
        HOPPER: "the arms of the dark uniform are lost, and a stripe of the flag is foreground",
        COINS: "coins and tray are one patch, which leaves some coins out",
    },
    "unet_mobilenet_v2": {
        RETINA: "a person in a retina",
        "skimage/motorcycle_left.png": "nothing: motorcycles are none of its classes, and it says so",
        HOPPER: "a part of the flag is a person, a corner of the uniform is not",
    },
    "fcn_alexnet": {
        ASTRONAUT: "the stars of the flag are a person, as are the rim and patches of the helmet",
        HOPPER: "the person has parts of the flag, and lacks a sleeve",
        RETINA: "a person in a retina",
    },
}


def find_picture(name: str) -> Path:
    """Return the file of a picture that a package ships, given as ``"package/file"``."""
    package, file = name.split("/")
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{package} is not installed; run pip install -r requirements-dev.txt")
    return Path(found.submodule_search_locations[0]) / FOLDERS[package] / file


def draw(segmenter: Segmenter, names: list[str]) -> Image.Image:
    """Draw pictures above, and what the network makes of them below."""
    columns = []
    for name in names:
        picture = load_picture(find_picture(name))
        result = segmenter.run(picture)
        colours = [share.colour for share in result.classes]
        overlay = rendering.overlay(picture, result.mask, colours, hidden=frozenset({0}))
        for drawn in (picture, overlay):
            drawn.thumbnail((SIDE, SIDE))
        columns.append((picture, overlay))
    height = max(picture.height for picture, _ in columns)
    sheet = Image.new("RGB", (sum(picture.width + 8 for picture, _ in columns) - 8, 2 * height + 8), "white")
    left = 0
    for column in columns:
        for row, drawn in enumerate(column):
            sheet.paste(drawn, (left, row * (height + 8)))
        left += column[0].width + 8
    return sheet


def main() -> None:
    """Renew the sheets, and the section about them in each card."""
    for name, cases in CASES.items():
        segmenter = Segmenter(name)
        draw(segmenter, list(cases)).save(ROOT / "docs" / "training" / f"{name}-failures.jpg", quality=88)
        lines = [f"- `{picture}`: {words}." for picture, words in cases.items()]
        text = f"On pictures that Python packages ship, from left to right:\n\n{chr(10).join(lines)}\n\n"
        section = f"{HEADING}\n\n{text}![where it fails](../docs/training/{name}-failures.jpg)\n"
        card = checkpoints.path_of(segmenter.spec).with_suffix(".md")
        kept = re.sub(rf"\n*{HEADING}\n.*?(?=\n## |\Z)", "", card.read_text("utf-8"), flags=re.DOTALL)
        card.write_text(f"{kept.rstrip()}\n\n{section}", "utf-8")
        print(card)


if __name__ == "__main__":
    main()
