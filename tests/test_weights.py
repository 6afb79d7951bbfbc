"""Files that anybody may have written: the right values, or one sentence and an unchanged network."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from segdemo import InputError, checkpoints, weights

relaxed = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def network(value: float) -> nn.Sequential:
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for tensor in made.parameters():
        tensor.data.fill_(value)
    return made


STATE = {name: tensor.clone() for name, tensor in network(7).state_dict().items()}


def loaded(path: Path) -> bool:
    module = network(1)
    report = checkpoints.load_partial(module, path)
    return len(report.loaded) == len(STATE) and all(
        torch.equal(tensor, STATE[name]) for name, tensor in module.state_dict().items()
    )


def refused(path: Path) -> InputError:
    module = network(1)
    with pytest.raises(InputError) as refusal:
        checkpoints.load_partial(module, path)
    assert all(torch.equal(tensor, network(1).state_dict()[name]) for name, tensor in module.state_dict().items())
    assert "weights_only" not in str(refusal.value) and "\x1b" not in str(refusal.value)
    return refusal.value


def wrapped(state: Any, wrappers: list[str]) -> Any:
    for wrapper in wrappers:
        state = [state] if wrapper == "list" else (state, {"epoch": 1}) if wrapper == "tuple" else {wrapper: state}
    return state


@relaxed
@given(
    prefixes=st.lists(st.sampled_from(weights.PREFIXES), max_size=4),
    wrappers=st.lists(st.sampled_from([*weights.WRAPPERS, "list", "tuple"]), max_size=3),
    extras=st.dictionaries(st.sampled_from(["mask_values", "n_averaged", "epoch"]), st.just(torch.tensor(3))),
    name=st.sampled_from(["a.pth", "a.bin", "a.SAFETENSORS"]),
)
def test_however_wrapped_and_prefixed_the_same_weights_arrive(
    tmp_path: Path, prefixes: list[str], wrappers: list[str], extras: dict[str, Any], name: str
) -> None:
    named = {"".join(prefixes) + key: tensor for key, tensor in STATE.items()}
    torch.save(wrapped({**named, **extras}, wrappers), tmp_path / name)
    assert loaded(tmp_path / name)
    safetensors.torch.save_file(named, tmp_path / name)
    assert loaded(tmp_path / name)


def written(how: str) -> bytes:
    if how == "safetensors":
        return safetensors.torch.save(STATE)
    file = io.BytesIO()
    torch.save(STATE, file, _use_new_zipfile_serialization=how == "zip")
    return file.getvalue()


@relaxed
@given(how=st.sampled_from(["safetensors", "zip", "legacy"]), data=st.data())
def test_a_damaged_file_gives_weights_or_a_sentence(tmp_path: Path, how: str, data: st.DataObject) -> None:
    content = bytearray(written(how))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.pth"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        checkpoints.load_partial(network(1), path)
    except InputError:
        refused(path)


@relaxed
@given(content=st.binary(max_size=200))
def test_any_bytes_get_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    assert refused(tmp_path / "a.pth").code == "checkpoint_unreadable"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.to_sparse(), "0.weight .* is sparse"),
        (lambda t: t.to("meta"), "is without values, on the meta device"),
        (lambda t: t.to(torch.complex64), "is of complex numbers"),
        (lambda t: t.to(torch.int8), "is of int8 numbers"),
        (lambda t: t * torch.nan, "108 values that are NaN or infinite"),
        (lambda t: t.double() * 1e300, "108 values that are NaN or infinite"),
    ],
)
def test_tensors_that_are_no_weights_are_named(tmp_path: Path, change: Callable[..., Any], words: str) -> None:
    torch.save({**STATE, "0.weight": change(STATE["0.weight"])}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=words):
        checkpoints.load_partial(network(1), tmp_path / "a.pth")


def test_what_is_no_file_of_weights_is_said_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(20 << 30)
    (tmp_path / "claims").write_bytes(struct.pack("<Q", 2 << 30) + b"{" + b" " * 100)
    torch.save(network(1), tmp_path / "module")
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a/data.pkl", bytes(1 << 20))
    torch.save({"epoch": 3, "model": None}, tmp_path / "unknown")
    for name, words in {
        "": "it is a folder",
        "none": "there is no such file",
        "pipe": "it is no regular file",
        "loop": "too many levels of symbolic links",
        "huge": r"it has 21\.5 GB, and at most 2\.1 GB are read",
        "claims": "its header would have 2147483648 bytes, and the file has 109",
        "module": "it holds torch.nn.modules.container.Sequential",
        "bomb": "its member a/data.pkl is compressed",
        "unknown": "None of the 0 tensors",
    }.items():
        with pytest.raises(InputError, match=words):
            checkpoints.load_partial(network(1), tmp_path / name)
        refused(tmp_path / name)


def test_a_prefix_that_only_some_tensors_have_stays(tmp_path: Path) -> None:
    torch.save({"module.0.weight": STATE["0.weight"], "0.bias": STATE["0.bias"]}, tmp_path / "a.pth")
    report = checkpoints.load_partial(network(1), tmp_path / "a.pth")
    assert (report.loaded, report.unexpected) == (("0.bias",), ("module.0.weight",))


def test_the_one_state_dict_in_a_wrapper_of_any_name_is_found_and_several_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    count = torch.tensor(3)
    for content in (
        {"ema": {"module": STATE, "n_averaged": count}},
        {"task": {"student": STATE}, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}},
        {"model": STATE, "ema": {name: tensor + 1 for name, tensor in STATE.items()}},
        {"_fsdp_wrapped_module." + name: tensor for name, tensor in STATE.items()},
    ):
        torch.save(content, path)
        assert loaded(path)
    torch.save({"student": STATE, "teacher": STATE}, path)
    assert "it holds several state dicts, student, teacher; save the one that is meant alone" in str(refused(path))
