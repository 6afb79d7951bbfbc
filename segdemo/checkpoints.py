"""Trained weights: found, checked, and loaded strictly, or partially with a report."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from segdemo.errors import InputError
from segdemo.networks.network import Network
from segdemo.weights import check_file, read, refusals

MANIFEST = "manifest.json"  # beside the checkpoints: their checksums, and which snapshots there are


@dataclass(frozen=True)
class Report:
    """What became of each tensor when a checkpoint was loaded as far as it fits.

    Args:
        loaded: names of tensors that are now in the network.
        missing: names of tensors of the network that the file does not have; they keep their values.
        unexpected: names in the file that the network does not have.
        mismatched: names in both, with different shapes; they keep their values.
        aside: names in the file of what is no tensor, or no weight: what a training loop keeps beside the weights.
        not_finite: values that are NaN or infinite among what was loaded.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    aside: tuple[str, ...] = ()
    not_finite: int = 0

    @property
    def complete(self) -> bool:
        """Whether every tensor of the network was loaded."""
        return not self.missing and not self.mismatched


def folder() -> Path:
    """Return where checkpoints are.

    That is what the environment variable ``SEGDEMO_CHECKPOINTS`` says, else ``weights`` inside the package where it
    was installed, else ``checkpoints`` beside the package.
    """
    chosen = os.environ.get("SEGDEMO_CHECKPOINTS")
    if chosen:
        return Path(chosen)
    package = Path(__file__).resolve().parent
    installed = package / "weights"
    return installed if installed.is_dir() else package.parent / "checkpoints"


def path_of(spec: Network, step: int | None = None) -> Path:
    """Return where the checkpoint of a network is, or would be.

    Args:
        spec: of the network.
        step: of one of its snapshots, or None for the end of the training.
    """
    return folder() / (f"{spec.name}.safetensors" if step is None else f"{spec.name}-step-{step}.safetensors")


def card_of(spec: Network) -> str:
    """Return the model card of a network, Markdown, without its pictures; empty where there is none."""
    path = folder() / f"{spec.name}.md"
    if spec.weights != "checkpoint" or not path.is_file():
        return ""
    return "\n".join(line for line in path.read_text("utf-8").splitlines() if not line.startswith("!["))


@dataclass(frozen=True)
class Shipped:
    """What the manifest says of a network: which weights of it there are.

    Args:
        sha256: checksum of its checkpoint, lower-case hex; empty where there is none, and the network is untrained.
        snapshots: step of the training → checksum of the weights as they were then, by ascending step.
    """

    sha256: str = ""
    snapshots: Mapping[int, str] = field(default_factory=dict)


def shipped(spec: Network) -> Shipped:
    """Return what ``manifest.json``, in the folder of the checkpoints, says of a network.

    Raises:
        InputError: ``manifest_unreadable``, when there is no such file, or it is damaged.
    """
    if spec.weights != "checkpoint":
        return Shipped()
    path = folder() / MANIFEST
    try:
        entry = json.loads(path.read_text("utf-8")).get(spec.name)
        if entry is None:
            return Shipped()
        steps = sorted((int(step), str(checksum)) for step, checksum in entry.get("snapshots", {}).items())
        return Shipped(str(entry["sha256"]), dict(steps))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(
            "manifest_unreadable",
            "The file {path}, which lists the checkpoints, is missing or damaged. Get it again from where this "
            "program came from, or set SEGDEMO_CHECKPOINTS to a folder that has it.",
            path=path,
        ) from error


def ship(spec: Network) -> Shipped:
    """Enter the checkpoint and the snapshots of a network that lie in the folder into the manifest.

    Returns:
        What is entered.
    """
    found = {int(path.stem.rpartition("-")[2]): path for path in folder().glob(f"{spec.name}-step-*.safetensors")}
    entry: dict[str, Any] = {"sha256": _checksum(path_of(spec))}
    if found:
        entry["snapshots"] = {str(step): _checksum(found[step]) for step in sorted(found)}
    path = folder() / MANIFEST
    manifest = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(manifest | {spec.name: entry}, indent=1) + "\n", "utf-8")
    return shipped(spec)


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def measured_of(spec: Network) -> dict[str, Any]:
    """Return what ``scripts.scores`` measured of a network, as ``measured.json`` has it; empty where it has none."""
    path = folder() / "measured.json"
    if not shipped(spec).sha256 or not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text("utf-8")).get(spec.name, {})
    return found


def sha256_of(spec: Network, step: int | None = None) -> str:
    """Return the checksum that the weights of a network have at a step of the training, "" for an untrained one.

    Args:
        spec: of the network.
        step: of one of its snapshots, or None for the end of the training.

    Raises:
        InputError: ``unknown_step``, when there is no snapshot of that step, or as :func:`shipped`.
    """
    there = shipped(spec)
    if step is None:
        return there.sha256
    if type(step) is int and step in there.snapshots:
        return there.snapshots[step]
    raise InputError(
        "unknown_step",
        "There is no snapshot of {network} at step {step}; there are snapshots at {steps}.",
        network=spec.name,
        step=step,
        steps=", ".join(map(str, there.snapshots)) or "no step",
    )


def load(network: nn.Module, spec: Network, step: int | None = None) -> bool:
    """Load the embedded weights of a network, after checking the file: all but what the network says has none.

    Args:
        network: changed in place.
        spec: says the name of the file; its checksum stands in the manifest.
        step: of one of the network's snapshots, or None for the end of the training.

    Returns:
        True when trained weights are loaded, False when the network, or a part of it, keeps its random start.

    Raises:
        InputError: ``checkpoint_missing``, ``checkpoint_altered`` or ``checkpoint_mismatch``, and as for
            :func:`load_partial`; the network is unchanged.
    """
    expected = sha256_of(spec, step)
    if not expected:
        return False
    path = path_of(spec, step)
    try:
        path.stat()
    except FileNotFoundError:
        raise InputError(
            "checkpoint_missing",
            "There is no file {path}. It has the trained weights of {network}. Put it there, or set "
            "SEGDEMO_CHECKPOINTS to the folder that has it.",
            path=path,
            network=spec.name,
        ) from None
    except OSError:
        pass  # the reader says why
    with refusals(path):
        check_file(path)
        content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise InputError(
            "checkpoint_altered",
            "The file {path} has SHA-256 {found}. The weights of {network} have {expected}. "
            "Get the file again from where this program came from.",
            path=path,
            network=spec.name,
            found=found,
            expected=expected,
        )
    with refusals(path):
        tensors = safetensors.torch.load(content)
    tensors = {name: _usable(network, name, tensor, path) for name, tensor in tensors.items()}
    report = _compare(network, tensors)
    missing = tuple(name for name in report.missing if not name.startswith(spec.untrained))
    if missing or report.unexpected or report.mismatched:
        raise does_not_fit(path, spec.name, missing, report)
    network.load_state_dict(tensors, strict=False)
    return not report.missing


def does_not_fit(path: Path, network: str, missing: Sequence[str], report: Report) -> InputError:
    """Return what to say of a file that has to fit a network as a whole and does not.

    Args:
        path: of the file.
        network: its name.
        missing: names of tensors that are missing and needed.
        report: of the rest.
    """
    return InputError(
        "checkpoint_mismatch",
        "The file {path} does not fit the network {network}: {missing} tensors are missing, {unexpected} are not "
        "expected and {mismatched} have another shape, for example {example}. All have to fit. Build the network "
        "with the number of classes that the file was made for.",
        path=path,
        network=network,
        missing=len(missing),
        unexpected=len(report.unexpected),
        mismatched=len(report.mismatched),
        example=[*report.mismatched, *missing, *report.unexpected][0],
    )


def load_partial(network: nn.Module, path: Path) -> Report:
    """Load from a file whatever fits the network by name and shape; leave everything else as it is.

    Reads what :mod:`segdemo.weights` says, whatever the file is called.

    Args:
        network: changed in place.
        path: the file.

    Returns:
        What was loaded and what was not.

    Raises:
        InputError: ``checkpoint_unreadable``, when the file is missing, damaged, or holds anything but tensors and
            plain values; ``checkpoint_empty``, when no tensor in it fits; ``checkpoint_tensor`` and
            ``checkpoint_not_finite``, when one that fits cannot serve as weights. The network is unchanged.
    """
    return load_fitting(network, read(Path(path), network.state_dict()), path)


def load_fitting(network: nn.Module, values: Mapping[str, Any], path: Path) -> Report:
    """Load whatever fits the network by name and shape out of a state dict; leave everything else as it is.

    Args:
        network: changed in place.
        values: tensors, and what lay beside them, by the names of the network.
        path: of the file they are from, for the sentences.

    Returns:
        What was loaded and what was not.

    Raises:
        InputError: as :func:`load_partial`, once the file is read.
    """
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    usable = {name: _usable(network, name, tensor, path) for name, tensor in tensors.items()}
    report = _compare(network, {**values, **usable})
    if not report.loaded:
        raise InputError(
            "checkpoint_empty",
            "None of the {count} tensors in {path} fits the network by name and shape. At least one has to. "
            "Choose a file made for this network.",
            count=len(tensors),
            path=path,
        )
    network.load_state_dict({name: usable[name] for name in report.loaded}, strict=False)
    return report


def _usable(network: nn.Module, name: str, tensor: Tensor, path: Path) -> Tensor:
    """Return a tensor as it can be copied into the network, if the network wants it; refuse what is no plain array.

    Args:
        network: says what is wanted.
        name: of the tensor.
        tensor: from a file.
        path: of the file, for the sentence.

    Raises:
        InputError: the network has a tensor of that name, and this one cannot serve for it.
    """
    wanted = network.state_dict().get(name)
    if not isinstance(wanted, Tensor):
        return tensor
    came = _unlike(tensor, wanted)
    if came:
        raise InputError(
            "checkpoint_tensor",
            "The tensor {name} in {path} is {came}, which cannot be used as weights. Save it as an ordinary tensor of "
            "floating-point numbers.",
            name=name,
            path=path,
            came=came,
        )
    if tensor.shape != wanted.shape:
        return tensor
    usable = tensor.detach().to(wanted.dtype)
    broken = ~usable.isfinite() if name in dict(network.named_parameters()) else usable.isnan()
    if bool(broken.any()):
        raise InputError(
            "checkpoint_not_finite",
            "The tensor {name} in {path} has {count} values that are NaN or infinite; nothing can be computed with "
            "them. Take a checkpoint from before the training broke.",
            name=name,
            path=path,
            count=int(broken.sum()),
        )
    return usable


def _unlike(tensor: Tensor, wanted: Tensor) -> str:
    """Say what makes a tensor none that weights can be copied from, or nothing."""
    if tensor.is_nested:
        return "nested"
    if tensor.is_quantized:
        return "quantised"
    if tensor.layout != torch.strided:
        return "sparse"
    if tensor.is_meta:
        return "without values, on the meta device"
    if tensor.is_complex() and not wanted.is_complex():
        return "of complex numbers"
    if wanted.is_floating_point() and not tensor.is_floating_point():
        return f"of {str(tensor.dtype).removeprefix('torch.')} numbers"
    return ""


def _compare(network: nn.Module, values: Mapping[str, Any]) -> Report:
    """Sort the names of a network and of a file by what can become of them."""
    wanted = network.state_dict()
    shared = [name for name in wanted if name in values]
    fits = {
        name
        for name in shared
        if isinstance(values[name], Tensor) and values[name].shape == wanted[name].shape  # a list fits nowhere
    }
    return Report(
        loaded=tuple(name for name in shared if name in fits),
        missing=tuple(name for name in wanted if name not in values),
        unexpected=tuple(name for name in values if name not in wanted),
        mismatched=tuple(name for name in shared if name not in fits),
    )
