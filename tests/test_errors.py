"""InputError: the same after a journey to another process."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from segdemo import Cancelled, InputError


class Narrow(InputError):
    def __init__(self, word: str) -> None:
        super().__init__("narrow", "{word} will not do.", word=word)


def refuse(word: str) -> None:
    raise InputError("no", "{word} will not do; give {path}.", word=word, path=Path("a/b"))


@pytest.mark.parametrize("travel", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy, copy.copy])
def test_an_error_keeps_text_code_and_values_on_its_way(travel: Callable[[InputError], InputError]) -> None:
    sent = InputError("size", "{side:,} pixels in {name!r}, {share:.0%}.", side=1500, name="a{b}", share=0.5)
    sent.add_note("noted") if hasattr(sent, "add_note") else None
    came = travel(sent)
    assert type(came) is InputError
    assert str(came) == "1,500 pixels in 'a{b}', 50%."
    assert (came.code, came.values) == ("size", {"side": 1500, "name": "a{b}", "share": 0.5})
    assert came.__dict__ == sent.__dict__
    assert came.args == sent.args


def test_an_error_with_arguments_of_its_own_and_values_that_cannot_travel_arrives() -> None:
    came = pickle.loads(pickle.dumps(Narrow("this")))
    assert (type(came), str(came), came.code) == (Narrow, "this will not do.", "narrow")
    lock = threading.Lock()
    came = pickle.loads(pickle.dumps(InputError("lock", "{lock} will not do.", lock=lock)))
    assert str(came) == f"{lock} will not do."
    assert came.values == {"lock": str(lock)}


def test_a_cancelled_run_says_so_across_processes() -> None:
    assert type(pickle.loads(pickle.dumps(Cancelled()))) is Cancelled


def test_an_executor_hands_the_error_back_and_goes_on() -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        with pytest.raises(InputError, match=r"^this will not do; give a/b\.$") as refusal:
            pool.submit(refuse, "this").result(timeout=120)
        assert (refusal.value.code, refusal.value.values) == ("no", {"word": "this", "path": Path("a/b")})
        assert pool.submit(abs, -1).result(timeout=120) == 1


def test_a_pool_of_processes_hands_the_error_back_and_goes_on() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with pytest.raises(InputError, match="this will not do"):
            pool.apply_async(refuse, ("this",)).get(timeout=120)
        assert pool.apply_async(abs, (-1,)).get(timeout=120) == 1
