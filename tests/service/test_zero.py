"""ZeroGPU: what runs a network is answered in a forked process, what else there is stays here."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.questions import Activation, Catalogue, Layers, Run
from segdemo.service import zero
from segdemo.service.zero import ZeroEngine

fork = multiprocessing.get_context("fork")


class Spaces:
    """``spaces`` as on a Space: one forked process answers all calls, each in a thread of its own; all is pickled."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.pid: int | None = None
        self._process: Any = None

    def GPU(self, task: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a function."""

        def call(*given: Any) -> Any:
            if self._process is None:
                self._asked, self._said = fork.SimpleQueue(), fork.SimpleQueue()
                self._process = fork.Process(target=self._answer, args=(task,), daemon=True)
                self._process.start()
                self.pid = self._process.pid
            self.calls.append(given[0])
            self._asked.put(given)
            kind, said = self._said.get()
            if kind == "failed":
                raise RuntimeError(said)
            return said

        return call

    def _answer(self, task: Callable[..., Any]) -> None:
        while (given := self._asked.get()) is not None:
            with ThreadPoolExecutor() as threads:
                try:
                    self._said.put(("done", threads.submit(task, *given).result()))
                except Exception as error:
                    self._said.put(("failed", repr(error)))

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._asked.put(None)
            self._process.join(60)


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spaces]:
    stub = Spaces()
    monkeypatch.setitem(sys.modules, "spaces", stub)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    yield stub
    stub.end()


@pytest.fixture
def engine(spaces: Spaces) -> Iterator[ZeroEngine]:
    engine = zero.engine()
    assert engine is not None
    yield engine
    engine.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_what_runs_a_network_on_a_picture_is_answered_in_the_forked_process_and_all_else_here(
    engine: ZeroEngine, spaces: Spaces, picture: Image.Image
) -> None:
    key = engine.keep(picture)
    run, layer = Run("unet_narrow", key, 64), Activation("unet_narrow", key, "Encoder 1", size=64)
    result, activation = engine.answer(run), engine.answer(layer)
    assert spaces.calls == [run, layer]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a forked process
    try:
        here = LocalEngine()
        assert here.keep(picture) == key
        assert np.array_equal(result.logits, here.answer(run).logits)
        assert np.array_equal(activation, here.answer(layer))
        here.close()
    finally:
        torch.set_num_threads(threads)
    assert not result.logits.flags.writeable and not activation.flags.writeable
    assert engine.answer(run) is result  # remembered here
    with pytest.raises(InputError, match="no stage or layer called 'nothing'") as refused:
        engine.answer(Activation("unet_narrow", key, "nothing", size=64))
    assert refused.value.code == "unknown_stage"
    count = len(spaces.calls)
    engine.answer(Layers("unet_narrow", 64))
    engine.answer(Catalogue())
    engine.adopt(engine.open("lenet"))
    engine.answer(Run("lenet", key))  # this process alone has it
    assert len(spaces.calls) == count
    assert spaces.pid != os.getpid()


def test_elsewhere_there_is_no_such_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spaces", None)  # it would not be found
    for word in ("", "false", "0"):
        monkeypatch.setenv("SPACES_ZERO_GPU", word)
        assert zero.engine() is None
    monkeypatch.delenv("SPACES_ZERO_GPU")
    assert zero.engine() is None


def test_a_network_on_a_gpu_runs_in_a_forked_process_unless_the_gpu_was_its_parents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from segdemo import ambient

    there = SimpleNamespace(parameters=lambda: [SimpleNamespace(device=torch.device("cuda"))], buffers=list)
    monkeypatch.setattr(ambient, "_BORN", 0)  # as if this process were a fork
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: False)
    ambient._check_fork(there)  # type: ignore[arg-type]
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    with pytest.raises(InputError, match="was forked"):
        ambient._check_fork(there)  # type: ignore[arg-type]
