"""The command ``segment``: masks, overlays and shares of classes for pictures and folders of them."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo import rendering
from segdemo.commands.files import (
    UNTRAINED,
    about,
    folder_for,
    listed,
    names,
    open_picture,
    save,
    segmenter_for,
    writing,
)
from segdemo.errors import InputError
from segdemo.inference import Segmenter


def segment(arguments: Namespace) -> int:
    """Segment pictures and folders of pictures; go on after one that cannot be used."""
    pictures = listed(arguments.pictures)
    segmenter = segmenter_for(arguments)
    out = folder_for(arguments.out)
    code = 0
    with tqdm(total=len(pictures), disable=len(pictures) < 2, unit="picture", file=sys.stderr) as bar:
        for path, name in zip(pictures, names(pictures, out), strict=True):
            try:
                tqdm.write(_segment_one(segmenter, path, out / name, arguments.side), file=sys.stdout)
            except InputError as error:
                tqdm.write(f"segdemo: {about(path, error)}", file=sys.stderr)
                code = 2
            bar.update()
    return code


def _segment_one(segmenter: Segmenter, path: Path, target: Path, side: int | None) -> str:
    """Segment one picture, write its files, and say what was found."""
    picture = open_picture(path)
    result = segmenter.run(picture, side)
    colours = [share.colour for share in result.classes]
    facts: dict[str, Any] = {
        "picture": path.name,
        "network": result.network,
        "trained": result.trained,
        "side": result.side,
        "size": picture.size,
        "shares": {share.name: share.percent for share in result.classes},
    }
    if result.answer:
        return _classified(path, target, facts, result.answer)
    with writing(target.parent):
        save(rendering.palette_mask(result.mask, colours), f"{target}-mask.png", facts)
        save(rendering.overlay(picture, result.mask, colours), f"{target}-overlay.png", facts)
        Path(f"{target}.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    found = sorted((share for share in result.classes if share.percent), key=lambda share: -share.percent)
    shares = ", ".join(f"{share.name} {share.percent:.1f} %" for share in found)
    return f"{path}: {shares} → {target}-mask.png" + ("" if result.trained else f" ({UNTRAINED})")


def _classified(path: Path, target: Path, facts: dict[str, Any], answer: dict[str, float]) -> str:
    """Write and say what a classifier answers; there is no mask."""
    facts = {name: value for name, value in facts.items() if name != "shares"} | {"probabilities": answer}
    with writing(target.parent):
        Path(f"{target}.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    best = max(answer, key=lambda name: answer[name])
    return f"{path}: {best}, {answer[best]:.1%} → {target}.json" + ("" if facts["trained"] else f" ({UNTRAINED})")
