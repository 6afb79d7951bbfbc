"""The command ``train``: weights and curves of a network that learned from pictures with masks."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from segdemo.errors import InputError

if TYPE_CHECKING:
    from segdemo.networks import Network
    from segdemo.training.settings import Material, Settings

HELP = "train a network"
DESCRIPTION = "Train a network."
DATA = """\
--data takes, once or several times: a zip archive or a folder with images/ and masks/ (masks: palette or grey pictures
with one class index per pixel, 255 where nothing is known; of two classes also 0 and 255 alone); voc:FOLDER or
pets:FOLDER, into which Pascal VOC 2012 or the Oxford-IIIT Pets are downloaded. --pictures takes archives or folders
whose masks are not looked at: there, the teacher alone teaches.

The run ends by itself after --minutes, or after --epochs; the learning rate falls along half a cosine until then. An
interrupted run has saved its state and goes on with --resume as if nothing had happened. The results are
OUT/weights.safetensors (averaged weights), curves.csv and curves.png.

Several GPUs, or several machines: torchrun --nproc-per-node N -m segdemo train …
"""

# Smallest and largest number that each option takes.
RANGES: dict[str, tuple[float, float]] = {
    "val_limit": (1, 1_000_000_000),
    "minutes": (1e-6, 1_000_000),
    "epochs": (1, 1_000_000),
    "side": (1, 2048),
    "batch": (1, 1_000_000),
    "rate": (1e-12, 10),
    "init_rate": (0, 10),
    "teacher_side": (1, 2048),
    "teacher_finds": (0, 1),
    "snapshots": (0, 1000),
    "seed": (0, 2**63 - 1),
    "threads": (1, 1024),
    "save_every": (0, 1_000_000),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo train`` takes."""
    parser.description, parser.epilog = DESCRIPTION, DATA
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--network", required=True, metavar="N", help="the network that learns")
    add("--data", action="append", default=[], metavar="D", help="pictures with masks, see below")
    add("--pictures", action="append", default=[], metavar="D", help="pictures without masks, for the teacher")
    add("--val", metavar="ZIP", help="pictures to score on now and then; never learned from")
    add("--val-limit", type=int, default=200, metavar="N", help="score on so many of them (default: 200)")
    add("--out", required=True, metavar="DIR", help="folder for the results, made if missing")
    add("--minutes", type=float, metavar="M", help="time budget, pauses not counted")
    add("--epochs", type=int, default=10, metavar="N", help="budget where no --minutes are given (default: 10)")
    add("--side", type=int, nargs="+", default=[128], metavar="PX", help="crop size; several: one after the other")
    add("--batch", type=int, default=32, metavar="N", help="pictures in a step, over all processes (default: 32)")
    add("--rate", type=float, default=2e-3, metavar="R", help="highest learning rate (default: 0.002)")
    add("--resume", action="store_true", help="go on with the run in OUT")
    add("--init", metavar="FILE", help="weights to start from, as far as they fit")
    add(
        "--init-rate",
        type=float,
        default=0.2,
        metavar="X",
        help="share of the rate for those weights (default: 0.2)",
    )
    add("--freeze", nargs="+", default=[], metavar="MODULE", help="modules that do not learn")
    add("--teacher", metavar="NETWORK", help="an embedded network whose soft labels are learned too")
    add("--teacher-side", type=int, metavar="PX", help="its working size; default: its own")
    add(
        "--teacher-finds",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="leave out --pictures in which the teacher "
        "finds anything but the background on less than this share of the area (default: 0, keep all)",
    )
    add("--teacher-on", choices=("all", "pictures"), default="all", help="ask it about --data too (default), or not")
    add("--snapshots", type=int, default=0, metavar="N", help="keep so many float16 snapshots over the run")
    add("--seed", type=int, default=0, metavar="S", help="of everything that is random (default: 0)")
    add("--threads", type=int, metavar="N", help="processor threads; default: PyTorch's choice")
    add("--float32", action="store_true", help="compute in float32 throughout, not in bfloat16 where that is safe")
    add("--save-every", type=float, default=3.0, metavar="M", help="minutes between saves (default: 3)")


def run(arguments: argparse.Namespace) -> int:
    """Train a network; returns 0 when the budget is used, 130 when interrupted before."""
    import torch

    from segdemo.networks import find
    from segdemo.training.course import train

    spec: Network = find(arguments.network)
    settings = read_settings(arguments, spec)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    return 0 if train(spec, settings, read_material(arguments), resume=arguments.resume) else 130


def read_settings(arguments: argparse.Namespace, spec: Network) -> Settings:
    """Check what was asked for and make settings of it.

    Raises:
        InputError: there is nothing to learn from or no budget, a crop size does not suit the network, or the folder
            already holds a run.
    """
    from segdemo.training.settings import Settings

    _check_numbers(arguments)
    _check_sources(arguments, spec)
    preprocessing = spec.preprocessing
    for side in arguments.side:
        if side <= preprocessing.remainder or (side - preprocessing.remainder) % preprocessing.stride:
            raise InputError(
                "train_side",
                "Crops of {side} pixels do not suit {network}. Their side has to be a multiple of {stride}, plus "
                "{remainder}. Change --side.",
                side=side,
                network=spec.name,
                stride=preprocessing.stride,
                remainder=preprocessing.remainder,
            )
    return Settings(
        out=Path(arguments.out),
        minutes=arguments.minutes,
        epochs=arguments.epochs,
        sides=tuple(arguments.side),
        batch=arguments.batch,
        lr=arguments.rate,
        started_lr=arguments.init_rate,
        freeze=tuple(arguments.freeze),
        seed=arguments.seed,
        save_every=arguments.save_every,
        snapshots=arguments.snapshots,
        bfloat16=not arguments.float32,
    )


def read_material(arguments: argparse.Namespace) -> Material:
    """Say what the run learns from, and is scored on."""
    from segdemo.training.settings import Material

    return Material(
        data=tuple(arguments.data),
        pictures=tuple(arguments.pictures),
        val=arguments.val,
        val_limit=arguments.val_limit,
        teacher=arguments.teacher,
        teacher_side=arguments.teacher_side,
        teacher_finds=arguments.teacher_finds,
        teacher_on=arguments.teacher_on,
        init=arguments.init,
    )


def _check_numbers(arguments: argparse.Namespace) -> None:
    """Refuse numbers that no run can use; NaN and infinities are among them."""
    for option, (least, most) in RANGES.items():
        given = getattr(arguments, option)
        for number in given if isinstance(given, list) else [given]:
            if number is not None and not least <= number <= most:
                raise InputError(
                    "train_number",
                    "--{option} is {number}. It has to be a number from {least} to {most}. Correct it.",
                    option=option.replace("_", "-"),
                    number=number,
                    least=least,
                    most=most,
                )
    if arguments.snapshots == 1:
        raise InputError(
            "train_snapshots",
            "--snapshots is 1. A run keeps none, or at least 2: the first and the last. Correct it.",
        )


def _check_sources(arguments: argparse.Namespace, spec: Network) -> None:
    """Refuse what cannot be learned from, and a folder that has something to lose."""
    kept = [Path(arguments.out) / name for name in ("state.pt", "weights.safetensors")]
    if any(map(os.path.lexists, kept)) and not arguments.resume:
        raise InputError(
            "train_exists",
            "{out} already holds a run, which a new one would write over. Add --resume to go on with it, or name "
            "another folder with --out.",
            out=arguments.out,
        )
    if arguments.pictures and not arguments.teacher:
        raise InputError(
            "train_pictures_alone",
            "--pictures have no masks, so that only a teacher can say what is on them. Add --teacher NETWORK, or give "
            "them as --data with masks.",
        )
    if not arguments.data and not arguments.pictures:
        raise InputError(
            "train_nothing",
            "There is nothing to learn from. Needed is --data with masks, or --pictures with a --teacher. Add one.",
        )
    if arguments.teacher_on == "pictures" and not arguments.pictures:
        raise InputError(
            "train_teacher_idle",
            "--teacher-on pictures asks the teacher about --pictures only, and there are none. Add --pictures, or "
            "leave --teacher-on out.",
        )
    if spec.task != "segmentation":
        raise InputError(
            "train_classifier",
            "{network} answers once for a whole picture and cannot learn from masks. Needed is a network that "
            "segments. Choose another, or run `make train-lenet`.",
            network=spec.name,
        )
