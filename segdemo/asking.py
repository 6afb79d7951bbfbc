"""What is asked of an engine, and what an engine is: the words that every part of the program shares."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from segdemo.pictures import PictureSource, Read

if TYPE_CHECKING:
    from segdemo.bench import Bench

ShouldContinue = Callable[[], bool]
# What others are worked out from has a memory of its own, so that what is on show never makes room for it.
Memory = Literal["answers", "states", "nothing"]


@dataclass(frozen=True)
class Question:
    """What is asked of an engine: hashable, picklable, and able to answer itself when it is handed a bench.

    Every question is a frozen dataclass. One about a network has the fields ``network``, its name, and ``step`` of its
    training, or None; one about a picture has ``picture``, a fingerprint, and ``size``, the input size, or None for the
    network's own.
    """

    grad: ClassVar[bool] = False  # whether its passes record gradients
    memory: ClassVar[Memory] = "answers"  # where the answer is remembered
    hollow: ClassVar[bool] = False  # whether it computes nothing, unless the network is a stranger's

    def answer(self, bench: Bench) -> Any:
        """Work the answer out; it is frozen, and can be pickled."""
        raise NotImplementedError


@dataclass(frozen=True)
class Progress:
    """How far the work on an answer is.

    Args:
        done: steps done, such as layers; 0 while others are served first.
        total: steps there are, 0 while that is not known.
    """

    done: int = 0
    total: int = 0


def always() -> bool:
    """Go on whatever happens."""
    return True


class Engine(Protocol):
    """What answers questions, here or elsewhere."""

    def keep(self, picture: PictureSource) -> str:
        """Read a picture once and return its fingerprint, by which questions name it.

        Raises:
            InputError: it cannot be used as a picture.
        """

    def keeps(self, fingerprint: str) -> bool:
        """Say whether a picture is still kept."""

    def picture(self, fingerprint: str) -> Read:
        """Return a picture that is kept, with notes on how it was read; not to be changed.

        Raises:
            InputError: ``picture_forgotten``, when it is kept no longer.
        """

    def ask(self, question: Question, should_continue: ShouldContinue = always) -> Generator[Any, None, None]:
        """Yield ``Progress`` while the answer is worked out, at least once, and then the answer.

        An answer that is remembered comes at once, without any.

        Closing the iterator, or a False from ``should_continue``, ends the work before the next layer, unless somebody
        else waits for the same answer.

        Raises:
            InputError: what is asked for cannot be had.
            Cancelled: ``should_continue`` said False.
        """

    def answer(self, question: Question, should_continue: ShouldContinue = always) -> Any:
        """Return the answer; raises as :meth:`ask` does."""

    def close(self) -> None:
        """End all work before its next layer; nothing can be asked any more."""
