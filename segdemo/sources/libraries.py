"""Networks by the names that installed libraries have for them, with random weights, built when they are asked for.

A name is ``"timm:convnext_atto"``, ``"smp:unet:resnet34"``, ``"transformers:SegformerForSemanticSegmentation"`` or
``"torchvision:vgg11"``. Only what a library itself lists is built: no file, no address and no code can be named. A
library is imported when somebody looks for a name or asks for one, and no hub is asked for anything.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import nn

from segdemo import ambient
from segdemo.errors import InputError
from segdemo.networks.network import Network
from segdemo.sources import smp, timm, torchvision, transformers

MOST_PARAMETERS = 350_000_000  # 1.4 GB; the largest of the tutorial's list has 306 million
MOST_FOUND = 24  # names shown of those found
SAID = 160  # characters quoted of what a library raised


class Library(Protocol):
    """What the file of a library holds beside what it tells of networks at hand."""

    def names(self) -> tuple[str, ...]:
        """Return the names of all networks that it can build."""

    def build(self, name: str, classes: int = 0) -> nn.Module:
        """Build one of them with random weights."""


# By the word before the colon: the package to import, and our file.
LIBRARIES: dict[str, tuple[str, Library]] = {
    "torchvision": ("torchvision", torchvision),
    "timm": ("timm", timm),
    "smp": ("segmentation_models_pytorch", smp),
    "transformers": ("transformers", transformers),
}


@dataclass(frozen=True)
class Build:
    """Builds a network of a library with random weights; can be pickled.

    Args:
        library: as in ``LIBRARIES``.
        name: as the library has it.
    """

    library: str
    name: str

    def __call__(self, classes: int) -> nn.Module:
        """Build it, for as many classes as its library gives it."""
        with offline():
            return LIBRARIES[self.library][1].build(self.name)


def installed() -> list[str]:
    """Return the libraries that are installed; none is imported."""
    return [name for name, (package, _) in LIBRARIES.items() if find_spec(package) is not None]


def search(words: str) -> tuple[str, ...]:
    """Return the names of networks in which all words occur, at most ``MOST_FOUND``, the shortest of each library.

    Args:
        words: apart by spaces, in any order; none finds those that the tutorial lists.
    """
    wanted = words.lower().replace(":", " ").split()
    if not wanted:
        return tuple(f"torchvision:{name}" for name in torchvision.LISTED)
    ranked = []
    for place, library in enumerate(installed()):
        found = [name for name in _names(library) if all(word in f"{library}:{name}".lower() for word in wanted)]
        found.sort(key=lambda name: (len(name), name))
        ranked += [(rank, place, f"{library}:{name}") for rank, name in enumerate(found[:MOST_FOUND])]
    return tuple(name for _, _, name in sorted(ranked)[:MOST_FOUND])  # of each library the best


def network(name: str) -> Network:
    """Describe a network of a library with random weights; it is built and run once for that.

    Args:
        name: with the library before a colon.

    Raises:
        InputError: the library is not installed, has no such network, cannot build it, or it is too large.
    """
    from segdemo.sources import network_of  # which looks up names here

    library, _, inner = name.partition(":")
    if library not in LIBRARIES or library not in installed():
        raise InputError(
            "library_missing",
            "“{library}” is no library of networks that is installed here. Installed are {installed}.",
            library=library[:60],
            installed=", ".join(installed()) or "none",
        )
    if inner not in _names(library):
        near = get_close_matches(inner[:100], _names(library), n=3, cutoff=0.5) or search(library)[:3]
        raise InputError(
            "library_unknown",
            "{library} has no network called “{name}”. Try {nearest}.",
            library=library,
            name=inner[:60],
            nearest=", ".join(near),
        )
    build = Build(library, inner)
    with ambient.making(), ambient.drawing(seed=0):
        check_size(build, name)
        module = _built(build, name).eval()
    spec = network_of(module, title=f"{library} · {inner}")
    official = inner if library == "torchvision" else ""
    return replace(spec, name=name, build=build, weights="random", traced=True, official=official)


@cache
def _names(library: str) -> tuple[str, ...]:
    return LIBRARIES[library][1].names()


def most_parameters() -> int:
    """Return how many parameters a network of a library may have: SEGDEMO_MOST_PARAMETERS says so."""
    word = os.environ.get("SEGDEMO_MOST_PARAMETERS", "")
    return int(word) if word.isdecimal() else MOST_PARAMETERS


def check_size(build: Build, name: str) -> None:
    """Refuse a network that would take too much memory, without taking it.

    Args:
        build: makes it.
        name: for the sentence.

    Raises:
        InputError: it is too large, or its library raises.
    """
    with ambient.making():
        try:
            with torch.device("meta"):
                count = sum(parameter.numel() for parameter in build(0).parameters())
        except Exception:  # some compute on values while they are made: these are counted while they grow
            return
    if count > most_parameters():
        raise _too_large(name, count)


def _built(build: Build, name: str) -> nn.Module:
    """Build a network, and stop as soon as it is too large."""
    count, most, builder = 0, most_parameters(), threading.get_ident()

    def registered(module: nn.Module, key: str, parameter: Any) -> None:
        nonlocal count
        if threading.get_ident() == builder and parameter is not None:
            count += parameter.numel()
            if count > most:
                raise _too_large(name, count)

    hook = nn.modules.module.register_module_parameter_registration_hook(registered)
    try:
        return build(0)
    except InputError:
        raise
    except Exception as error:  # of a library: not every pair of its parts fits together
        raise InputError(
            "library_failed",
            "{name} cannot be built as its library has it: {kind}: {said}. Choose another.",
            name=name,
            kind=type(error).__name__,
            said=" ".join(str(error).split())[:SAID].rstrip(".!") or "nothing",
        ) from error
    finally:
        hook.remove()


def _too_large(name: str, count: int) -> InputError:
    return InputError(
        "library_network_too_large",
        "{name} has {count} million parameters or more, and at most {most} million are taken here. Choose a smaller "
        "one, or open it in Python with segdemo.explore(network).",
        name=name,
        count=round(count / 1e6),
        most=most_parameters() // 1_000_000,
    )


@contextmanager
def offline() -> Iterator[None]:
    """Keep Hugging Face's libraries from asking their hub as long as the block lasts."""
    if find_spec("huggingface_hub") is None:
        yield
        return
    constants: Any = import_module("huggingface_hub.constants")
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
