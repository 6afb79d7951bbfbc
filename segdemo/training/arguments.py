"""The words of ``segdemo train``; apart from the rest so that ``--help`` does not wait for torch."""

from __future__ import annotations

import argparse

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
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = DATA
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
    add("--init-rate", type=float, default=0.2, metavar="X", help="share of the rate for those weights (default: 0.2)")
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
