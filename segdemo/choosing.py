"""What is asked to choose a network: names in libraries, what can be said in place of a guess, official weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from segdemo import ambient, official
from segdemo.engine import Bench, Question
from segdemo.networks import Network
from segdemo.official import State as State
from segdemo.questions import Facts
from segdemo.sources import changes, libraries


@dataclass(frozen=True)
class Found:
    """Names of networks in libraries.

    Args:
        names: as questions name them, the best first.
        libraries: those that are installed.
    """

    names: tuple[str, ...]
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class Search(Question):
    """Ask which networks of the installed libraries have a name with all these words in it.

    Args:
        words: apart by spaces; none asks for those to begin with.
    """

    words: str

    def answer(self, bench: Bench) -> Found:
        """Look; libraries are imported for it, once something is looked for."""
        return Found(libraries.search(self.words), tuple(libraries.installed()))


@dataclass(frozen=True)
class Sayable:
    """What can be said of a network in place of what was guessed, and how it stands now.

    Args:
        keys: what can be said, as :mod:`segdemo.sources.changes` calls it.
        guesses: what was guessed.
        size: input size, pixels.
        mean: of each channel.
        std: of each channel.
        classes: names.
        ending: ``"logits"`` or ``"shares"``.
        output: name of the tensor that is read, "" is the likeliest.
        outputs: the tensors that it returns: name, shape, what each would be read as.
        said: what is said already, by key, as it was written.
    """

    keys: tuple[str, ...]
    guesses: tuple[str, ...]
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    classes: tuple[str, ...]
    ending: str
    output: str
    outputs: tuple[tuple[str, tuple[int, ...], str], ...]
    said: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Said(Question):
    """Ask what can be said of a network.

    Args:
        network: its name.
    """

    network: str

    def answer(self, bench: Bench) -> Sayable:
        """Describe it."""
        spec = bench.spec
        rule = spec.preprocessing
        return Sayable(
            keys=changes.changeable(spec),
            guesses=spec.guesses,
            size=rule.size,
            mean=rule.mean,
            std=rule.std,
            classes=spec.names,
            ending=spec.ending,
            output=spec.output,
            outputs=tuple((one.leaf, one.shape, one.task) for one in spec.outputs),
            said=changes.said(spec.name),
        )


@dataclass(frozen=True)
class Official(Question):
    """Ask for the official weights of a network: whether they are here, or to fetch them.

    It is answered at once; fetching goes on in the background, and how far it is the next look says.

    Args:
        network: its name.
        fetch: begin to fetch them, where they are not here.
        look: number of the look; the same look is answered the same.
    """

    network: str
    fetch: bool = False
    look: int = 0

    def answer(self, bench: Bench) -> State:
        """Look, or begin."""
        return (official.fetch if self.fetch else official.state_of)(bench.spec)


@dataclass(frozen=True)
class Parameters(Question):
    """Ask how many parameters a network has; of one that is not open yet none is made for it.

    Args:
        network: its name.
    """

    network: str
    step: int | None = None

    def answer(self, bench: Bench) -> int:
        """Count them."""
        return count_parameters(bench.spec) or sum(one.numel() for one in bench.module.parameters())


def count_parameters(spec: Network) -> int:
    """Count the parameters of a network without making any, 0 where that cannot be done.

    Args:
        spec: what is known of it.
    """
    if spec.weights == "given":
        return 0
    with ambient.making():
        try:
            with torch.device("meta"):
                return sum(one.numel() for one in spec.build(len(spec.classes)).parameters())
        except Exception:  # of a library: some compute on values while they are made
            return 0


__all__ = ["Facts", "Found", "Official", "Parameters", "Said", "Sayable", "Search"]
