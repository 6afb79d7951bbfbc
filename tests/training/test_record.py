"""What is kept of a run beside its weights."""

from __future__ import annotations

import json
from pathlib import Path

from segdemo.networks.network import Preprocessing
from segdemo.training.batches import Batches
from segdemo.training.data import Sample
from segdemo.training.processes import Processes
from segdemo.training.record import command, write_record
from tests.training.conftest import Tiny


def test_command_names_files_but_not_where_they_were() -> None:
    words = ["train", "--data", "/home/me/my data/pairs.zip", "--side", "64", "96"]
    assert command(words) == "python -m segdemo train --data pairs.zip --side 64 96"


def test_command_of_several_processes_is_the_one_that_starts_them_all() -> None:
    assert command(["train", "--epochs", "3"], 2) == "torchrun --nproc-per-node 2 -m segdemo train --epochs 3"


def test_every_start_of_a_run_adds_an_entry(samples: list[Sample], tmp_path: Path) -> None:
    batches = Batches(samples, None, Preprocessing(size=32, sizes=(32,), stride=16), size=4, seed=0)
    unknown = Sample("unknown", samples[0].picture, None)
    for _ in range(2):
        write_record(tmp_path, Tiny(2), batches, [*samples, unknown], Processes())
    first, second = json.loads((tmp_path / "run.json").read_text())
    assert first == second
    assert (first["pictures"], first["with_masks"], first["batch"], first["steps_per_epoch"]) == (9, 8, 4, 2)
    assert first["parameters"] == 3 * 8 * 9 + 8 + 16 + 8 * 2 * 9 + 2
    write_record(tmp_path / "other", Tiny(2), batches, samples, Processes(number=1, count=2))
    assert not (tmp_path / "other").exists()
