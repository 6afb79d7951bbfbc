"""Score every embedded network; write checkpoints/measured.json, and the table into README.md between its two marks.

python -m scripts.scores --data FOLDER [--limit N]

FOLDER holds foreground-val.zip and people-animals-val.zip; LeNet is scored on digits. Time per picture is the median
over the example photographs, at the network's default size on two processor threads, without summaries of layers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.benchmark import Timer
from tqdm import tqdm

from segdemo import checkpoints
from segdemo.archives import Archive
from segdemo.class_maps import read_map
from segdemo.evaluation import Evaluator, evaluate, evaluate_labelled, survey
from segdemo.examples import PHOTOGRAPHS, example
from segdemo.images import load_picture, to_batch
from segdemo.labelled import DIGITS
from segdemo.networks import NETWORKS, Network
from segdemo.networks.classes import ANIMALS, PEOPLE, SALIENT
from segdemo.predictions import Predictor

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- scores -->", "<!-- end of scores -->"
HEAD = ("network", "good for", "parameters", "file", "score", "on", "working size", "time per picture")


def measure(spec: Network, folder: Path, limit: int | None) -> dict[str, Any]:
    """Measure one network."""
    network = spec.build(len(spec.classes)).eval()
    checkpoints.load(network, spec)
    metric, score, data, pictures = judge(network, spec, folder, limit)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "bytes": checkpoints.path_of(spec).stat().st_size,
        "metric": metric,
        "score": round(score, 3),
        "data": data,
        "pictures": pictures,
        "seconds": round(seconds(network, spec), 5),
        "licence": checkpoints.measured_of(spec).get("licence", "Apache-2.0"),  # written by hand
    }


def row(spec: Network, found: dict[str, Any] | None) -> tuple[str, ...]:
    """Write what was measured of a network as a line of the table; None for one that is untrained."""
    if found is None:
        with torch.device("meta"):
            parameters = sum(parameter.numel() for parameter in spec.build(len(spec.classes)).parameters())
        path = checkpoints.path_of(spec)
        return (
            f"`{spec.name}`",
            "its layers",
            f"{parameters:,}",
            f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else "–",
            "partly trained" if spec.untrained else "untrained",
            "–",
            f"{spec.preprocessing.size} px",
            "–",
        )
    purpose = "the prominent thing" if spec.classes == SALIENT else f"{len(spec.classes) - 1} classes and background"
    if spec.classes == PEOPLE:
        purpose = "people"
    return (
        f"`{spec.name}`",
        "one digit" if spec.task == "classification" else purpose,
        f"{found['parameters']:,}",
        f"{found['bytes'] / 1e6:.1f} MB",
        f"{found['metric']} {found['score']:.3f}",
        f"{found['data']}, {found['pictures']} pictures",
        f"{spec.preprocessing.size} px",
        f"{1000 * found['seconds']:.{0 if spec.task == 'segmentation' else 1}f} ms",
    )


def judge(network: torch.nn.Module, spec: Network, folder: Path, limit: int | None) -> tuple[str, float, str, int]:
    """Return the metric of a network, its score, what that was taken on, and on how many pictures."""
    predictor = Predictor(network, spec)
    if spec.task == "classification":
        reached = evaluate_labelled(predictor, DIGITS, limit)
        return "accuracy", reached.accuracy, "digits", reached.pictures
    salient = spec.classes == SALIENT
    archive = folder / ("foreground-val.zip" if salient else "people-animals-val.zip")
    own = salient or spec.classes == ANIMALS
    if spec.classes == PEOPLE:
        return judge_people(predictor, archive, limit)
    mapping = None if own else read_map(ROOT / "checkpoints" / "maps" / "voc-to-people-animals.json")
    with tqdm(desc=spec.name, unit="picture", file=sys.stderr) as bar:
        scores = evaluate(predictor, archive, mapping, limit, lambda *_: bar.update())
    return "mIoU", scores.miou, archive.stem, scores.pictures


def judge_people(predictor: Predictor, path: Path, limit: int | None) -> tuple[str, float, str, int]:
    """Score a network that knows people alone on those pictures of an archive that show people and no animals."""
    evaluator = Evaluator([one.name for one in PEOPLE])
    with Archive(path) as archive:
        pairs = archive.some_pairs(limit)
        reading = survey(archive, pairs, len(ANIMALS))
        for pair in pairs:
            picture, truth = archive.read(pair, reading)
            if set(np.unique(truth)) - {0, 255} == {1}:  # person, in ANIMALS as in PEOPLE
                evaluator.add(truth, predictor.run(picture).mask)
    scores = evaluator.scores()
    return "mIoU", scores.miou, f"{path.stem}, people alone", scores.pictures


def seconds(network: torch.nn.Module, spec: Network) -> float:
    """Return the median time of one forward pass over the example pictures, each run for a second."""
    times = []
    with torch.inference_mode():
        for name in PHOTOGRAPHS:
            batch, _ = to_batch(load_picture(example(name)), spec.preprocessing)
            timer = Timer("network(batch)", globals={"network": network, "batch": batch}, num_threads=2)
            times.append(timer.blocked_autorange(min_run_time=1).median)
    return statistics.median(times)


def main() -> None:
    """Measure all trained networks, print the table and write it into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the two archives")
    parser.add_argument("--limit", type=int, help="score on so many pictures; default: on all")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    trained = [spec for spec in NETWORKS.values() if checkpoints.shipped(spec).sha256 and not spec.untrained]
    found = {spec.name: measure(spec, arguments.data, arguments.limit) for spec in trained}
    (checkpoints.folder() / "measured.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    rows = [HEAD, ("---",) * len(HEAD), *(row(spec, found.get(spec.name)) for spec in NETWORKS.values())]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    print(table)
    path = ROOT / "README.md"
    text = path.read_text("utf-8")
    if START not in text or END not in text:
        sys.exit(f"{path} lacks the marks {START} and {END}, between which the table belongs.")
    before, _, rest = text.partition(START)
    path.write_text(f"{before}{START}\n{table}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
