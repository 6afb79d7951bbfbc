"""The state dict in a file that anybody may have written: no code in it runs, and memory stays near the file's size.

Understood are ``.safetensors`` and what ``torch.save`` writes, told apart by their content. A state dict may be wrapped
in a dictionary, a list or a tuple, its names may stand behind ``module.`` and the like, and plain values may lie about.
"""

from __future__ import annotations

import argparse
import codecs
import pathlib
import pickletools
import re
import stat
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from segdemo.errors import InputError, Phrase

MAX_BYTES = 2 << 30  # a network of half a billion float32 weights
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights", "ema", "params", "model_state", "generator")
PREFIXES = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "model.", "net.")  # of wrappers, and of people
ASIDE = ("n_averaged",)  # tensors that averaging keeps beside the weights
LOOKED_AT = 1 << 20  # bytes of a pickle that is not read, to say what is in it
DEEPEST = 8  # wrappers within each other
KNOWN_AS = {
    b"": "it is empty",
    b"version https://git-lfs": "it is a Git LFS pointer, not the weights themselves; run `git lfs pull`",
    b"<": "it is a web page or XML; download the file itself",
    b"{": "it is JSON",
    b"\x1f\x8b": "it is compressed with gzip; unpack it",
    b"\xfd7zXZ": "it is compressed with xz; unpack it",
    b"]\x00\x00": "it is compressed with LZMA; unpack it",
    b"BZh": "it is compressed with bzip2; unpack it",
    b"\x28\xb5\x2f\xfd": "it is compressed with Zstandard; unpack it",
    b"7z\xbc\xaf": "it is a 7z archive; unpack it",
    b"\x89HDF": "it is an HDF5 file of Keras",
    b"\x89PNG": "it is a picture",
    b"\xff\xd8\xff": "it is a picture",
    b"GGUF": "it is a GGUF file",
}


class Unreadable(Exception):
    """A file holds no state dict; the text says what it is instead."""


def read(path: Path, wanted: Collection[str]) -> dict[str, Any]:
    """Read the state dict of a file.

    Args:
        path: of the file.
        wanted: names of the network's tensors; prefixes are taken off names as long as that brings them nearer.

    Returns:
        Values by name: tensors, and whatever else lay beside them.

    Raises:
        InputError: ``checkpoint_unreadable``, with what the file is instead.
    """
    return named(read_state(path), wanted)


def read_state(path: Path, most: int = MAX_BYTES) -> dict[str, Any]:
    """Read the state dict of a file, wrappers taken off, under the names that it has there.

    Args:
        path: of the file.
        most: bytes it may have.

    Returns:
        Values by name: tensors, and whatever else lay beside them.

    Raises:
        InputError: as for :func:`read`.
    """
    with refusals(path):
        check_file(path, most)
        with path.open("rb") as file:
            values = _unwrapped(_read(file))
        return {str(name): _as_tensor(value) for name, value in values.items()}


class refusals:
    """Turn whatever a reader raises in the block into one sentence about the file.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        """End the block."""
        if isinstance(error, Exception) and not isinstance(error, InputError):  # readers raise anything
            raise InputError(
                "checkpoint_unreadable",
                "The file {path} cannot be read as weights: {reason}. It has to be .safetensors, or a state dict saved "
                "with torch.save that holds only tensors. Save it as one of these.",
                path=self.path,
                reason=_reason(error),
            ) from error


def check_file(path: Path, most: int = MAX_BYTES) -> None:
    """Refuse what cannot be opened without waiting or read without much memory.

    Args:
        path: of the file.
        most: bytes it may have.

    Raises:
        Unreadable: no regular file, or larger than ``most``.
        OSError: there is none, or nobody may see it.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise Unreadable("it is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable("it is no regular file")
    if found.st_size > most:
        sizes: dict[str, object] = {"size": f"{found.st_size / 1e9:.1f}", "most": f"{most / 1e9:.1f}"}
        raise Unreadable(Phrase("file_too_large", "it has {size} GB, and at most {most} GB are read", sizes))


def _read(file: IO[bytes]) -> Any:
    """Read an open file by what its content is."""
    head = file.read(64)
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(head[:8], "little")  # of the header, if it is safetensors; it may look like any beginning
    if head[8:9] == b"{" and length <= size - 8:
        return safetensors.torch.load(file.read())
    if head.startswith(b"PK"):
        _check_zip(file, size)
        return _load(file)
    if head[:1] == b"\x80":  # a pickle
        if head[1:2] > b"\x02":
            _refuse_new_pickle(file)
        return _load(file)
    if head[8:9] == b"{":
        words = "it is damaged: its header would have {length} bytes, and the file has {size}"
        raise Unreadable(Phrase("header_too_long", words, {"length": length, "size": size}))
    for beginning, what in KNOWN_AS.items():
        if head.lstrip().startswith(beginning) if beginning else not head:
            raise Unreadable(what)
    raise Unreadable("its content is of another kind")


def _check_zip(file: IO[bytes], size: int) -> None:
    """Refuse archives that torch.save did not write, and those that would grow when they are read."""
    try:
        members = zipfile.ZipFile(file).infolist()
    except Exception as error:
        raise Unreadable("it is damaged or cut off") from error
    finally:
        file.seek(0)
    names = [member.filename.partition("/")[2] for member in members]
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise Unreadable("it is a TorchScript program; save the state_dict() of the network instead")
    if "data.pkl" not in names:
        raise Unreadable("it is a zip archive, but not one of torch.save")
    packed = next((member.filename for member in members if member.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None or sum(member.file_size for member in members) > size:
        member = packed or members[0].filename
        words = "its member {member} is compressed, which torch.save never does"
        raise Unreadable(Phrase("member_compressed", words, {"member": member}))


def _refuse_new_pickle(file: IO[bytes]) -> None:
    """Say what is in a pickle that torch.save did not write, without making any of it."""
    found, words = "", ["", ""]
    with suppress(Exception):  # it may break off anywhere
        for code, argument, _ in pickletools.genops(file.read(LOOKED_AT)):
            if isinstance(argument, str):
                words = [words[-1], argument]
            if code.name in ("GLOBAL", "STACK_GLOBAL"):
                found = ".".join(str(argument).split() if code.name == "GLOBAL" else words)
                break
    if found:
        raise Unreadable(_holds_code(found))
    raise Unreadable("it is a pickle that torch.save did not write")


def _holds_code(name: str) -> Phrase:
    words = "it holds {culprit}, which is more than plain values; making that would run code, so nothing was made"
    return Phrase("holds_code", words, {"culprit": name})


def _load(file: IO[bytes]) -> Any:
    """Read what torch.save wrote; of classes, only such that hold plain values are made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how old the format is
        with torch.serialization.safe_globals(list(_plain_kinds())):
            return torch.load(file, map_location="cpu", weights_only=True)


def _plain_kinds() -> Iterator[Any]:
    """Yield what people's training loops leave in checkpoints and what does nothing when it is made."""
    yield argparse.Namespace
    yield pathlib.PurePosixPath
    yield pathlib.PurePosixPath, "pathlib.PosixPath"
    yield np.ndarray
    yield np.dtype
    yield codecs.encode, "_codecs.encode"
    yield from {type(np.dtype(kind)) for kind in ("?", *np.typecodes["AllInteger"], *np.typecodes["Float"], "U", "S")}
    for name, home in (("scalar", np.float64().__reduce__()[0]), ("_reconstruct", np.empty(0).__reduce__()[0])):
        for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since NumPy 2
            yield home, f"{module}.{name}"


def _reason(error: Exception) -> str:
    """Say in a few words why a file cannot be read, naming what in it is at fault."""
    if isinstance(error, Unreadable):
        reason: str = error.args[0]
        return reason
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = _plain(error)
    culprit = re.search(r"(?:(?:GLOBAL|global) |(?:[Cc]lass|[Ff]unction|[Tt]ype) (?=\S*\.))([A-Za-z_][\w.]*\w)", text)
    if culprit:
        return _holds_code(culprit[1])
    if "weights_only" in text.lower().replace(" ", "_"):
        return "it is damaged, or holds more than plain values"
    return (text.splitlines() or [""])[0].strip().rstrip(".") or type(error).__name__


def _plain(error: Exception) -> str:
    """Return the text of an error without the colours of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error))


def _unwrapped(values: Any) -> Mapping[Any, Any]:
    """Return the state dict within wrappers."""
    for _ in range(DEEPEST):
        if isinstance(values, list | tuple):
            inside = [value for value in values if _has_tensors(value)]
            if len(inside) != 1:
                found: dict[str, object] = {"kind": type(values).__name__, "count": len(inside)}
                raise Unreadable(
                    Phrase("list_of_dicts", "a state dict was expected, and it is a {kind} with {count}", found)
                )
            values = inside[0]
        elif not isinstance(values, Mapping):
            words = "a state dict was expected, and it is a value of type {kind}"
            raise Unreadable(Phrase("no_dict", words, {"kind": type(values).__name__}))
        else:
            known = next((values[key] for key in WRAPPERS if _has_tensors(values.get(key))), None)
            inner = _only_one(values) if known is None else known
            if inner is None:
                return values
            values = inner
    raise Unreadable(Phrase("wrapped_too_deep", "its state dict is wrapped more than {most} times", {"most": DEEPEST}))


def _only_one(values: Mapping[Any, Any]) -> Any:
    """Return the one state dict in a wrapper, whatever its name; None where the weights lie in the mapping itself.

    Raises:
        Unreadable: there are several, and nothing says which is meant.
    """
    if any(isinstance(value, Tensor | np.ndarray) and value.ndim for value in values.values()):
        return None
    inside = {str(key): one for key, one in values.items() if _has_tensors(one) and "optim" not in str(key).lower()}
    if len(inside) > 1:
        words = "it holds several state dicts, {names}; save the one that is meant alone"
        raise Unreadable(Phrase("several_dicts", words, {"names": ", ".join(list(inside)[:5])}))
    return next(iter(inside.values()), None)


def _has_tensors(value: object, depth: int = 0) -> bool:
    """Whether a value is or holds tensors, so that it may be a state dict or wrap one."""
    if depth > DEEPEST or not isinstance(value, Mapping | list | tuple):
        return depth > 0 and isinstance(value, Tensor | np.ndarray)
    return any(_has_tensors(one, depth + 1) for one in (value.values() if isinstance(value, Mapping) else value))


def named(values: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    """Return values by the names that a network has for them, as far as taking prefixes off all tensors helps.

    Args:
        values: as :func:`read_state` returns them.
        wanted: names of the network's tensors.
    """
    known = set(wanted)
    tensors = [name for name, value in values.items() if isinstance(value, Tensor) and not _beside(name, value, known)]
    best, taken = sum(name in known for name in tensors), 0
    cut = 0
    while tensors:
        prefix = next((one for one in PREFIXES if all(name[cut:].startswith(one) for name in tensors)), None)
        if prefix is None:
            break
        cut += len(prefix)
        fitting = sum(name[cut:] in known for name in tensors)
        if fitting > best:
            best, taken = fitting, cut
    if not best:
        taken = cut  # nothing fits either way: name them as short as they are
    beginning = tensors[0][:taken] if tensors else ""
    return {name.removeprefix(beginning): value for name, value in values.items()}


def _beside(name: str, tensor: Tensor, known: Collection[str]) -> bool:
    """Whether a tensor is no weight but a count that lies beside them: it says nothing about prefixes."""
    return name in ASIDE or ("." not in name and name not in known and not tensor.is_nested and tensor.dim() == 0)


def _as_tensor(value: Any) -> Any:
    """Return an array of NumPy as a tensor; anything else as it is."""
    if isinstance(value, np.ndarray):
        with suppress(TypeError):  # of words, for instance
            return torch.from_numpy(value.copy())
    return value
