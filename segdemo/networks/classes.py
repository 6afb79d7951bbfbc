"""The names of the classes, in index order, and the colour of each."""

from __future__ import annotations

# Source: Everingham et al., The PASCAL Visual Object Classes Challenge 2012, http://host.robots.ox.ac.uk/pascal/VOC/
VOC = (
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

SALIENT = ("background", "foreground")

ANIMALS = ("background", "person", "cat", "dog", "horse", "cow", "sheep")

# Searched so that the least alike two are as unlike as possible to readers without red, green or blue cones too:
# CIEDE2000 of at least 13.8 in each of the four visions, which a test works out again. Lightness varies as much as hue.
NO_COLOUR = "#808080"  # of a classifier's answers, which are drawn over no picture
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
