"""A whole run of training: reads the pictures, asks the teacher, and lets the network learn."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from segdemo import checkpoints
from segdemo.archives import Reading
from segdemo.errors import InputError
from segdemo.networks import Network
from segdemo.training.batches import Batches
from segdemo.training.data import Bytes, Sample, check_masks, check_source, read_pairs, read_pictures
from segdemo.training.loop import Score, Trainer
from segdemo.training.parameters import check_batch, optimiser_for
from segdemo.training.processes import Processes, joined
from segdemo.training.record import read_record, write_record
from segdemo.training.settings import Material, Settings
from segdemo.training.state import check_writable, load_state, restore_state
from segdemo.training.teacher import Teacher, found, teach
from segdemo.training.validation import check, score


def train(spec: Network, settings: Settings, material: Material, *, resume: bool = False) -> bool:
    """Train a network.

    Args:
        spec: of the network that learns.
        settings: all that the run depends on beside the network and the pictures.
        material: what it learns from, and is scored on.
        resume: go on with the run that is in ``settings.out``.

    Returns:
        True when the budget is used, False when the run was interrupted before.

    Raises:
        InputError: something given cannot be used.
    """
    with joined() as processes:
        network, started, teacher, validated = _prepare(spec, settings, material, processes, resume=resume)
        samples, labels = read_data(spec, settings, material, processes, teacher)
        part = (processes.number, processes.count)
        batches = Batches(samples, labels, spec.preprocessing, size=settings.batch, seed=settings.seed, part=part)
        _say(processes, f"{len(samples)} pictures, {batches.per_epoch} steps of {batches.size} an epoch")
        scorer = _scorer(material, spec, validated)
        trainer = Trainer(network, batches, settings, started=started, score=scorer, processes=processes)
        if resume:
            trainer.restore()
        write_record(settings.out, network, batches, samples, processes)
        finished = trainer.run()
    _say(processes, f"{'done' if finished else 'interrupted; go on with --resume'}: {settings.out}")
    return finished


def _prepare(
    spec: Network, settings: Settings, material: Material, processes: Processes, *, resume: bool
) -> tuple[nn.Module, frozenset[str], Teacher | None, Reading | None]:
    """Make all that a run needs beside its pictures, and find what cannot be used before these are read.

    Returns:
        The network, the names of its tensors that start from ``--init``, the teacher, and how the masks of ``--val``
        are to be understood.
    """
    torch.manual_seed(settings.seed)
    network = spec.build(len(spec.classes))
    started = frozenset[str]()
    if material.init:
        report = checkpoints.load_partial(network, Path(material.init))
        started = frozenset(report.loaded)
        _say(processes, f"{len(report.loaded)} tensors start from {material.init}, {len(report.missing)} anew")
    optimiser = optimiser_for(network, settings, started)
    check_batch(network, settings, settings.batch // processes.count)
    path = settings.out / "state.pt"
    if resume:
        restore_state(load_state(path), network, optimiser, path)
    read_record(settings.out / "run.json")
    if processes.first:
        check_writable(settings.out)
    teacher = Teacher(material.teacher, spec.names, material.teacher_side) if material.teacher else None
    for source in material.data + material.pictures:
        check_source(source, masked=source in material.data)
    validated = None
    if material.val:
        validated = check(material.val, spec.names, material.val_limit)
        for note in validated.notes(Path(material.val).name):
            _say(processes, note)
    return network, started, teacher, validated


def read_data(
    spec: Network, settings: Settings, material: Material, processes: Processes, teacher: Teacher | None
) -> tuple[list[Sample], list[Bytes | None] | None]:
    """Read all pictures into memory, and the teacher's soft labels of those it is asked about.

    Args:
        spec: of the network that learns.
        settings: of the run; pictures are kept with a shorter side as long as its largest crop.
        material: where the pictures are, and who teaches.
        processes: all read, the first alone asks the teacher, the others then find its answers in the cache.
        teacher: says what is on the pictures; None without one.

    Returns:
        The samples, and for each its soft labels or None; None without a teacher.

    Raises:
        InputError: a source cannot be used, there is nothing to learn from its masks, or the teacher finds too little
            in all pictures without masks.
    """
    quiet, side = not processes.first, max(settings.sides)
    samples: list[Sample] = []
    for source in material.data:
        pairs = read_pairs(source, spec.names, side, partial(_say, processes))
        samples += tqdm(pairs, desc=source, unit="picture", disable=quiet)
    masked = len(samples)
    if samples and not (teacher and material.teacher_on == "all"):
        check_masks(samples, alone=not material.pictures)
    for source in material.pictures:
        samples += tqdm(read_pictures(source, side), desc=source, unit="picture", disable=quiet)
    if teacher is None:
        return samples, None
    cache = settings.out.parent / "teacher"
    if not processes.first:
        processes.wait()
    alone = masked if material.teacher_on == "pictures" else 0
    labels: list[Bytes | None] = [None] * alone
    for part in _by_source(samples[alone:]):
        labels += teach(teacher, part, cache)
    if processes.first:
        processes.wait()
    kept = list(range(masked)) + [
        masked + index
        for index, label in enumerate(labels[masked:])
        if label is not None and found(label) >= material.teacher_finds
    ]
    if material.pictures and len(kept) == masked:
        raise InputError(
            "train_nothing_found",
            "{teacher} finds something on {share} of the area in none of the {count} pictures, so that it can teach "
            "nothing on them. Lower --teacher-finds, or give other --pictures.",
            teacher=teacher.spec.name,
            share=material.teacher_finds,
            count=len(samples) - masked,
        )
    return [samples[index] for index in kept], [labels[index] for index in kept]


def _by_source(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Part samples by the archive they are from, so that each archive has its own cache."""
    parts: dict[str, list[Sample]] = {}
    for sample in samples:
        parts.setdefault(sample.name.partition("/")[0], []).append(sample)
    return list(parts.values())


def _scorer(material: Material, spec: Network, reading: Reading | None) -> Score | None:
    """Make the function that scores the network on ``--val``."""
    archive = material.val
    if not archive:
        return None

    def miou(network: nn.Module, side: int) -> float:
        return score(network, spec, archive, side=side, limit=material.val_limit, reading=reading).miou

    return miou


def _say(processes: Processes, text: str) -> None:
    if processes.first:
        tqdm.write(text, file=sys.stderr)  # beside a bar, on a line of its own
