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
    | {"calls", "trace", "levels", "boxes", "figure", "enlarged"}
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
    "trace": ({"calls", "errors", "leaves"}, {"torch"}),
    "levels": (set(), set()),
    "boxes": ({"levels", "trace"}, set()),
    "figure": ({"boxes", "errors", "levels", "networks.network", "trace"}, set()),
    "summaries": ({"errors"}, {"torch", "numpy"}),
    "weights": ({"errors"}, {"torch", "numpy", "safetensors"}),
    "checkpoints": ({"errors", "networks.network", "weights"}, {"torch", "safetensors"}),
    "unet_lineage": ({"networks", "weights"}, {"torch"}),
    "torchvision_classifiers": ({"networks", "weights"}, {"torch", "torchvision"}),
    "torchvision_segmentation": ({"networks", "weights"}, {"torch", "torchvision"}),
    "own_weights": (
        {"checkpoints", "errors", "networks", "torchvision_classifiers", "torchvision_segmentation"}
        | {"unet_lineage", "weights"},
        {"torch"},
    ),
    "enlarged": ({"ambient", "cache", "hooks", "networks.blocks"}, {"torch", "numpy"}),
    "results": (
        {"ambient", "cache", "enlarged", "errors", "images", "networks", "notes", "summaries"},
        {"torch", "PIL", "numpy"},
    ),
    "opened": ({"activations", "ambient", "calls", "checkpoints", "errors", "hooks", "leaves", "networks"}, {"torch"}),
    "engine": ({"ambient", "cache", "errors", "images", "networks", "opened", "pictures"}, {"torch", "PIL"}),
    "outputs": ({"errors", "leaves"}, {"torch"}),
    "predictions": (
        {"ambient", "enlarged", "images", "networks", "notes", "outputs", "results", "summaries"},
        {"torch", "PIL"},
    ),
    "questions": (
        {"activations", "ambient", "checkpoints", "engine", "errors", "images", "networks", "predictions", "results"}
        | {"boxes", "calls", "figure", "leaves", "opened", "outputs", "sources", "summaries", "trace"},
        {"torch", "numpy"},
    ),
    "segmenter": (
        {
            "checkpoints",
            "engine",
            "errors",
            "figure",
            "images",
            "networks",
            "opened",
            "own_weights",
            "pictures",
            "questions",
            "results",
            "sources",
            "summaries",
        },
        {"torch", "numpy"},
    ),
    "sources": (
        {"ambient", "errors", "figure", "images", "leaves", "networks", "opened", "outputs", "sources", "trace"},
        {"torch", "PIL", "numpy", "torchvision", "timm"},
    ),
    "exploring": (CORE | {"sources", "ui"}, {"torch"}),
    "examples": ({"errors"}, {"skimage"}),
    "containers": ({"errors"}, set()),
    "pairing": ({"errors"}, set()),
    "masks": ({"encoded", "errors"}, {"PIL", "numpy"}),
    "archives": ({"containers", "encoded", "errors", "images", "masks", "pairing"}, {"PIL", "numpy"}),
    "class_maps": ({"errors", "masks"}, {"numpy"}),
    "evaluation": ({"archives", "class_maps", "errors", "labelled"}, {"PIL", "numpy"}),
    "labelled": ({"containers", "errors", "images", "masks", "pairing"}, {"PIL", "numpy", "sklearn"}),
    "explain": (ABOVE | {"explain"}, {"torch", "PIL", "numpy"}),
    "labs": (CORE | {"labs"}, {"torch", "PIL", "numpy"}),
    "training": (
        ABOVE | {"training"},
        {"torch", "torchvision", "PIL", "numpy", "safetensors", "matplotlib", "tqdm"},
    ),
    "service": ({"service", "cache", "engine", "errors", "questions"}, {"ray", "torch"}),
    "ui": (
        {"ui", "explain", "labs", "engine", "questions", "results", "rendering", "errors", "notes", "summaries"}
        | {"cache", "examples"},
        {"gradio", "PIL", "numpy", "starlette", "fastapi"},
    ),
    "__init__": (CORE | {"exploring"}, set()),
    "commands": (
        ABOVE | {"commands", "explain", "exploring", "labs", "service", "sources", "training", "ui"},
        {"PIL", "numpy", "torch", "tqdm"},
    ),
    "__main__": ({"commands", "errors"}, set()),
    "app": ({"ui"}, set()),
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
