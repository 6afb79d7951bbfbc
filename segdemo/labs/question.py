"""What the page and the command line ask about labs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from segdemo import ambient
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.labs import LABS, layers
from segdemo.labs.lab import Lab, Outcome
from segdemo.labs.patches import Patch, patch

Words = tuple[tuple[str, str], ...]  # (setting, word) for each that is not as at first


@dataclass(frozen=True)
class RunLab(Question):
    """Ask what a lab shows for a picture.

    Args:
        lab: its name.
        picture: fingerprint of a picture that the engine keeps.
        words: the settings that are not as at first, as an address has them.
        quick: only what needs no pass, where the lab tells that apart.
    """

    lab: str
    picture: str
    words: Words = ()
    quick: bool = False

    def answer(self, bench: Bench) -> Outcome:
        """Run the lab."""
        settings = settings_of(self.lab, dict(self.words))
        if not self.quick:
            return run(self.lab, bench.picture, settings)
        with alone():
            return quick_of(self.lab)(bench.picture, **settings)


@dataclass(frozen=True)
class LookAtPatch(Question):
    """Ask which input values one value of the lab of layers was made of.

    Args:
        picture: fingerprint of a picture that the engine keeps.
        words: as for :class:`RunLab`.
        channel: of the output.
        row: of the output.
        column: of the output.
    """

    picture: str
    words: Words
    channel: int
    row: int
    column: int

    def answer(self, bench: Bench) -> Patch:
        """Write the value out."""
        settings = settings_of("layers", dict(self.words))
        with alone():
            return patch(layers.computed(bench.picture, **settings), settings, self.channel, self.row, self.column)


def find(name: str) -> Lab:
    """Return a lab.

    Raises:
        InputError: there is none of that name.
    """
    if name in LABS:
        return LABS[name]
    raise InputError(
        "unknown_lab",
        "There is no lab called {name!r}; there are {labs}. Choose one of them.",
        name=name[:60],
        labs=", ".join(LABS),
    )


def quick_of(lab: str) -> Callable[..., Outcome]:
    """Return what of a lab answers at once: its ``quick``, where it has one."""
    found: Callable[..., Outcome] = getattr(find(lab), "quick", find(lab).run)
    return found


def settings_of(lab: str, words: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings of a lab, those that words name as they name them.

    Args:
        lab: its name.
        words: by name of the setting, as an address has them.

    Raises:
        InputError: there is no such setting, or it cannot be set to that.
    """
    controls = find(lab).settings()
    for name in words:
        if name not in controls:
            raise InputError(
                "unknown_setting",
                "The lab {lab} has no setting {name!r}; it has {settings}. Use one of them.",
                lab=lab,
                name=name[:60],
                settings=", ".join(controls),
            )
    return {
        name: control.read(name, words[name]) if name in words else control.default
        for name, control in controls.items()
    }


def run(lab: str, picture: Image.Image, settings: Mapping[str, Any]) -> Outcome:
    """Run a lab, each setting checked, and leave PyTorch's random numbers as they were.

    Args:
        lab: its name.
        picture: any size.
        settings: all of them, or some.

    Raises:
        InputError: the lab cannot do that.
    """
    with alone():
        return find(lab).run(picture, **checked(lab, settings))


def checked(lab: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a lab, those given checked.

    Raises:
        InputError: one of them cannot be.
    """
    controls = find(lab).settings()
    settings_of(lab, {name: "" for name in settings if name not in controls})  # refuses what there is not
    return {
        name: control.check(name, settings[name]) if name in settings else control.default
        for name, control in controls.items()
    }


@contextmanager
def alone() -> Iterator[None]:
    """Keep what a lab does to PyTorch within the block."""
    with ambient.plain(), torch.inference_mode(False), torch.enable_grad(), ambient.drawing():
        yield
