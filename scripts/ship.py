"""Make of a finished run a checkpoint with its card.

python -m scripts.ship unet --run runs/unet --val foreground-val.zip --commit 1a2b3c4 --hardware "8 processor cores"

Scores the weights in float32 and in float16, and keeps the latter where the score stays within 0.002. Writes
checkpoints/NAME.safetensors and NAME.md, and docs/training/NAME-curves.png, -curves.csv and -examples.jpg. Snapshots
of the run become checkpoints/NAME-step-N.safetensors. What no program can know of a network, its card takes from
scripts/cards/NAME.md. The checksums go into checkpoints/manifest.json. Then python -m scripts.failures adds the
failure cases.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import nn

from segdemo import checkpoints, rendering
from segdemo.evaluation import Scores
from segdemo.examples import PHOTOGRAPHS, example
from segdemo.images import load_picture
from segdemo.networks import Network, find
from segdemo.predictions import Predictor
from segdemo.training.state import save_weights
from segdemo.training.validation import score

ROOT = Path(__file__).resolve().parent.parent
HALF_COSTS = 0.002  # of mIoU, at most
THUMBNAIL = 256  # longest side of an example, pixels


@dataclass(frozen=True)
class Shipped:
    """What a card says that was measured."""

    spec: Network
    side: int
    full: Scores
    half: Scores
    dtype: str
    path: Path
    parameters: int


def ship(name: str, run: Path, archive: Path, side: int | None, limit: int | None) -> tuple[Shipped, nn.Module]:
    """Score the weights of a run, write the checkpoint, and return what was measured with the network shipped."""
    spec = find(name)
    side = side or spec.preprocessing.size
    network = spec.build(len(spec.classes)).eval()
    report = checkpoints.load_partial(network, run / "weights.safetensors")
    assert not report.missing and not report.mismatched, report
    full = score(network, spec, archive, side=side, limit=limit, bfloat16=False)
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    network.load_state_dict({key: value.half() if value.is_floating_point() else value for key, value in state.items()})
    half = score(network, spec, archive, side=side, limit=limit, bfloat16=False)
    kept = abs(half.miou - full.miou) <= HALF_COSTS
    if not kept:
        network.load_state_dict(state)
    path = checkpoints.path_of(spec)
    save_weights(state, path, half=kept)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Shipped(spec, side, full, half, "float16" if kept else "float32", path, parameters), network


def ship_snapshots(run: Path, spec: Network) -> None:
    """Copy the snapshots of a run but the last, which is the checkpoint itself."""
    for source in sorted((run / "snapshots").glob("*.safetensors"))[:-1]:
        shutil.copyfile(source, checkpoints.path_of(spec, int(source.stem)))


def draw_examples(network: nn.Module, spec: Network, side: int) -> Image.Image:
    """Draw what the network finds in the pictures that packages ship: picture above, overlay below."""
    predictor = Predictor(network, spec, side)
    colours = [one.colour for one in spec.classes]
    hidden = frozenset(index for index, one in enumerate(spec.classes) if one.hidden)
    sheet = Image.new("RGB", (THUMBNAIL * len(PHOTOGRAPHS), 2 * THUMBNAIL), "white")
    for column, name in enumerate(PHOTOGRAPHS):
        picture = load_picture(example(name))
        laid = rendering.overlay(picture, predictor.run(picture).mask, colours, hidden=hidden)
        for row, drawn in enumerate((picture, laid)):
            drawn.thumbnail((THUMBNAIL, THUMBNAIL))
            sheet.paste(drawn, (column * THUMBNAIL, row * THUMBNAIL))
    return sheet


def write_card(shipped: Shipped, run: Path, archive: Path, commit: str, hardware: str) -> str:
    """Write the card: a table of facts, then what a person has to say."""
    spec, content = shipped.spec, shipped.path.read_bytes()
    entries: list[dict[str, Any]] = json.loads((run / "run.json").read_text("utf-8"))
    with (run / "curves.csv").open(encoding="utf-8", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    entry = entries[-1]
    classes = ", ".join(
        f"{name} {iou:.3f}" if iou is not None else f"{name} –" for name, iou in shipped.half.iou.items()
    )
    commands = " · ".join(f"`{item['command']}`" for item in entries)
    rows = {
        "Network": f"{spec.title}, `segdemo/networks/{spec.name}.py`; {shipped.parameters:,} parameters",
        "Paper": spec.source,
        "Classes": ", ".join(spec.names),
        "Our file": f"`{shipped.path.name}`, {len(content):,} bytes, {shipped.dtype}, "
        f"SHA-256 `{hashlib.sha256(content).hexdigest()}`",
        "Made by": f"{commands}, then `python -m scripts.ship {spec.name}`; code as of commit `{commit}`",
        "Trained for": f"{float(last['minutes']):.0f} minutes, {last['step']} steps of {entry['batch']} pictures, "
        f"{float(last['epoch']):.1f} passes over {entry['pictures']:,} pictures ({entry['with_masks']:,} with masks)",
        "Hardware": f"{hardware}; processes: {entry['processes']}, threads in each: {entry['threads']}; "
        f"{'float32' if '--float32' in entry['command'] else 'bfloat16 autocast'}, PyTorch {entry['torch']}",
        "Score": f"mIoU **{shipped.half.miou:.3f}** on `{archive.name}` ({shipped.half.pictures} pictures never "
        f"learned from) at side {shipped.side}; {classes}; pixel accuracy {shipped.half.accuracy:.3f}. "
        f"In float32: {shipped.full.miou:.4f}, in float16: {shipped.half.miou:.4f}",
    }
    title, _, text = (ROOT / "scripts" / "cards" / f"{spec.name}.md").read_text("utf-8").partition("\n")
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    pictures = (
        f"## Curves and examples\n\n![loss, mIoU and learning rate](../docs/training/{spec.name}-curves.png)\n\n"
        f"![what it finds in pictures it has never seen](../docs/training/{spec.name}-examples.jpg)\n"
    )
    return f"{title}\n\n| | |\n|---|---|\n{table}\n\n{text.strip()}\n\n{pictures}"


def main() -> None:
    """Ship one network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--val", type=Path, required=True, help="archive to score on")
    parser.add_argument("--commit", required=True, help="of the code that trained it")
    parser.add_argument("--hardware", required=True, help="on which it was trained")
    parser.add_argument("--side", type=int, help="working size; default: the network's own")
    parser.add_argument("--limit", type=int, help="score on so many pictures; default: on all")
    arguments = parser.parse_args()
    shipped, network = ship(arguments.network, arguments.run, arguments.val, arguments.side, arguments.limit)
    drawings = ROOT / "docs" / "training"
    drawings.mkdir(parents=True, exist_ok=True)
    name = shipped.spec.name
    for kind in ("png", "csv"):
        shutil.copyfile(arguments.run / f"curves.{kind}", drawings / f"{name}-curves.{kind}")
    draw_examples(network, shipped.spec, shipped.side).save(drawings / f"{name}-examples.jpg", quality=88)
    card = write_card(shipped, arguments.run, arguments.val, arguments.commit, arguments.hardware)
    shipped.path.with_suffix(".md").write_text(card, "utf-8")
    ship_snapshots(arguments.run, shipped.spec)
    checkpoints.ship(shipped.spec)
    print(f"{shipped.path}: mIoU {shipped.half.miou:.4f}; its checksum stands in {checkpoints.MANIFEST}")


if __name__ == "__main__":
    main()
