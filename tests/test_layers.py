"""Imports point one way: app → ui → (explain, labs) → questions → engine → (networks, activations, images, …)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FREE = {"errors", "notes", "cache", "leaves", "hooks", "ambient", "weights", "summaries", "networks", "rendering"}
PICTURES = {"encoded", "pixels", "pictures", "images", "examples"}
CORE = (
    FREE
    | PICTURES
    | {"activations", "checkpoints", "outputs", "results", "opened", "engine", "predictions", "questions", "segmenter"}
    | {"asking", "bench", "open_networks", "workers", "devices"}
    | {"calls", "trace", "levels", "boxes", "places", "figure", "traced", "private", "randomness", "enlarged"}
)
ABOVE = CORE | {"archives", "class_maps", "evaluation", "labelled", "masks", "pairing"}
# part of the package: what it may import from segdemo, and from others
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "cache": (set(), {"numpy", "PIL"}),
    "rendering": (set(), {"numpy", "PIL", "matplotlib"}),
    "networks": ({"networks", "errors"}, {"torch", "torchvision"}),
    "notes": (set(), set()),
    "encoded": ({"errors"}, {"PIL"}),
    "pixels": ({"notes"}, {"PIL", "numpy"}),
    "pictures": ({"encoded", "errors", "notes", "pixels"}, {"torch", "PIL", "numpy"}),
    "images": ({"encoded", "errors", "networks.network", "pictures"}, {"torch", "PIL", "numpy"}),
    "ambient": ({"errors"}, {"torch"}),
    "leaves": (set(), {"torch"}),
    "hooks": ({"errors"}, {"torch"}),
    "calls": ({"hooks", "leaves"}, {"torch"}),
    "activations": ({"calls", "errors", "hooks", "leaves"}, {"torch"}),
    "workers": ({"ambient"}, {"torch"}),
    "devices": ({"errors"}, {"torch"}),
    "trace": ({"ambient", "calls", "errors", "hooks", "leaves"}, {"torch"}),
    "levels": (set(), set()),
    "boxes": ({"levels", "trace"}, set()),
    "places": ({"networks.network", "trace"}, set()),
    "figure": ({"boxes", "errors", "levels", "networks.network", "places", "trace"}, {"torch"}),
    "traced": ({"ambient", "figure", "images", "networks", "opened", "outputs", "trace"}, {"torch"}),
    "randomness": ({"trace"}, set()),
    "summaries": ({"errors", "reductions"}, {"torch", "numpy"}),
    "reductions": ({"errors"}, {"torch", "numpy"}),
    "weights": ({"errors"}, {"torch", "numpy", "safetensors"}),
    "checkpoints": ({"errors", "networks.network", "weights"}, {"torch", "safetensors"}),
    "unet_lineage": ({"networks", "weights"}, {"torch"}),
    "torchvision_classifiers": ({"networks", "weights"}, {"torch", "torchvision"}),
    "torchvision_segmentation": ({"networks", "weights"}, {"torch", "torchvision"}),
    "library_weights": ({"networks", "weights"}, {"torch"}),
    "own_weights": (
        {"ambient", "checkpoints", "errors", "library_weights", "networks", "sources", "torchvision_classifiers"}
        | {"torchvision_segmentation", "unet_lineage", "weights"},
        {"torch"},
    ),
    "private": ({"checkpoints", "errors", "opened"}, set()),
    "enlarged": ({"ambient", "cache", "hooks", "networks.blocks"}, {"torch", "numpy"}),
    "results": (
        {"ambient", "cache", "enlarged", "errors", "images", "networks", "notes", "summaries"},
        {"torch", "PIL", "numpy"},
    ),
    "official": ({"checkpoints", "errors", "networks", "weights"}, {"torch", "torchvision"}),
    "opened": (
        {"activations", "ambient", "calls", "checkpoints", "errors", "hooks", "leaves", "networks", "official"},
        {"torch"},
    ),
    "needs": ({"ambient", "errors", "opened"}, {"torch"}),
    "asking": ({"bench", "pictures"}, set()),
    "bench": (
        {"ambient", "asking", "devices", "engine", "errors", "images", "networks", "opened", "pictures", "private"},
        {"torch", "PIL"},
    ),
    "open_networks": ({"ambient", "cache", "errors", "networks", "opened", "own_weights", "private"}, {"torch"}),
    "engine": (
        {"ambient", "asking", "bench", "cache", "errors", "networks", "open_networks", "opened", "pictures", "private"}
        | {"devices", "workers"},
        set(),
    ),
    "outputs": ({"errors", "leaves"}, {"torch"}),
    "predictions": (
        {"ambient", "devices", "enlarged", "images", "networks", "notes", "outputs", "results", "summaries"},
        {"torch", "PIL"},
    ),
    "choosing": ({"ambient", "engine", "networks", "official", "questions", "sources"}, {"torch"}),
    "questions": (
        {"activations", "ambient", "checkpoints", "engine", "errors", "images", "networks", "predictions", "results"}
        | {"boxes", "calls", "figure", "leaves", "needs", "opened", "outputs", "pictures", "private", "randomness"}
        | {"sources", "summaries", "trace", "traced"},
        {"torch", "numpy"},
    ),
    "segmenter": (
        {
            "checkpoints",
            "devices",
            "engine",
            "errors",
            "figure",
            "images",
            "networks",
            "opened",
            "own_weights",
            "pictures",
            "questions",
            "randomness",
            "results",
            "sources",
            "summaries",
        },
        {"torch", "numpy"},
    ),
    "sources": (
        {"ambient", "errors", "figure", "images", "leaves", "needs", "networks", "opened", "outputs", "sources"}
        | {"traced"},
        {"torch", "PIL", "numpy", "torchvision", "timm"},
    ),
    "truth": (
        {"class_maps", "encoded", "engine", "errors", "evaluation", "masks", "networks", "pairing", "questions"}
        | {"results"},
        {"numpy"},
    ),
    "exploring": (CORE | {"gallery", "sources", "truth", "ui"}, {"torch"}),
    "examples": ({"errors"}, {"skimage"}),
    "containers": ({"errors"}, set()),
    "pairing": ({"errors"}, set()),
    "masks": ({"encoded", "errors"}, {"PIL", "numpy"}),
    "archives": ({"containers", "encoded", "errors", "images", "masks", "pairing"}, {"PIL", "numpy"}),
    "class_maps": ({"errors", "masks"}, {"numpy"}),
    "evaluation": ({"archives", "class_maps", "errors", "labelled"}, {"PIL", "numpy"}),
    "labelled": ({"containers", "errors", "images", "masks", "pairing"}, {"PIL", "numpy", "sklearn"}),
    "gallery": ({"archives", "class_maps", "evaluation", "images"}, {"PIL", "numpy"}),
    "explain": (ABOVE | {"explain", "gallery", "truth"}, {"torch", "PIL", "numpy"}),
    "labs": (CORE | {"labs"}, {"torch", "PIL", "numpy"}),
    "training": (
        ABOVE | {"training"},
        {"torch", "torchvision", "PIL", "numpy", "safetensors", "matplotlib", "tqdm"},
    ),
    "service": ({"service", "cache", "engine", "errors", "questions"}, {"ray", "torch", "spaces"}),
    "ui": (
        {"ui", "explain", "labs", "engine", "questions", "results", "rendering", "errors", "notes", "summaries"}
        | {"cache", "choosing", "examples", "private", "truth"},
        {"gradio", "PIL", "numpy", "starlette", "fastapi", "prometheus_client"},
    ),
    "__init__": (CORE | {"exploring"}, set()),
    "commands": (
        ABOVE | {"commands", "explain", "exploring", "gallery", "labs", "service", "sources", "training", "ui"},
        {"PIL", "numpy", "torch", "tqdm", "matplotlib", "av"},
    ),
    "__main__": ({"commands", "errors"}, set()),
    "app": ({"errors", "service", "ui"}, set()),
}
FILES = [ROOT / "app.py", *sorted((ROOT / "segdemo").rglob("*.py"))]


def part_of(path: Path) -> str:
    """Which row of the table speaks for the file."""
    return path.stem if path.parent == ROOT else path.relative_to(ROOT / "segdemo").parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Dotted names of everything the file imports, wherever in it; `from a import b` gives `a.b`."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            yield from (".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_imports_only_what_its_row_allows(path: Path) -> None:
    own, others = ALLOWED[part_of(path)]
    for name in imported(path):
        top, _, rest = name.partition(".")
        assert "pyplot" not in name, f"{name}: figures are drawn without pyplot"
        if top == "segdemo":
            assert any(f"{rest}.".startswith(f"{part}.") for part in own), f"may not import segdemo.{rest}"
        elif top not in sys.stdlib_module_names:
            assert top in others, f"may not import {top}"
