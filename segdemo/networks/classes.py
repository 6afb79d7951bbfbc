"""The classes that networks tell apart: their names in index order, their colours, and which of them is no thing."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClassInfo:
    """One class of a network.

    Args:
        name: as the data set calls it.
        colour: ``"#rrggbb"``, the same wherever the class is drawn.
        hidden: whether it is not drawn unless a person asks for it: a background.
    """

    name: str
    colour: str
    hidden: bool = False


# Searched so that the least alike two are as unlike as possible to readers without red, green or blue cones too:
# CIEDE2000 of at least 13.8 in each of the four visions, which a test works out again. Lightness varies as much as hue.
COLOURS = {
    "background": "#000000",
    "aeroplane": "#c4b2ff",
    "bicycle": "#f9da9c",
    "bird": "#0015ff",
    "boat": "#00185f",
    "bottle": "#b4a57a",
    "bus": "#cc6b0a",
    "car": "#a93f04",
    "cat": "#9e64fe",
    "chair": "#90715b",
    "cow": "#6b1e0c",
    "diningtable": "#5d4e45",
    "dog": "#b2f8ff",
    "horse": "#a6c5bc",
    "motorbike": "#802c95",
    "person": "#f0a602",
    "pottedplant": "#67968c",
    "sheep": "#ecffe9",
    "sofa": "#6d697f",
    "train": "#8d8cb8",
    "tvmonitor": "#434250",
    "foreground": "#ffff00",
}


def declare(names: Iterable[str], hidden: Iterable[str] = ("background",)) -> tuple[ClassInfo, ...]:
    """Give every class a colour of its own: the one that stands in ``COLOURS``, or one that no other has.

    Args:
        names: in index order.
        hidden: names of those that are not drawn unless a person asks.
    """
    names, taken = tuple(names), set(COLOURS.values())
    classes = []
    for index, name in enumerate(names):
        colour = COLOURS.get(name) or _free_colour(index, taken)
        taken.add(colour)
        classes.append(ClassInfo(name, colour, name in tuple(hidden)))
    return tuple(classes)


def _free_colour(index: int, taken: set[str]) -> str:
    """Return a colour that is not taken; neighbours in the list differ in hue, lightness and strength."""
    while True:
        hue, lightness = index * 0.618034 % 1, 0.3 + 0.5 * (index * 0.754878 % 1)  # steps that never come round
        channels = colorsys.hls_to_rgb(hue, lightness, 0.45 + 0.5 * (index * 0.569840 % 1))
        colour = "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)
        if colour not in taken:
            return colour
        index += 1


# Source: Everingham et al., The PASCAL Visual Object Classes Challenge 2012, http://host.robots.ox.ac.uk/pascal/VOC/
VOC = declare(
    (
        "background",
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
        "dog",
        "horse",
        "motorbike",
        "person",
        "pottedplant",
        "sheep",
        "sofa",
        "train",
        "tvmonitor",
    )
)
SALIENT = declare(("background", "foreground"))
ANIMALS = declare(("background", "person", "cat", "dog", "horse", "cow", "sheep"))
PEOPLE = declare(("background", "person"))
DIGITS = declare("0123456789")
# Source: Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition Challenge, https://arxiv.org/abs/1409.0575.
# Its order; the short names are torchvision's, which tell classes of the same name apart.
IMAGENET = declare(Path(__file__).with_name("imagenet.txt").read_text("utf-8").splitlines())
