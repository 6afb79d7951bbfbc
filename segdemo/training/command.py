"""``segdemo train``: reads the pictures, asks the teacher, and lets the network learn."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from segdemo import checkpoints
from segdemo.errors import InputError
from segdemo.networks import NetworkSpec, find
from segdemo.training.batches import Batches
from segdemo.training.data import Bytes, Sample, read_pairs, read_pictures
from segdemo.training.loop import Score, Trainer
from segdemo.training.processes import Processes, joined
from segdemo.training.record import write_record
from segdemo.training.settings import Settings
from segdemo.training.teacher import Teacher, found, teach
from segdemo.training.validation import check, score


def train(arguments: Namespace) -> int:
    """Train a network; returns 0 when the budget is used, 130 when interrupted before."""
    spec = find(arguments.network)
    settings = read_settings(arguments, spec)
    if arguments.val:
        check(arguments.val, spec.classes)  # now, not after the first minutes
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with joined() as processes:
        samples, labels = read_data(arguments, spec, max(settings.sides), processes)
        torch.manual_seed(settings.seed)
        network = spec.build(len(spec.classes))
        started = frozenset[str]()
        if arguments.init:
            report = checkpoints.load_partial(network, Path(arguments.init))
            started = frozenset(report.loaded)
            _say(processes, f"{len(report.loaded)} tensors start from {arguments.init}, {len(report.missing)} anew")
        part = (processes.number, processes.count)
        batches = Batches(samples, labels, spec.rule, size=settings.batch, seed=settings.seed, part=part)
        _say(processes, f"{len(samples)} pictures, {batches.per_epoch} steps of {batches.size} an epoch")
        trainer = Trainer(
            network, batches, settings, started=started, score=_scorer(arguments, spec), processes=processes
        )
        if arguments.resume:
            trainer.restore()
        write_record(settings.out, network, batches, samples, processes)
        finished = trainer.run()
    _say(processes, f"{'done' if finished else 'interrupted; go on with --resume'}: {settings.out}")
    return 0 if finished else 130


def read_settings(arguments: Namespace, spec: NetworkSpec) -> Settings:
    """Check what was asked for and make settings of it.

    Raises:
        InputError: there is nothing to learn from or no budget, a crop size does not suit the network, or the folder
            already holds a run.
    """
    _check_sources(arguments, spec)
    rule = spec.rule
    for side in arguments.side:
        if side <= rule.remainder or (side - rule.remainder) % rule.stride:
            raise InputError(
                "train_side",
                "Crops of {side} pixels do not suit {network}. Their side has to be a multiple of {stride}, plus "
                "{remainder}. Change --side.",
                side=side,
                network=spec.name,
                stride=rule.stride,
                remainder=rule.remainder,
            )
    if min(arguments.batch, arguments.epochs, arguments.minutes or 1) <= 0 or arguments.snapshots == 1:
        raise InputError(
            "train_number",
            "--batch, --epochs and --minutes have to be above 0, and --snapshots 0 or at least 2. Correct the number.",
        )
    return Settings(
        out=Path(arguments.out),
        minutes=arguments.minutes,
        epochs=arguments.epochs,
        sides=tuple(arguments.side),
        batch=arguments.batch,
        rate=arguments.rate,
        started_rate=arguments.init_rate,
        freeze=tuple(arguments.freeze),
        seed=arguments.seed,
        save_every=arguments.save_every,
        snapshots=arguments.snapshots,
        bfloat16=not arguments.float32,
    )


def _check_sources(arguments: Namespace, spec: NetworkSpec) -> None:
    """Refuse what cannot be learned from, and a folder that has something to lose."""
    if (Path(arguments.out) / "state.pt").exists() and not arguments.resume:
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


def read_data(
    arguments: Namespace, spec: NetworkSpec, side: int, processes: Processes
) -> tuple[list[Sample], list[Bytes | None] | None]:
    """Read all pictures into memory, and the teacher's soft labels of those it is asked about.

    Args:
        arguments: say where the pictures are, and who teaches.
        spec: of the network that learns.
        side: largest size of a crop, in pixels; pictures are kept with a shorter side of as much.
        processes: all read, the first alone asks the teacher, the others then find its answers in the cache.

    Returns:
        The samples, and for each its soft labels or None; None without a teacher.

    Raises:
        InputError: a source cannot be used, or the teacher finds too little in all pictures without masks.
    """
    quiet = not processes.first
    samples = [
        sample
        for source in arguments.data
        for sample in tqdm(read_pairs(source, spec.classes, side), desc=source, unit="picture", disable=quiet)
    ]
    masked = len(samples)
    for source in arguments.pictures:
        samples += tqdm(read_pictures(source, side), desc=source, unit="picture", disable=quiet)
    if not arguments.teacher:
        return samples, None
    teacher = Teacher(arguments.teacher, spec.classes, arguments.teacher_side)
    cache = Path(arguments.out).parent / "teacher"
    if not processes.first:
        processes.wait()
    alone = masked if arguments.teacher_on == "pictures" else 0
    labels: list[Bytes | None] = [None] * alone
    for part in _by_source(samples[alone:]):
        labels += teach(teacher, part, cache)
    if processes.first:
        processes.wait()
    kept = list(range(masked)) + [
        masked + index
        for index, label in enumerate(labels[masked:])
        if label is not None and found(label) >= arguments.teacher_finds
    ]
    if arguments.pictures and len(kept) == masked:
        raise InputError(
            "train_nothing_found",
            "{teacher} finds something on {share} of the area in none of the {count} pictures, so that it can teach "
            "nothing on them. Lower --teacher-finds, or give other --pictures.",
            teacher=teacher.spec.name,
            share=arguments.teacher_finds,
            count=len(samples) - masked,
        )
    return [samples[index] for index in kept], [labels[index] for index in kept]


def _by_source(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Part samples by the archive they are from, so that each archive has its own cache."""
    parts: dict[str, list[Sample]] = {}
    for sample in samples:
        parts.setdefault(sample.name.partition("/")[0], []).append(sample)
    return list(parts.values())


def _scorer(arguments: Namespace, spec: NetworkSpec) -> Score | None:
    """Make the function that scores the network on ``--val``."""
    if not arguments.val:
        return None

    def miou(network: nn.Module, side: int) -> float:
        return score(network, spec, arguments.val, side=side, limit=arguments.val_limit).miou

    return miou


def _say(processes: Processes, text: str) -> None:
    if processes.first:
        print(text, file=sys.stderr, flush=True)
