"""Several processes learn what one does from the same total batch."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from segdemo.training.processes import joined

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from segdemo.networks import NETWORKS
from tests.training.conftest import NETWORK
from segdemo.__main__ import main
NETWORKS["tiny"] = NETWORK
sys.exit(main(sys.argv[1:]))
"""


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as processes:
        assert processes.first and processes.count == 1
        assert processes.agree(3.5, 1.0) == (3.5, 1.0)


def test_two_processes_have_the_losses_and_the_weights_of_one(archive: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    words = ["train", "--network", "tiny", "--data", str(archive), "--epochs", "3", "--batch", "4", "--side", "32"]
    words += ["--float32", "--threads", "1"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for name, launcher in (("one", []), ("two", torchrun)):
        command = [sys.executable, *launcher, str(program), *words, "--out", str(tmp_path / name)]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    rows = {}
    for name in ("one", "two"):
        with (tmp_path / name / "curves.csv").open() as file:
            rows[name] = [float(row["loss"]) for row in csv.DictReader(file)]
    assert rows["two"] == pytest.approx(rows["one"], rel=1e-4)
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for key, tensor in one.items():
        assert two[key].numpy() == pytest.approx(tensor.numpy(), abs=2e-4), key
