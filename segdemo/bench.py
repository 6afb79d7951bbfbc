"""The bench: what a question finds when it answers itself."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor, nn

from segdemo import ambient
from segdemo.asking import Progress, Question, ShouldContinue
from segdemo.devices import computing_in
from segdemo.errors import Cancelled
from segdemo.images import Placement, check_input_size, to_batch
from segdemo.networks import Network
from segdemo.opened import Opened, bare
from segdemo.pictures import PictureSource
from segdemo.private import Brought

if TYPE_CHECKING:
    from segdemo.engine import LocalEngine


class Job:
    """A question that is being answered, and those who wait for it."""

    def __init__(self) -> None:
        self.future: Future[Any] = Future()
        self.progress = Progress()
        self.askers: list[ShouldContinue] = []
        self.taken: frozenset[Hashable] = frozenset()  # what nobody else takes meanwhile
        self.place = 0  # among those that are worked on at once; 0 where there is one

    def should_continue(self) -> bool:
        """Say whether one of them still waits."""
        return any(asker() for asker in tuple(self.askers))


class Bench:
    """What a question finds when it answers itself.

    As soon as it asks for the network, the network is in evaluation mode, in the engine's precision, on its own device,
    with gradients or without as the question says, until the answer is there.

    Args:
        engine: whose bench it is.
        question: decides which network, which picture and which input size the bench holds ready.
        job: whom to report to.
        stack: closed when the answer is there.
    """

    def __init__(self, engine: LocalEngine, question: Any, job: Job, stack: ExitStack) -> None:
        self._engine, self._question, self._job, self._stack = engine, question, job, stack

    @property
    def networks(self) -> Mapping[str, Network]:
        """All networks of the engine, by name; those that visitors brought are not among them."""
        return self._engine.networks

    @property
    def truths(self) -> Mapping[str, Any]:
        """Where the ground truth of pictures is, by their fingerprints."""
        return self._engine.truths

    @property
    def gallery(self) -> Any:
        """The pictures that may be gone through, a segdemo.gallery.Gallery; None where there are none."""
        return self._engine.gallery

    def keep(self, picture: PictureSource, truth: Any = None) -> str:
        """Keep a picture, with its ground truth if that is known, and return its fingerprint."""
        fingerprint = self._engine.keep(picture)
        if truth is not None:
            self._engine.truths[fingerprint] = truth
        return fingerprint

    @property
    def spec(self) -> Network:
        """What is known of the network of the question."""
        return self.spec_of(self._question.network)

    def spec_of(self, network: str) -> Network:
        """Return what is known of a network, one that a visitor brought included.

        Raises:
            InputError: there is none of that name.
        """
        return self._engine.opened_networks.spec_of(network)

    @property
    def brought(self) -> Brought:
        """The network of the question, as a visitor brought it.

        Raises:
            InputError: it is kept no longer.
        """
        return self._engine.private.get(self._question.network)

    @cached_property
    def opened(self) -> Opened:
        """The network of the question, with its weights."""
        opened = self._engine.opened_networks.open_for(self._question, self._job.taken, self._job.place)
        module = bare(opened.module)
        self._stack.enter_context(ambient.passing(module, grad=self._question.grad))
        self._stack.enter_context(computing_in(self._engine.precision, ambient.device_of(module)))
        return opened

    @property
    def is_changed(self) -> bool:
        """Whether somebody changed the network, or put another in its place."""
        return self._engine.opened_networks.is_changed(self._question, self._job.place)

    @property
    def module(self) -> nn.Module:
        """The network's module."""
        return bare(self.opened.module)

    @property
    def picture(self) -> Image.Image:
        """The picture of the question, PIL, RGB."""
        return self._engine.picture(self._question.picture).picture

    @property
    def size(self) -> int:
        """The input size, pixels."""
        return check_input_size(self.spec.preprocessing, self._question.size)

    @cached_property
    def _placed(self) -> tuple[Tensor, Placement]:
        device = ambient.device_of(self.module)  # from here on PyTorch's surroundings are plain
        batch, placement = to_batch(self.picture, self.spec.preprocessing, self.size)
        return batch.to(device), placement

    @property
    def batch(self) -> Tensor:
        """The picture as the network takes it, (1, C, H, W) float32."""
        return self._placed[0]

    @property
    def placement(self) -> Placement:
        """Where the picture lies in the batch."""
        return self._placed[1]

    def answer(self, question: Question) -> Any:
        """Return what the engine remembers of another question, or work it out in the same turn."""
        return self._engine.recall_or_work(question, self._job)

    def recall(self, question: Question) -> Any:
        """Return what the engine remembers of another question, or None."""
        return self._engine.recall(question, self._job.place)

    def report(self, done: int, total: int) -> None:
        """Say how far the work is."""
        self._job.progress = Progress(done, total)

    def should_continue(self) -> bool:
        """Say whether somebody still waits for the answer."""
        return self._job.should_continue()

    def check(self) -> None:
        """Stop here if nobody waits any more.

        Raises:
            Cancelled: nobody does.
        """
        if not self.should_continue():
            raise Cancelled
