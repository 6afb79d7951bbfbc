"""An engine answers questions: it keeps pictures, opens networks, decides whose turn it is, and remembers.

Nothing else holds a network, a queue or a memory. Every forward pass runs in the engine's one worker thread: hooks of
two passes cannot mix, what surrounds the asker (autocast, a default device, gradients) does not reach the network, and
the memory and the threads that PyTorch takes for each thread of its own are taken once.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, Literal, Protocol
from weakref import WeakSet

from PIL import Image
from torch import Tensor, nn

from segdemo import ambient, own_weights
from segdemo.cache import Cache, freeze, size_of
from segdemo.errors import Cancelled as Cancelled
from segdemo.errors import InputError
from segdemo.images import Placement, check_input_size, to_batch
from segdemo.networks import NETWORKS, Network, find
from segdemo.opened import Opened, bare, fingerprint_of, open_network
from segdemo.pictures import PictureSource as PictureSource
from segdemo.pictures import Read as Read
from segdemo.pictures import read_picture
from segdemo.private import Brought, PrivateNetworks, is_private, private_names, told_of

ANSWERS = 192 << 20  # bytes of answers remembered
STATES = 32 << 20  # bytes of answers that are only there for others to be worked out from
PICTURES = 224 << 20  # bytes of pictures kept: six of 12 megapixels, one of the largest
MODULES = 512 << 20  # bytes of networks' weights kept open
BAND = 256  # rows of a picture hashed at a time
OFFICIAL = "weights=official"  # in the name of a network with other weights than its usual ones
POLL = 0.05  # seconds between two looks at whether an answer is still wanted

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


class _Job:
    """A question that is being answered, and those who wait for it."""

    def __init__(self) -> None:
        self.future: Future[Any] = Future()
        self.progress = Progress()
        self.askers: list[ShouldContinue] = []

    def should_continue(self) -> bool:
        return any(asker() for asker in tuple(self.askers))


class Bench:
    """What a question finds when it answers itself.

    As soon as it asks for the network, the network is in evaluation mode, in float32, on its own device, with gradients
    or without as the question says, until the answer is there.

    Args:
        engine: whose bench it is.
        question: decides which network, which picture and which input size the bench holds ready.
        job: whom to report to.
        stack: closed when the answer is there.
    """

    def __init__(self, engine: LocalEngine, question: Any, job: _Job, stack: ExitStack) -> None:
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
        return self._engine.private.get(network).opened.spec if is_private(network) else find(network, self.networks)

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
        opened = self._engine.open(self._question.network, self._question.step)
        self._stack.enter_context(ambient.passing(bare(opened.module), grad=self._question.grad))
        return opened

    @property
    def is_changed(self) -> bool:
        """Whether somebody changed the network, or put another in its place."""
        return self._engine._is_changed(self._question)

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
        return self._engine._recall_or(question, self._job)

    def recall(self, question: Question) -> Any:
        """Return what the engine remembers of another question, or None."""
        return self._engine._recall(question)

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


class LocalEngine:
    """Answers in this process, one question at a time. Safe with many threads.

    Equal questions asked at the same time are worked out once; answers are remembered up to a number of bytes.

    Args:
        networks: by name.
        answers: bytes of answers remembered at most.
        pictures: bytes of pictures kept at most.
        modules: bytes of opened networks kept at most; the one in use stays whatever its size.
        private: keeps the networks that visitors bring; None keeps few.
    """

    def __init__(
        self,
        networks: Mapping[str, Network] = NETWORKS,
        *,
        answers: int = ANSWERS,
        pictures: int = PICTURES,
        modules: int = MODULES,
        private: PrivateNetworks | None = None,
    ) -> None:
        self.networks = networks
        self.private = PrivateNetworks() if private is None else private
        self.truths: dict[str, Any] = {}  # by fingerprint of a picture: its ground truth, a segdemo.truth.Truth
        self.gallery: Any = None  # pictures that may be gone through, a segdemo.gallery.Gallery
        self._answers, self._pictures, self._modules = Cache(answers), Cache(pictures), Cache(modules, newest=True)
        self._states = Cache(STATES)
        self._memories = {"answers": self._answers, "states": self._states, "nothing": Cache(0)}
        self._adopted: dict[Hashable, Opened] = {}
        self._forgotten = 0  # how often what was answered no longer held
        self._closed = False
        self._renew()
        _ENGINES.add(self)

    def _renew(self) -> None:
        """Take a worker and locks; those of the process that this one was forked from stayed there."""
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="segdemo-engine")
        self._jobs: dict[Hashable, _Job] = {}
        self._lock = Lock()  # of _jobs; held for no longer than a look
        self._opening, self._reading = Lock(), Lock()
        self.private.renew()
        for memory in (*self._memories.values(), self._pictures, self._modules):
            memory.renew()

    def keep(self, picture: PictureSource) -> str:
        """As :class:`Engine` says."""
        read = read_picture(picture)
        size = read.picture.size
        pixels = hashlib.blake2b(digest_size=16, key=repr(size).encode())
        for top in range(0, size[1], BAND):  # a copy of all of a large picture at once would double it
            pixels.update(read.picture.crop((0, top, size[0], min(top + BAND, size[1]))).tobytes())
        fingerprint = pixels.hexdigest()
        self._pictures.put(fingerprint, read, 3 * size[0] * size[1])
        return fingerprint

    def keeps(self, fingerprint: str) -> bool:
        """As :class:`Engine` says."""
        return self._pictures.get(fingerprint) is not None

    def picture(self, fingerprint: str) -> Read:
        """As :class:`Engine` says."""
        read: Read | None = self._pictures.get(fingerprint)
        if read is None:
            raise InputError(
                "picture_forgotten",
                "The picture is no longer kept: others have come since. Choose it again, and run it once more.",
            )
        return read

    def open(self, network: str, step: int | None = None) -> Opened:
        """Return a network with its weights, opened when it is first asked for.

        Args:
            network: its name.
            step: take the weights as they were at this step of the training.

        Raises:
            InputError: no such network or step, or its checkpoint is missing or altered.
        """
        if is_private(network) and step is None:
            return self.private.get(network).opened
        with self._opening:
            key, spec = _module_key(network, step), find(network, self.networks)
            opened: Opened | None = self._adopted.get(key) or self._modules.get(key)
            if opened is None:
                opened = open_network(spec, step)
                self._modules.put(key, opened, opened.nbytes)
            return opened if opened.spec.name == network else replace(opened, spec=spec)

    def ask(self, question: Question, should_continue: ShouldContinue = always) -> Generator[Any, None, None]:
        """As :class:`Engine` says."""
        answer = self._recall(question)  # what is remembered waits for nobody
        while answer is None:
            with self._waiting_for(question, should_continue) as job:
                yield job.progress
                while not wait([job.future], POLL).done:
                    if not should_continue():
                        raise Cancelled
                    yield job.progress
                try:
                    answer = job.future.result()
                except (Cancelled, CancelledError):
                    if self._closed or not should_continue():
                        raise Cancelled from None
                    # else those whose work this was gave up just when we came
        yield answer

    def answer(self, question: Question, should_continue: ShouldContinue = always) -> Any:
        """As :class:`Engine` says."""
        return deque(self.ask(question, should_continue), maxlen=1)[0]  # the last event is the answer

    def adopt(self, opened: Opened) -> None:
        """Take over a network as it is, in place of the one of its name and step; what that answered is forgotten."""
        self._adopted[opened.spec.name, opened.step] = opened
        self.forget_answers()

    def keep_network(self, path: str | Path, owner: str, file: str = "") -> str:
        """Read a visitor's checkpoint, one at a time, and return the name by which its owner's questions name it.

        Nobody is kept from asking here: whoever hands questions on has to :meth:`PrivateNetworks.check` the asker.

        Args:
            path: as for :func:`segdemo.own_weights.load`.
            owner: whose it is; it is kept until they leave, see :meth:`forget_networks`, or others bring more.
            file: what the owner calls it; "" takes the name in the path.

        Raises:
            InputError: as :func:`segdemo.own_weights.load`; ``checkpoint_grows``, also where none so large is kept.
        """
        file = file or Path(path).name
        with self._reading, ambient.making():
            try:
                loaded = own_weights.load(path, most=self.private.nbytes)
            except InputError as error:
                raise told_of(error, path, file) from error
        opened = Opened(loaded.spec, None, loaded.module, loaded.trained, fingerprint_of(loaded.module))
        others = tuple(loaded.others)
        name, left = self.private.add(Brought(owner, opened, loaded.report, file, others))
        self._forget_about(left)
        return name

    def forget_networks(self, owner: str) -> None:
        """Let go of the networks that somebody brought who has left, and of all that was answered about them."""
        self._forget_about(self.private.forget(owner))

    def _forget_about(self, names: Iterable[str]) -> None:
        gone = set(names)
        for memory in self._memories.values() if gone else ():
            memory.drop(lambda question: not gone.isdisjoint(private_names(question)))

    def forget_answers(self) -> None:
        """Forget what was answered, and what is being answered; networks stay open, pictures are kept."""
        with self._lock:
            self._forgotten += 1  # what is under way reaches those who wait for it, and nobody else
            self._answers.clear()
            self._states.clear()

    def forget(self) -> None:
        """Forget what was answered and close all networks, as if nothing had been asked yet; pictures are kept."""
        self.forget_answers()
        self._modules.clear()

    def close(self) -> None:
        """End all work before its next layer, and the thread that does it; nothing can be asked any more."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                job.askers.clear()
        self._worker.shutdown(cancel_futures=True)

    @contextmanager
    def _waiting_for(self, question: Question, should_continue: ShouldContinue) -> Iterator[_Job]:
        """Join those who wait for an answer, as long as the block lasts; the first of them has it worked out."""
        with self._lock:
            if self._closed:
                raise Cancelled
            key = question, self._forgotten
            job = None if self._is_changed(question) else self._jobs.get(key)
            if job is None or not job.should_continue():
                job = self._jobs[key] = _Job()
                job.askers.append(should_continue)
                job.future = self._worker.submit(self._work, question, job)
            else:
                job.askers.append(should_continue)
        try:
            yield job
        finally:
            with self._lock:
                if should_continue in job.askers:
                    job.askers.remove(should_continue)

    def _work(self, question: Question, job: _Job) -> Any:
        """Answer a question, in the worker's thread."""
        try:
            if not job.should_continue():
                raise Cancelled
            return self._recall_or(question, job)
        finally:
            with self._lock:
                for key in [key for key, other in self._jobs.items() if other is job]:
                    del self._jobs[key]

    def _recall_or(self, question: Question, job: _Job) -> Any:
        """Return what is remembered of a question, else work it out and remember it."""
        answer, forgotten = self._recall(question), self._forgotten
        if answer is None:
            with ExitStack() as stack:
                answer = freeze(question.answer(Bench(self, question, job, stack)))
            if not self._is_changed(question):
                with self._lock:
                    if forgotten == self._forgotten:
                        self._memories[question.memory].put(question, answer, size_of(answer))
            self._forget_about(name for name in private_names(question) if not self.private.has(name))  # it left since
        return answer

    def _recall(self, question: Question) -> Any:
        return None if self._is_changed(question) else self._memories[question.memory].get(question)

    def _is_changed(self, question: Any) -> bool:
        """Say whether somebody changed a network of a question: nothing remembered holds for it, nor the reverse."""
        for key in set(_networks_in(question)):
            opened = self._adopted.get(key) or self._modules.get(key)
            if opened is not None and opened.changed:
                return True
        return False


def _networks_in(question: Any) -> Iterator[tuple[Any, Any]]:
    """Yield by what the modules are kept that a question, and the questions in it, are about."""
    if isinstance(question, tuple | frozenset):
        for part in question:
            yield from _networks_in(part)
    if is_dataclass(question):
        yield _module_key(getattr(question, "network", None), getattr(question, "step", None))
        for field in fields(question):
            yield from _networks_in(getattr(question, field.name))


def _module_key(network: Any, step: Any) -> tuple[Any, Any]:
    """Return by what the module of a network is kept: what else is said of it behind a ``?`` needs no other."""
    base, _, said = network.partition("?") if isinstance(network, str) else (network, "", "")
    return (f"{base}?{OFFICIAL}" if OFFICIAL in said.split("&") else base), step


_ENGINES: WeakSet[LocalEngine] = WeakSet()


def _renew_all() -> None:
    for engine in list(_ENGINES):
        engine._renew()


ambient.in_forked_child(_renew_all)
