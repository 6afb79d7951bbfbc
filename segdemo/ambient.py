"""PyTorch's ambient state, held still while this program computes: the same numbers whatever others set."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import chain

import torch
from torch import nn

from segdemo.errors import InputError

_AT_WORK: set[int] = set()  # threads with a pass going on
_BORN = os.getpid()
_torn = False  # whether this process was forked while another thread was in a pass
_counting = threading.Lock()
_held: list[torch.dtype] = []  # by each block that needs float32 as default: what was the default before
_drawing = threading.RLock()  # PyTorch draws random numbers from one generator of the whole process


@contextmanager
def plain() -> Iterator[None]:
    """Compute on the CPU in float32 unless something else is asked for, without autocast, as long as the block lasts.

    What stood before is back afterwards.
    """
    with ExitStack() as stack:
        stack.enter_context(_float32())
        if torch.get_default_device().type != "cpu":  # every call of the pass would go through it
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def _float32() -> Iterator[None]:
    """Have float32 as the default, which is one of the whole process: touched only where a program has set another.

    Several threads may be in such a block at once; what stood before the first is back after the last.
    """
    with _counting:
        dtype = torch.get_default_dtype()
        _held.append(_held[0] if _held else dtype)
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        with _counting:
            before = _held.pop()
            if not _held and before != torch.float32:
                torch.set_default_dtype(before)


@contextmanager
def drawing(seed: int | None = None) -> Iterator[None]:
    """Draw random numbers while no other thread of this program does; the generator is afterwards as it was.

    Args:
        seed: where the generator begins; None goes on where it is.
    """
    with _drawing, torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let the calling thread compute with so many threads as long as the block lasts; all others as they did."""
    before = torch.get_num_threads()
    set_threads(count)
    try:
        yield
    finally:
        set_threads(before)


def set_threads(count: int) -> None:
    """Let the calling thread compute with so many threads, and all others as they did.

    PyTorch keeps the number for each thread, but one that is new takes what any has set last.
    """
    torch.get_num_threads()  # from now on this thread is not new
    others = ThreadPoolExecutor(1)
    before = others.submit(torch.get_num_threads).result()
    torch.set_num_threads(count)
    others.submit(torch.set_num_threads, before).result()
    others.shutdown()


@contextmanager
def making() -> Iterator[None]:
    """Hold still what decides how a network is made: ordinary float32 weights on the CPU, also in inference mode."""
    with plain(), alone_after_fork(), torch.inference_mode(False):
        yield


@contextmanager
def passing(network: nn.Module, *, grad: bool = False) -> Iterator[None]:
    """Hold still what decides the outcome of a forward pass: a network in evaluation mode, gradients or none.

    Args:
        network: modules of it that are in training mode are back in it afterwards.
        grad: whether gradients can be taken.

    Raises:
        InputError: its weights are not float32, or this process was forked at a moment that it cannot recover from.
    """
    check_weights(network)
    _check_fork(network)
    with plain(), alone_after_fork(), torch.inference_mode(not grad), torch.set_grad_enabled(grad):
        training = [module for module in network.modules() if module.training]
        network.eval()
        _AT_WORK.add(threading.get_ident())
        try:
            yield
        finally:
            _AT_WORK.discard(threading.get_ident())
            for module in training:
                module.training = True


@contextmanager
def passing_hollow() -> Iterator[None]:
    """Hold still what decides the shapes of a pass on PyTorch's meta device, which computes nothing."""
    with plain(), alone_after_fork(), torch.no_grad():
        yield


def check_weights(network: nn.Module) -> None:
    """Refuse a network whose weights are not float32 numbers.

    Args:
        network: somebody may have called ``half()`` or ``to("meta")`` on it.

    Raises:
        InputError: with the name of one such tensor and how to mend it.
    """
    for name, tensor in chain(network.named_parameters(), network.named_buffers()):
        if tensor.is_meta or (tensor.is_floating_point() and tensor.dtype != torch.float32):
            raise InputError(
                "weights_changed",
                "The weights of the network were changed: {name} is {came}, and float32 with values is needed. "
                "Make the Segmenter anew, or call network.float().",
                name=name,
                came="on the meta device" if tensor.is_meta else str(tensor.dtype).removeprefix("torch."),
            )


def device_of(network: nn.Module) -> torch.device:
    """Return where a network's weights are; the CPU where it has none."""
    return next((tensor.device for tensor in chain(network.parameters(), network.buffers())), torch.device("cpu"))


def _check_fork(network: nn.Module) -> None:
    """Refuse to run a network in a forked child that was torn from its parent at a bad moment."""
    kind = device_of(network).type
    stayed = torch.cuda._is_in_bad_fork() if kind == "cuda" else kind != "cpu"  # a GPU that only the child has is fine
    if os.getpid() != _BORN and (_torn or stayed):
        raise InputError(
            "forked",
            "This process was forked while a network was running in its parent, or a network of its parent is not on "
            "the CPU; neither can be used here. Start processes with multiprocessing.get_context('spawn'), or fork "
            "before the first run.",
        )


@contextmanager
def alone_after_fork() -> Iterator[None]:
    """Compute in one thread where the process was forked: PyTorch's other threads stayed behind in the parent.

    To call on them would wait for ever. Data loaders of PyTorch do the same.
    """
    if os.getpid() == _BORN:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def in_forked_child(mend: Callable[[], None]) -> None:
    """Have something mended in every forked child, for instance locks that threads held which it does not have.

    Args:
        mend: called first thing in the child.
    """
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=mend)


def _look_around() -> None:
    global _torn, _counting, _drawing
    _torn = _torn or bool(_AT_WORK - {threading.get_ident()})
    _counting, _drawing = threading.Lock(), threading.RLock()  # other threads may have held them
    _AT_WORK.clear()


in_forked_child(_look_around)
