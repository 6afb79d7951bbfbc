"""``segdemo train``: reads the pictures, asks the teacher, and lets the network learn."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from segdemo import checkpoints
from segdemo.archives import Reading
from segdemo.errors import InputError
from segdemo.networks import NetworkSpec, find
from segdemo.training.arguments import RANGES
from segdemo.training.batches import Batches
from segdemo.training.data import Bytes, Sample, check_masks, check_source, read_pairs, read_pictures
from segdemo.training.loop import Score, Trainer
from segdemo.training.parameters import check_batch, optimiser_for
from segdemo.training.processes import Processes, joined
from segdemo.training.record import read_record, write_record
from segdemo.training.settings import Settings
from segdemo.training.state import check_writable, load_state, restore_state
from segdemo.training.teacher import Teacher, found, teach
from segdemo.training.validation import check, score


def train(arguments: Namespace) -> int:
    """Train a network; returns 0 when the budget is used, 130 when interrupted before."""
    spec = find(arguments.network)
    settings = read_settings(arguments, spec)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with joined() as processes:
        network, started, teacher, validated = _prepare(arguments, spec, settings, processes)
        samples, labels = read_data(arguments, spec, max(settings.sides), processes, teacher)
        part = (processes.number, processes.count)
        batches = Batches(samples, labels, spec.rule, size=settings.batch, seed=settings.seed, part=part)
        _say(processes, f"{len(samples)} pictures, {batches.per_epoch} steps of {batches.size} an epoch")
        scorer = _scorer(arguments, spec, validated)
        trainer = Trainer(network, batches, settings, started=started, score=scorer, processes=processes)
        if arguments.resume:
            trainer.restore()
        write_record(settings.out, network, batches, samples, processes)
        finished = trainer.run()
    _say(processes, f"{'done' if finished else 'interrupted; go on with --resume'}: {settings.out}")
    return 0 if finished else 130


def _prepare(
    arguments: Namespace, spec: NetworkSpec, settings: Settings, processes: Processes
) -> tuple[nn.Module, frozenset[str], Teacher | None, Reading | None]:
    """Make all that a run needs beside its pictures, and find what cannot be used before these are read.

    Returns:
        The network, the names of its tensors that start from ``--init``, the teacher, and how the masks of ``--val``
        are to be understood.
    """
    torch.manual_seed(settings.seed)
    network = spec.build(len(spec.classes))
    started = frozenset[str]()
    if arguments.init:
        report = checkpoints.load_partial(network, Path(arguments.init))
        started = frozenset(report.loaded)
        _say(processes, f"{len(report.loaded)} tensors start from {arguments.init}, {len(report.missing)} anew")
    optimiser = optimiser_for(network, settings, started)
    check_batch(network, settings, settings.batch // processes.count)
    path = settings.out / "state.pt"
    if arguments.resume:
        restore_state(load_state(path), network, optimiser, path)
    read_record(settings.out / "run.json")
    if processes.first:
        check_writable(settings.out)
    teacher = Teacher(arguments.teacher, spec.classes, arguments.teacher_side) if arguments.teacher else None
    for source in arguments.data + arguments.pictures:
        check_source(source, masked=source in arguments.data)
    validated = None
    if arguments.val:
        validated = check(arguments.val, spec.classes, arguments.val_limit)
        for note in validated.notes(Path(arguments.val).name):
            _say(processes, note)
    return network, started, teacher, validated


def read_settings(arguments: Namespace, spec: NetworkSpec) -> Settings:
    """Check what was asked for and make settings of it.

    Raises:
        InputError: there is nothing to learn from or no budget, a crop size does not suit the network, or the folder
            already holds a run.
    """
    _check_numbers(arguments)
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


def _check_numbers(arguments: Namespace) -> None:
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


def _check_sources(arguments: Namespace, spec: NetworkSpec) -> None:
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


def read_data(
    arguments: Namespace, spec: NetworkSpec, side: int, processes: Processes, teacher: Teacher | None
) -> tuple[list[Sample], list[Bytes | None] | None]:
    """Read all pictures into memory, and the teacher's soft labels of those it is asked about.

    Args:
        arguments: say where the pictures are, and who teaches.
        spec: of the network that learns.
        side: largest size of a crop, in pixels; pictures are kept with a shorter side of as much.
        processes: all read, the first alone asks the teacher, the others then find its answers in the cache.
        teacher: says what is on the pictures; None without one.

    Returns:
        The samples, and for each its soft labels or None; None without a teacher.

    Raises:
        InputError: a source cannot be used, there is nothing to learn from its masks, or the teacher finds too little
            in all pictures without masks.
    """
    quiet = not processes.first
    samples: list[Sample] = []
    for source in arguments.data:
        pairs = read_pairs(source, spec.classes, side, partial(_say, processes))
        samples += tqdm(pairs, desc=source, unit="picture", disable=quiet)
    masked = len(samples)
    if samples and not (teacher and arguments.teacher_on == "all"):
        check_masks(samples, alone=not arguments.pictures)
    for source in arguments.pictures:
        samples += tqdm(read_pictures(source, side), desc=source, unit="picture", disable=quiet)
    if teacher is None:
        return samples, None
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


def _scorer(arguments: Namespace, spec: NetworkSpec, reading: Reading | None) -> Score | None:
    """Make the function that scores the network on ``--val``."""
    if not arguments.val:
        return None

    def miou(network: nn.Module, side: int) -> float:
        return score(network, spec, arguments.val, side=side, limit=arguments.val_limit, reading=reading).miou

    return miou


def _say(processes: Processes, text: str) -> None:
    if processes.first:
        tqdm.write(text, file=sys.stderr)  # beside a bar, on a line of its own
