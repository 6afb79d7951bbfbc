"""Weights: missing, altered, of another shape, partial, hostile."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from segdemo import checkpoints
from segdemo.errors import InputError
from segdemo.networks import NETWORKS

Pair = tuple[Path, Any]


def network(classes: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, classes, 1))


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """A checkpoint of the small network, and a specification that fits it."""
    path = tmp_path / "small.safetensors"
    save_file(network().state_dict(), path)
    monkeypatch.setenv("SEGDEMO_CHECKPOINTS", str(tmp_path))
    spec = replace(NETWORKS["unet"], name="small")
    checkpoints.ship(spec)
    return path, spec


def state_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_folder_is_the_one_beside_the_package_unless_the_environment_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEGDEMO_CHECKPOINTS", raising=False)
    assert checkpoints.folder() == Path(__file__).parents[1] / "checkpoints"
    monkeypatch.setenv("SEGDEMO_CHECKPOINTS", str(tmp_path))
    assert checkpoints.folder() == tmp_path
    assert checkpoints.path_of(NETWORKS["unet"]) == tmp_path / "unet.safetensors"


def test_installed_package_has_its_weights_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "segdemo" / "weights").mkdir(parents=True)
    monkeypatch.delenv("SEGDEMO_CHECKPOINTS", raising=False)
    monkeypatch.setattr(checkpoints, "__file__", str(tmp_path / "segdemo" / "checkpoints.py"))
    assert checkpoints.folder() == tmp_path / "segdemo" / "weights"


def test_weights_that_fit_are_loaded(saved: Pair) -> None:
    path, spec = saved
    module = network()
    assert checkpoints.load(module, spec) is True
    assert same(state_of(module), load_file(path))


def test_network_without_weights_keeps_its_random_start_and_says_so(saved: Pair) -> None:
    module = network()
    before = state_of(module)
    assert checkpoints.load(module, replace(saved[1], name="another")) is False
    assert same(before, state_of(module))


def test_missing_file_is_named(saved: Pair) -> None:
    path, spec = saved
    path.unlink()
    with pytest.raises(InputError, match=r"small\.safetensors.*SEGDEMO_CHECKPOINTS") as refusal:
        checkpoints.load(network(), spec)
    assert refusal.value.code == "checkpoint_missing"
    assert refusal.value.values["path"] == path


@pytest.mark.parametrize("at", [0, 100, -1])
def test_one_flipped_bit_is_noticed(saved: Pair, at: int) -> None:
    path, spec = saved
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    module = network()
    before = state_of(module)
    found, expected = hashlib.sha256(content).hexdigest(), checkpoints.shipped(spec).sha256
    with pytest.raises(InputError, match=f"SHA-256 {found}.*{expected}") as refusal:
        checkpoints.load(module, spec)
    assert refusal.value.code == "checkpoint_altered"
    assert same(before, state_of(module))


def test_weights_for_another_number_of_classes_are_refused(saved: Pair) -> None:
    module = network(classes=5)
    before = state_of(module)
    with pytest.raises(
        InputError, match="0 tensors are missing, 0 are not expected and 2 have another shape"
    ) as refusal:
        checkpoints.load(module, saved[1])
    assert refusal.value.code == "checkpoint_mismatch"
    assert refusal.value.values["example"] == "1.weight"
    assert same(before, state_of(module))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_partial_load_says_what_became_of_each_tensor(tmp_path: Path, suffix: str, wrapped: bool) -> None:
    given = {
        "0.weight": torch.full((4, 3, 3, 3), 7.0),
        "1.weight": torch.zeros(5, 4, 1, 1),
        "1.bias": torch.full((2,), 3.0),
        "head.weight": torch.zeros(1),
    }
    path = tmp_path / f"given{suffix}"
    if suffix == ".pth":
        named = {f"module.{name}": tensor for name, tensor in given.items()} if wrapped else given
        torch.save({"epoch": 3, "state_dict": named} if wrapped else named, path)
    else:
        save_file(given, path)
    module = network()
    before = state_of(module)
    report = checkpoints.load_partial(module, path)
    assert report.loaded == ("0.weight", "1.bias")
    assert report.missing == ("0.bias",)
    assert report.unexpected == ("head.weight",)
    assert report.mismatched == ("1.weight",)
    after = state_of(module)
    assert torch.equal(after["0.weight"], given["0.weight"]) and torch.equal(after["1.bias"], given["1.bias"])
    assert torch.equal(after["0.bias"], before["0.bias"]) and torch.equal(after["1.weight"], before["1.weight"])


def test_values_that_are_no_tensors_are_reported_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "given.pth"
    torch.save({**network().state_dict(), "mask_values": [0, 255]}, path)
    report = checkpoints.load_partial(network(), path)
    assert report.unexpected == ("mask_values",)
    assert len(report.loaded) == 4


def test_file_for_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "given.safetensors"
    save_file({"elsewhere": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="None of the 1 tensors") as refusal:
        checkpoints.load_partial(network(), path)
    assert refusal.value.code == "checkpoint_empty"


class Hostile:
    """Unpickling this creates a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_file_does_not_run(tmp_path: Path, writer: str) -> None:
    victim, path = tmp_path / "victim", tmp_path / "hostile.pth"
    content = {"0.weight": torch.zeros(4, 3, 3, 3), "code": Hostile(victim)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(Hostile(victim)))
    module = network()
    before = state_of(module)
    with pytest.raises(InputError, match="cannot be read as weights") as refusal:
        checkpoints.load_partial(module, path)
    assert refusal.value.code == "checkpoint_unreadable"
    assert not victim.exists()
    assert same(before, state_of(module))


@pytest.mark.parametrize("name", ["none.pth", "none.safetensors", "text.pth", "text.safetensors", "list.pth"])
def test_files_that_are_no_weights_are_refused(tmp_path: Path, name: str) -> None:
    if name.startswith("text"):
        (tmp_path / name).write_text("no weights here")
    elif name.startswith("list"):
        torch.save([torch.zeros(1)], tmp_path / name)
    with pytest.raises(InputError, match=name) as refusal:
        checkpoints.load_partial(network(), tmp_path / name)
    assert refusal.value.code == "checkpoint_unreadable"


def test_a_snapshot_of_the_training_is_loaded_by_its_step_and_checked_like_the_rest(saved: Pair) -> None:
    path, spec = saved
    early = path.with_name("small-step-200.safetensors")
    save_file(network().half().state_dict(), early)
    assert list(checkpoints.ship(spec).snapshots) == [200]
    module = network()
    assert checkpoints.load(module, spec, step=200) is True
    assert same(state_of(module), {name: tensor.float() for name, tensor in load_file(early).items()})
    assert not same(state_of(module), load_file(path))
    with pytest.raises(InputError, match=r"no snapshot of small at step 300; there are snapshots at 200\."):
        checkpoints.load(module, spec, step=300)
    early.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="has SHA-256"):
        checkpoints.load(module, spec, step=200)


def test_the_manifest_names_the_checksum_and_the_snapshots_in_order(saved: Pair) -> None:
    path, spec = saved
    for step in (200, 30):
        save_file(network().half().state_dict(), path.with_name(f"small-step-{step}.safetensors"))
    found = checkpoints.ship(spec)
    assert found == checkpoints.shipped(spec)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [(step, checksum) for step, checksum in found.snapshots.items()] == [
        (step, hashlib.sha256(path.with_name(f"small-step-{step}.safetensors").read_bytes()).hexdigest())
        for step in (30, 200)
    ]
    assert checkpoints.shipped(replace(spec, name="another")) == checkpoints.Shipped()


@pytest.mark.parametrize(
    "content",
    [None, b"", b"[]", b"{", b'{"small": 3}', b'{"small": {}}', b'{"small": {"sha256": "a", "snapshots": 1}}'],
)
def test_a_manifest_that_is_missing_or_damaged_is_named(saved: Pair, content: bytes | None) -> None:
    path = saved[0].with_name("manifest.json")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"manifest\.json, which lists the checkpoints, is missing or damaged"):
        checkpoints.load(network(), saved[1])
