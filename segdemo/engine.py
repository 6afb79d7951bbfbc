"""An engine answers questions: it keeps pictures, opens networks, decides whose turn it is, and remembers.

Nothing else holds a network, a queue or a memory. Every forward pass runs in a worker thread of the engine: what
surrounds the asker (autocast, a default device, gradients) does not reach the network, and the memory and the threads
that PyTorch takes for each thread of its own are taken once. No two passes run through one module: hooks cannot mix.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakSet

from segdemo import ambient
from segdemo.asking import Engine as Engine
from segdemo.asking import Memory as Memory
from segdemo.asking import Progress as Progress
from segdemo.asking import Question as Question
from segdemo.asking import ShouldContinue as ShouldContinue
from segdemo.asking import always as always
from segdemo.bench import Bench as Bench
from segdemo.bench import Job
from segdemo.cache import Cache, freeze, size_of
from segdemo.devices import check_precision, device_called
from segdemo.errors import Cancelled as Cancelled
from segdemo.errors import InputError
from segdemo.networks import NETWORKS, Network
from segdemo.open_networks import OpenNetworks
from segdemo.opened import Opened
from segdemo.pictures import PictureSource as PictureSource
from segdemo.pictures import Read as Read
from segdemo.pictures import read_picture
from segdemo.private import PrivateNetworks, private_names
from segdemo.workers import TakesMore, Workers

ANSWERS = 192 << 20  # bytes of answers remembered
STATES = 32 << 20  # bytes of answers that are only there for others to be worked out from
PICTURES = 224 << 20  # bytes of pictures kept: six of 12 megapixels, one of the largest
MODULES = 512 << 20  # bytes of networks' weights kept open
BAND = 256  # rows of a picture hashed at a time
POLL = 0.05  # seconds between two looks at whether an answer is still wanted


class LocalEngine:
    """Answers in this process, one question at a time or several. Safe with many threads.

    Equal questions asked at the same time are worked out once; answers are remembered up to a number of bytes.

    Args:
        networks: by name.
        answers: bytes of answers remembered at most.
        pictures: bytes of pictures kept at most.
        modules: bytes of opened networks kept at most; those in use stay whatever their size.
        private: keeps the networks that visitors bring; None keeps few.
        passes: questions worked on at once, each with its share of PyTorch's threads. Networks that are somebody's own,
            or of a library, and those that somebody changed are asked one question at a time nevertheless.
        device: where networks compute, as :func:`segdemo.devices.device_called` reads it; None leaves them where they
            are made. A network that was given, or adopted, stays where it is.
        precision: of passes: ``"float32"``, or ``"bfloat16"`` or ``"float16"`` wherever PyTorch thinks that safe.

    Raises:
        InputError: there is no such device here, or no such precision.
    """

    def __init__(
        self,
        networks: Mapping[str, Network] = NETWORKS,
        *,
        answers: int = ANSWERS,
        pictures: int = PICTURES,
        modules: int = MODULES,
        private: PrivateNetworks | None = None,
        passes: int = 1,
        device: str | None = None,
        precision: str = "float32",
    ) -> None:
        check_precision(precision)
        place = None if device is None else device_called(device)
        private = PrivateNetworks() if private is None else private
        self.opened_networks = OpenNetworks(networks, private, modules, place)
        self.precision, self.place = precision, (device, precision)  # the latter as it was asked for
        self.truths: dict[str, Any] = {}  # by fingerprint of a picture: its ground truth, a segdemo.truth.Truth
        self.gallery: Any = None  # pictures that may be gone through, a segdemo.gallery.Gallery
        self._pictures, self._answers, self._states = Cache(pictures), Cache(answers), Cache(STATES)
        self._memories = {"answers": self._answers, "states": self._states, "nothing": Cache(0)}
        self._passes = passes
        self._forgotten = 0  # how often what was answered no longer held
        self._closed = False
        self._renew()
        _ENGINES.add(self)

    def _renew(self) -> None:
        """Take workers and locks; those of the process that this one was forked from stayed there."""
        self._workers = Workers(self._passes)
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="segdemo-desk")  # what computes nothing waits for no run
        self._jobs: dict[Hashable, Job] = {}
        self._lock = Lock()  # of _jobs; held for no longer than a look
        self.opened_networks.renew()
        for memory in (*self._memories.values(), self._pictures):
            memory.renew()

    @property
    def networks(self) -> Mapping[str, Network]:
        """All networks, by name, but those that visitors brought."""
        return self.opened_networks.networks

    @property
    def private(self) -> PrivateNetworks:
        """Those that visitors brought."""
        return self.opened_networks.private

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
        """Return a network with its weights, as :meth:`OpenNetworks.open` does."""
        return self.opened_networks.open(network, step)

    def ask(self, question: Question, should_continue: ShouldContinue = always) -> Generator[Any, None, None]:
        """As :class:`Engine` says."""
        answer = self.recall(question)  # what is remembered waits for nobody
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
        self.opened_networks.adopt(opened)
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
        name, left = self.opened_networks.take_in(path, owner, file)
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
        self.opened_networks.close()

    def close(self) -> None:
        """End all work before its next layer, and the threads that do it; nothing can be asked any more."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                job.askers.clear()
        self._workers.shutdown()
        self._desk.shutdown(cancel_futures=True)

    @contextmanager
    def _waiting_for(self, question: Question, should_continue: ShouldContinue) -> Iterator[Job]:
        """Join those who wait for an answer, as long as the block lasts; the first of them has it worked out."""
        with self._lock:
            if self._closed:
                raise Cancelled
            key = question, self._forgotten
            job = None if self.opened_networks.is_changed(question) else self._jobs.get(key)
            if job is None or not job.should_continue():
                job = self._jobs[key] = Job()
                job.askers.append(should_continue)
                job.future = self._begin(question, job)
            else:
                job.askers.append(should_continue)
        try:
            yield job
        finally:
            with self._lock:
                if should_continue in job.askers:
                    job.askers.remove(should_continue)

    def _begin(self, question: Any, job: Job) -> Future[Any]:
        """Have a question answered: a stranger's network may run for what others are asked without computing."""
        network = getattr(question, "network", None)
        networks = self.opened_networks
        if not question.hollow or networks.is_changed(question) or (network and networks.is_foreign(network)):
            return self._workers.submit(networks.taken_by(question), partial(self._work, question, job))
        return self._desk.submit(self._work, question, job, frozenset(), 0)

    def _work(self, question: Question, job: Job, taken: frozenset[Hashable], place: int) -> Any:
        """Answer a question, in the thread of a worker or at the desk, which takes no network."""
        job.taken, job.place = taken, place
        try:
            if not job.should_continue():
                raise Cancelled
            return self.recall_or_work(question, job)
        except TakesMore:
            job = Job()  # it is not over yet
            raise
        finally:
            with self._lock:
                for key in [key for key, other in self._jobs.items() if other is job]:
                    del self._jobs[key]

    def recall_or_work(self, question: Question, job: Job) -> Any:
        """Return what is remembered of a question, else work it out and remember it."""
        answer, forgotten = self.recall(question, job.place), self._forgotten
        if answer is None:
            if job.place and (more := self.opened_networks.taken_by(question) - job.taken - {None}):
                raise TakesMore(more)
            answer = freeze(self._worked_out(question, job))
            if not self.opened_networks.is_changed(question, job.place):
                with self._lock:
                    if forgotten == self._forgotten:
                        self._memories[question.memory].put(question, answer, size_of(answer))
            self._forget_about(name for name in private_names(question) if not self.private.has(name))  # it left since
        return answer

    def _worked_out(self, question: Question, job: Job) -> Any:
        with ExitStack() as stack:
            return question.answer(Bench(self, question, job, stack))

    def recall(self, question: Question, place: int = 0) -> Any:
        """Return what is remembered of a question, or None; the place is that of who works on it."""
        changed = self.opened_networks.is_changed(question, place)
        return None if changed else self._memories[question.memory].get(question)


_ENGINES: WeakSet[LocalEngine] = WeakSet()


def _renew_all() -> None:
    for engine in list(_ENGINES):
        engine._renew()


ambient.in_forked_child(_renew_all)
