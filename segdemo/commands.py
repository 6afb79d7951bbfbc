"""What the commands of the command line do, each given the arguments that ``__main__`` read."""

from __future__ import annotations

import json
import math
import re
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo import checkpoints, rendering
from segdemo.errors import InputError
from segdemo.evaluation import ClassMap, evaluate, read_map
from segdemo.images import check_side, load_picture
from segdemo.inference import Segmenter
from segdemo.networks import DEFAULT, NETWORKS

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".ppm", ".pgm"}
UNTRAINED = "untrained: the weights are random and the result means nothing"


def segment(arguments: Namespace) -> int:
    """Segment pictures and folders of pictures; go on after one that cannot be used."""
    pictures = _listed(arguments.pictures)
    segmenter = _segmenter(arguments)
    out = _folder(arguments.out)
    code = 0
    with tqdm(total=len(pictures), disable=len(pictures) < 2, unit="picture", file=sys.stderr) as bar:
        for path, name in zip(pictures, _names(pictures, out), strict=True):
            try:
                tqdm.write(_segment_one(segmenter, path, out / name, arguments.side), file=sys.stdout)
            except InputError as error:
                tqdm.write(f"segdemo: {_about(path, error)}", file=sys.stderr)
                code = 2
            bar.update()
    return code


def _segment_one(segmenter: Segmenter, path: Path, target: Path, side: int | None) -> str:
    """Segment one picture, write its files, and say what was found."""
    picture = _picture(path)
    result = segmenter.run(picture, side)
    colours = [share.colour for share in result.classes]
    facts = {
        "picture": path.name,
        "network": result.network,
        "trained": result.trained,
        "side": result.side,
        "size": picture.size,
        "shares": {share.name: share.percent for share in result.classes},
    }
    with _writing(target.parent):
        _save(rendering.palette_mask(result.mask, colours), f"{target}-mask.png", facts)
        _save(rendering.overlay(picture, result.mask, colours), f"{target}-overlay.png", facts)
        Path(f"{target}.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    found = sorted((share for share in result.classes if share.percent), key=lambda share: -share.percent)
    shares = ", ".join(f"{share.name} {share.percent:.1f} %" for share in found)
    return f"{path}: {shares} → {target}-mask.png" + ("" if result.trained else f" ({UNTRAINED})")


def layers(arguments: Namespace) -> int:
    """Write out what one stage or layer, or every stage of the figure, puts out for a picture."""
    (path,) = _listed([arguments.picture] if arguments.picture else [])
    segmenter = _segmenter(arguments)
    wanted = [arguments.stage] if arguments.stage else [stage.label for stage in segmenter.spec.stages]
    for stage in wanted:
        segmenter.layer_of(stage)  # refuses an unknown one before anything is written
    try:
        picture = _picture(path)
    except InputError as error:
        print(f"segdemo: {_about(path, error)}", file=sys.stderr)
        return 2
    out = _folder(arguments.out)
    for stage in wanted:
        facts = {"picture": path.name} | _facts(segmenter, picture, stage, arguments)
        values = segmenter.activation(picture, stage, side=arguments.side)
        slug = re.sub(r"[^\w]+", "-", stage.lower()).strip("-") or "network"
        target = out / f"{path.stem}-{slug}"
        sheet = _sheet(values, facts)
        with _writing(out):
            _save(sheet, f"{target}.png", facts)
            np.savez(f"{target}.npz", activation=values, metadata=np.array(json.dumps(facts)))
            Path(f"{target}.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
        print(_in_words(facts, f"{target}.png"))
    return 0


def _facts(segmenter: Segmenter, picture: Image.Image, stage: str, arguments: Namespace) -> dict[str, Any]:
    """Collect what has to be known to read a channel sheet."""
    summary = segmenter.summary(picture, stage, arguments.side)
    channels = summary.channels
    ranges = zip(channels.minimum.tolist(), channels.maximum.tolist(), strict=True)
    scale = rendering.scale_for(summary.minimum, summary.maximum)
    return {
        "network": segmenter.spec.name,
        "trained": segmenter.trained,
        "side": check_side(segmenter.spec.rule, arguments.side),
        "stage": stage,
        "layer": segmenter.layer_of(stage),
        "shape": list(summary.shape),
        "minimum": summary.minimum,
        "maximum": summary.maximum,
        "mean": summary.mean,
        "std": summary.std,
        "zero_share": summary.zero_share,
        "nans": summary.nans,
        "infinities": summary.infinities,
        "dead_channels": list(summary.dead),
        "flat_channels": [
            index for index, own in enumerate(ranges) if rendering.is_flat(*own, summary.minimum, summary.maximum)
        ],
        "scope": arguments.scope,
        "scale": {"low": scale.low, "high": scale.high, "diverging": scale.diverging}
        if arguments.scope == "layer"
        else "each channel from its own minimum to its own maximum",
    }


def _sheet(values: NDArray[np.float32], facts: dict[str, Any]) -> Image.Image:
    """Draw all channels, one pixel per value, in a sheet about as wide as high."""
    maps = _maps(values)
    count, height, width = maps.shape
    layer = rendering.scale_for(facts["minimum"], facts["maximum"])
    tiles = np.empty((*maps.shape, 3), np.uint8)
    for tile, channel in zip(tiles, maps, strict=True):
        scale = layer
        if facts["scope"] == "channel":
            finite = channel[np.isfinite(channel)]
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)
            scale = rendering.scale_for(low, high)
        tile[:] = rendering.colour_values(channel, scale)
    columns = min(count, max(1, round(math.sqrt(count * height / width))))
    facts["sheet"] = {"columns": columns, "tile": [width, height], "gap": 1}
    return rendering.channel_sheet(tiles, columns, gap=1)


def _maps(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """See an activation as maps (C, h, w): a vector as single values, a table as one map."""
    if values.ndim < 2:
        return values.reshape(-1, 1, 1)
    if values.ndim == 2:
        return values[None]
    return values.reshape(values.shape[0], -1, values.shape[-1])


def _in_words(facts: dict[str, Any], target: str) -> str:
    """Say in one line how to read a channel sheet."""
    scale = facts["scale"]
    colours = scale
    if isinstance(scale, dict):
        kind = "blue, white at 0, red" if scale["diverging"] else "viridis"
        colours = f"{kind} from {scale['low']:.4g} to {scale['high']:.4g}"
    said = [
        f"{facts['stage']}: {' × '.join(map(str, facts['shape']))}",
        f"values {facts['minimum']:.4g} to {facts['maximum']:.4g}",
        f"{facts['zero_share']:.1%} zeros",
        f"{len(facts['dead_channels'])} dead and {len(facts['flat_channels'])} flat channels",
        f"colours: {colours}",
    ]
    if facts["nans"] or facts["infinities"]:
        said.append(f"{facts['nans']} NaN (magenta), {facts['infinities']} infinite (cyan; negative black)")
    return f"{', '.join(said)} → {target}" + ("" if facts["trained"] else f" ({UNTRAINED})")


def networks(arguments: Namespace) -> int:
    """Print the table of networks."""
    import torch

    rows = [["name", "title", "trained", "classes", "parameters", "checkpoint", "side", "paper"]]
    for spec in NETWORKS.values():
        with torch.device("meta"):
            hollow = spec.build(len(spec.classes))
        path = checkpoints.path_of(spec)
        there = path.is_file()
        rows.append(
            [
                spec.name,
                spec.title,
                ("yes" if there else "file missing") if spec.sha256 else "untrained",
                str(len(spec.classes)),
                f"{sum(parameter.numel() for parameter in hollow.parameters()):,}",
                f"{path.stat().st_size / 1e6:.1f} MB" if spec.sha256 and there else "-",
                f"{spec.rule.side} px",
                spec.source,
            ]
        )
    _print_table(rows)
    return 0


def score(arguments: Namespace) -> int:
    """Print the scores of a network on an archive."""
    segmenter = _segmenter(arguments)
    mapping = read_map(arguments.map) if arguments.map else None
    _say_how_classes_are_read(segmenter, mapping)
    with tqdm(unit="picture", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        scores = evaluate(_AtSide(segmenter, arguments.side), arguments.data, mapping, arguments.limit, progress)
    if arguments.json:
        content: dict[str, Any] = {
            "miou": scores.miou,
            "iou": scores.iou,
            "pixel_accuracy": scores.pixel_accuracy,
            "pictures": scores.pictures,
        }
        print(json.dumps(content if segmenter.trained else content | {"trained": False}, indent=1))
        return 0
    rows = [[name, "-" if iou is None else f"{iou:.4f}"] for name, iou in scores.iou.items()]
    accuracy = f"{scores.pixel_accuracy:.4f}"
    _print_table([["class", "IoU"], *rows, ["mean", f"{scores.miou:.4f}"], ["pixel accuracy", accuracy]])
    print(f"{segmenter.spec.title}, {scores.pictures} pictures; - neither occurs nor is predicted")
    return 0


class _AtSide:
    """A segmenter that always works at one size."""

    def __init__(self, segmenter: Segmenter, side: int | None) -> None:
        self.classes = segmenter.classes
        self._segmenter = segmenter
        self._side = side

    def run(self, picture: Image.Image) -> Any:
        """Segment a picture at that size."""
        return self._segmenter.run(picture, self._side)


def _say_how_classes_are_read(segmenter: Segmenter, mapping: ClassMap | None) -> None:
    """Say on stderr in which order the archive's classes are taken to be, and whether the scores mean anything."""
    classes = mapping.classes if mapping else segmenter.classes
    listed = ", ".join(f"{index} {name}" for index, name in enumerate(classes))
    source = "the class map's" if mapping else "the network's own, for want of a --map"
    print(f"Classes of the archive are {source}: {listed}", file=sys.stderr)
    if not segmenter.trained:
        print(f"{segmenter.spec.title} is {UNTRAINED}", file=sys.stderr)


def train(arguments: Namespace) -> int:
    """Train a network; returns when its budget is used, or when it is interrupted."""
    from segdemo.training.command import train as run

    return run(arguments)


def app(arguments: Namespace) -> int:
    """Start the page; returns when it is stopped."""
    from segdemo.ui import launch

    launch()
    return 0


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "segment": segment,
    "layers": layers,
    "networks": networks,
    "evaluate": score,
    "train": train,
    "app": app,
}


def _segmenter(arguments: Namespace) -> Segmenter:
    """Load the network asked for, and refuse a working size that does not suit it before any picture is read."""
    segmenter = Segmenter(arguments.network or DEFAULT)
    check_side(segmenter.spec.rule, arguments.side)
    return segmenter


def _listed(given: list[str]) -> list[Path]:
    """List the pictures given, those of a folder in place of it; a folder without any stays, to be refused later."""
    if not given:
        raise InputError(
            "no_picture", "No picture was given. At least one is needed. Name a picture file, or a folder of them."
        )
    pictures: list[Path] = []
    for path in map(Path, given):
        inside = sorted(entry for entry in path.iterdir() if _looks_like_a_picture(entry)) if path.is_dir() else []
        pictures.extend(inside or [path])
    return pictures


def _looks_like_a_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _picture(path: Path) -> Image.Image:
    """Read a picture, or refuse it in one sentence."""
    if path.is_dir():
        raise InputError(
            "folder_without_pictures",
            "The folder {path} holds no picture. Files ending in {endings} are looked for. Give another folder, or the "
            "files themselves.",
            path=path,
            endings=", ".join(sorted(SUFFIXES)),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is refused by its size, in our words
        return load_picture(path)


def _names(pictures: list[Path], out: Path) -> Iterator[str]:
    """Name the results of each picture after it, so that none overwrites another's, or a picture."""
    inputs = {path.resolve() for path in pictures}
    used: set[str] = set()
    for path in pictures:
        number, name = 1, path.stem
        while name.casefold() in used or {(out / f"{name}{end}").resolve() for end in ENDINGS} & inputs:
            number += 1
            name = f"{path.stem}-{number}"
        used.add(name.casefold())
        yield name


ENDINGS = ("-mask.png", "-overlay.png", ".json")


def _about(path: Path, error: InputError) -> str:
    """Make sure that a message says which file it speaks of."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def _folder(name: str) -> Path:
    """Make the folder for the results."""
    with _writing(Path(name)):
        Path(name).mkdir(parents=True, exist_ok=True)
    return Path(name)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Refuse a folder that cannot be written to."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "out_unwritable",
            "Nothing can be written to {folder}: {reason}. A folder with room and permission to write is needed. "
            "Choose another with --out.",
            folder=folder,
            reason=error.strerror or str(error),
        ) from error


def _save(picture: Image.Image, path: str, facts: dict[str, Any]) -> None:
    """Write a PNG that carries what it is."""
    info = PngInfo()
    info.add_text("Software", "segdemo")
    info.add_text("Comment", f"{facts['network']}, {'trained' if facts['trained'] else UNTRAINED}")
    picture.save(path, "PNG", pnginfo=info, compress_level=3)


def _print_table(rows: list[list[str]]) -> None:
    """Print rows in columns as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
