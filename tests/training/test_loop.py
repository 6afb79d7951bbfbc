"""The loop: it learns, can be interrupted anywhere, and writes what came of it."""

from __future__ import annotations

import csv
import errno
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from segdemo.errors import InputError
from segdemo.networks.unet import UNet
from segdemo.training import loop
from segdemo.training.batches import Batches
from segdemo.training.data import Sample
from segdemo.training.loop import Trainer
from segdemo.training.losses import segmentation_loss
from segdemo.training.parameters import freeze
from segdemo.training.processes import Processes
from segdemo.training.settings import Settings
from segdemo.training.state import averaged, load_state, save_state, save_weights
from tests.training.conftest import NETWORK, Tiny


def trainer(samples: list[Sample], settings: Settings, network: nn.Module | None = None) -> Trainer:
    torch.manual_seed(1)
    network = network or UNet(3, 2, width=2)
    batches = Batches(samples, None, NETWORK.preprocessing, size=4, seed=settings.seed)
    return Trainer(network, batches, settings, processes=Processes(device=torch.device("cpu")))


def weights(run: Trainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in run.network.state_dict().items()}


def interrupt_after(run: Trainer, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    step = run._step

    def counted(bar: Any) -> None:
        step(bar)
        if run.clock.step == steps:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(run, "_step", counted)


class Ticks:
    """A clock on which every step takes two seconds and nothing else takes time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return 2 * self.now


@pytest.mark.parametrize("budget", [{"epochs": 5}, {"minutes": 20 / 60}])
def test_interrupted_run_goes_on_as_if_it_had_not_been_interrupted(
    budget: dict[str, float], samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(name: str) -> Settings:
        return Settings(tmp_path / name, sides=(16, 32), snapshots=3, bfloat16=False, **budget)  # type: ignore[arg-type]

    monkeypatch.setattr("time.perf_counter", Ticks())
    whole = trainer(samples, settings("whole"))
    assert whole.run()
    first = trainer(samples, settings("parts"))
    interrupt_after(first, 3, monkeypatch)
    assert not first.run()
    assert first.clock.step == 3
    second = trainer(samples, settings("parts"))
    second.restore()
    assert second.run()

    assert second.clock.step == whole.clock.step == 10
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(second)[name]), name
        assert torch.equal(whole.average.tensors[name], second.average.tensors[name]), name
    assert whole.curves.rows[-1]["lr"] == second.curves.rows[-1]["lr"]
    assert (tmp_path / "whole/curves.csv").read_text() == (tmp_path / "parts/curves.csv").read_text()
    kept = [sorted(path.name for path in (tmp_path / name / "snapshots").iterdir()) for name in ("whole", "parts")]
    assert kept[0] == kept[1] and len(kept[0]) == 3 and kept[0][0] == "000000.safetensors"


def test_loss_falls_and_the_files_say_how(samples: list[Sample], tmp_path: Path) -> None:
    run = trainer(samples, Settings(tmp_path, epochs=60, sides=(32,), lr=1e-2), Tiny(2))
    assert run.run()
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < 0.6 * float(rows[0]["loss"])
    assert [int(row["step"]) for row in rows] == list(range(10, 121, 10))
    with Image.open(tmp_path / "curves.png") as drawing:
        assert drawing.size == (800, 700)
    stored = load_file(tmp_path / "weights.safetensors")
    assert all(torch.equal(stored[name], tensor) for name, tensor in run.average.tensors.items())
    assert not list(tmp_path.glob("*.partial"))


def test_score_is_that_of_the_averaged_weights_and_learning_goes_on_with_its_own(
    samples: list[Sample], tmp_path: Path
) -> None:
    run = trainer(samples, Settings(tmp_path, epochs=2, sides=(32,)))
    scored: list[dict[str, Tensor]] = []

    def score(network: nn.Module, side: int) -> float:
        assert side == 32 and not network.training
        scored.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return 0.5

    run.score = score
    run.run()
    (seen,) = scored
    assert all(torch.equal(seen[name], tensor) for name, tensor in run.average.tensors.items())
    assert any(not torch.equal(seen[name], tensor) for name, tensor in weights(run).items())
    assert run.curves.miou == 0.5
    assert (tmp_path / "curves.csv").read_text().splitlines()[-1].endswith(",0.5")


def test_average_is_lent_only_within_the_block(samples: list[Sample], tmp_path: Path) -> None:
    run = trainer(samples, Settings(tmp_path, epochs=1, sides=(32,)), Tiny(2))
    run.run()
    own = weights(run)
    with pytest.raises(RuntimeError, match="within"), averaged(run.network, run.average):
        raise RuntimeError("within")
    assert all(torch.equal(own[name], tensor) for name, tensor in weights(run).items())


def test_frozen_modules_stay_as_they_are(samples: list[Sample], tmp_path: Path) -> None:
    run = trainer(samples, Settings(tmp_path, epochs=2, sides=(32,), freeze=("inc",)))
    before = weights(run)
    run.run()
    for name, tensor in weights(run).items():
        assert torch.equal(tensor, before[name]) == name.startswith("inc."), name


def test_unknown_module_cannot_be_frozen() -> None:
    with pytest.raises(InputError, match=r"no module head.*entrance, outc") as refusal:
        freeze(Tiny(2), ("head",))
    assert refusal.value.code == "freeze_unknown"


def test_weights_from_before_learn_more_slowly_and_only_kernels_decay(samples: list[Sample], tmp_path: Path) -> None:
    settings = Settings(tmp_path, started_lr=0.1, decay=0.5)
    batches = Batches(samples, None, NETWORK.preprocessing, size=4, seed=0)
    run = Trainer(Tiny(2), batches, settings, started=frozenset({"outc.weight"}))
    names = {parameter: name for name, parameter in run.network.named_parameters()}
    found = {
        names[parameter]: (group["share"], group["weight_decay"])
        for group in run.optimiser.param_groups
        for parameter in group["params"]
    }
    assert found["outc.weight"] == (0.1, 0.5) and found["outc.bias"] == (1, 0)
    assert found["entrance.0.weight"] == (1, 0.5) and found["entrance.1.weight"] == (1, 0)


def test_resuming_what_was_never_begun_is_refused(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"state\.pt cannot be read") as refusal:
        trainer(samples, Settings(tmp_path), Tiny(2)).restore()
    assert refusal.value.code == "state_unreadable"
    (tmp_path / "state.pt").write_bytes(b"damaged")
    with pytest.raises(InputError, match="without --resume"):
        trainer(samples, Settings(tmp_path), Tiny(2)).restore()


def test_signals_are_as_before_after_the_run(samples: list[Sample], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    trainer(samples, Settings(tmp_path, epochs=1, sides=(16,)), Tiny(2)).run()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("when", ["loss", "gradient"])
def test_run_that_runs_away_stops_and_what_was_saved_before_stays(
    when: str, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(samples, Settings(tmp_path, epochs=3, sides=(16,), save_every=0), Tiny(2))
    real, steps = segmentation_loss, []

    def loss(*arguments: Any) -> Tensor:
        steps.append(1)
        value = real(*arguments)
        if len(steps) < 4:
            return value
        return value * torch.nan if when == "loss" else (value - value.detach()).sqrt() * 1e30 + 1

    monkeypatch.setattr(loop, "segmentation_loss", loss)
    with pytest.raises(
        InputError, match=r"At step 3 the \w+ is (nan|inf).*saved at step 3 stays.*lower --rate"
    ) as refusal:
        run.run()
    assert refusal.value.code == "train_diverged"
    state = load_state(tmp_path / "state.pt")
    assert state["step"] == 3
    stored = load_file(tmp_path / "weights.safetensors")
    assert all(tensor.isfinite().all() for tensor in stored.values())
    again = trainer(samples, Settings(tmp_path, epochs=3, sides=(16,), lr=1e-3), Tiny(2))
    monkeypatch.setattr(loop, "segmentation_loss", real)
    again.restore()
    assert again.run()


def test_weights_that_are_no_numbers_are_never_written(samples: list[Sample], tmp_path: Path) -> None:
    run = trainer(samples, Settings(tmp_path, epochs=1, sides=(16,), snapshots=2), Tiny(2))
    run.average.tensors["outc.bias"][0] = torch.inf
    with pytest.raises(InputError, match="before anything was saved") as refusal:
        run.run()
    assert refusal.value.code == "train_diverged_unsaved"
    assert not list(tmp_path.iterdir())


def test_state_with_weights_that_are_no_numbers_is_not_resumed(samples: list[Sample], tmp_path: Path) -> None:
    run = trainer(samples, Settings(tmp_path, epochs=1, sides=(16,)), Tiny(2))
    state = run._state()
    state["average"]["outc.bias"][0] = torch.nan
    save_state(state, tmp_path / "state.pt")
    with pytest.raises(InputError, match="not finite numbers"):
        run.restore()


@pytest.mark.parametrize("file", ["state.pt", "weights.safetensors", "curves.csv", "curves.png"])
def test_full_disk_leaves_every_file_as_it_was(
    file: str, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trainer(samples, Settings(tmp_path, epochs=1, sides=(16,)), Tiny(2)).run()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = trainer(samples, Settings(tmp_path, epochs=2, sides=(16,)), Tiny(2))
    again.restore()
    real = Path.replace

    def full(path: Path, target: Path) -> Path:
        if target.name == file:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=rf"{file} cannot be written: No space left on device") as refusal:
        again.run()
    assert refusal.value.code == "train_unwritable"
    assert (tmp_path / file).read_bytes() == before[file]
    assert {path.name for path in tmp_path.iterdir()} == before.keys()


def test_disk_that_fills_while_a_file_is_written_leaves_the_one_of_before(tmp_path: Path) -> None:
    save_weights({"a": torch.zeros(4)}, tmp_path / "weights.safetensors", half=False)
    save_state({"a": torch.zeros(4)}, tmp_path / "state.pt")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"state\.pt cannot be written"):
            save_state({"a": torch.zeros(40_000)}, tmp_path / "state.pt")
        with pytest.raises(InputError, match=r"weights\.safetensors cannot be written"):
            save_weights({"a": torch.zeros(40_000)}, tmp_path / "weights.safetensors", half=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folder_that_was_removed_meanwhile_is_made_anew(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    run = trainer(samples, Settings(out, epochs=2, sides=(16,), save_every=0, snapshots=2), Tiny(2))
    step = run._step

    def removed(bar: Any) -> None:
        step(bar)
        shutil.rmtree(out, ignore_errors=True)

    monkeypatch.setattr(run, "_step", removed)
    assert run.run()
    assert {"state.pt", "weights.safetensors", "curves.csv", "snapshots"} <= {path.name for path in out.iterdir()}


def test_one_picture_in_a_step_is_refused_where_batch_normalisation_sees_a_single_value(
    samples: list[Sample], tmp_path: Path
) -> None:
    for side, pictures in ((16, 2), (32, 1)):  # the U-Net's innermost maps are 1 × 1, two of them, and 2 × 2
        batches = Batches(samples, None, NETWORK.preprocessing, size=pictures, seed=0)
        assert Trainer(UNet(3, 2, width=2), batches, Settings(tmp_path, epochs=1, sides=(side,))).run()
    network = UNet(3, 2, width=2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batches = Batches(samples[:1], None, NETWORK.preprocessing, size=4, seed=0)
    with pytest.raises(InputError, match="one picture of 16 pixels") as refusal:
        Trainer(network, batches, Settings(tmp_path, sides=(32, 16)))
    assert refusal.value.code == "train_batch_one"
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_fewer_pictures_than_processes_are_refused(samples: list[Sample]) -> None:
    with pytest.raises(InputError, match="2 pictures in a step cannot be shared by 3 processes"):
        Batches(samples[:2], None, NETWORK.preprocessing, size=4, seed=0, part=(0, 3))
