"""Several passes at once: no two through one module, each with its share of threads, every answer as if made alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segdemo import ambient
from segdemo.cache import _arrays
from segdemo.checkpoints import shipped
from segdemo.engine import Bench, Cancelled, LocalEngine, Progress, Question
from segdemo.explain.autopsy import PixelAutopsy
from segdemo.explain.compare import Compare
from segdemo.explain.evidence import ClassEvidence
from segdemo.explain.mixer import Change, Mix
from segdemo.labs.question import RunLab
from segdemo.networks import NETWORKS
from segdemo.opened import Opened
from segdemo.questions import Activation, Run, Summaries
from segdemo.workers import TakesMore, Workers
from tests.test_engine import SMALL

OTHER = replace(SMALL, name="other")


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine({"small": SMALL, "other": OTHER}, passes=2)
    yield engine
    engine.close()


@dataclass(eq=False)
class Room:
    """Where questions meet, and how many are there at once."""

    wanted: int = 1
    inside: int = 0
    most: int = 0
    full: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            if self.inside >= self.wanted:
                self.full.set()

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1


@dataclass(frozen=True)
class Meet(Question):
    """The module that a question is handed, and the threads it may take; stays until as many are there as wanted."""

    network: str
    number: int
    room: Room
    step: int | None = None
    memory = "nothing"

    def answer(self, bench: Bench) -> tuple[nn.Module, int]:
        module = bench.module
        self.room.enter()
        while not self.room.full.wait(0.005):
            bench.check()
        self.room.leave()
        return (module, torch.get_num_threads())


@dataclass(frozen=True)
class Hidden(Question):
    """Asks about a network that its fields do not name."""

    number: int
    room: Room
    begun: list[int]
    memory = "nothing"

    def __hash__(self) -> int:
        return self.number

    def answer(self, bench: Bench) -> Any:
        self.begun.append(self.number)
        return bench.answer(Meet("small", self.number, self.room))


def both(engine: LocalEngine, *questions: Question) -> list[Any]:
    with ThreadPoolExecutor(len(questions)) as askers:
        return [asked.result(60) for asked in [askers.submit(engine.answer, question) for question in questions]]


def test_two_passes_of_one_network_run_at_once_through_modules_of_their_own_that_share_the_weights(
    engine: LocalEngine,
) -> None:
    room = Room(wanted=2)
    (left, _), (right, _) = both(engine, Meet("small", 1, room), Meet("small", 2, room))
    public = engine.open("small").module
    assert len({left, right, public}) == 3
    assert left[0].weight is right[0].weight is public[0].weight  # type: ignore[index]
    assert engine.open("small").nbytes == engine.opened_networks._modules.used  # twins take nothing more


def test_one_pass_at_a_time_runs_through_the_module_that_everybody_sees() -> None:
    engine = LocalEngine({"small": SMALL})
    room = Room()
    assert engine.answer(Meet("small", 1, room)) == (engine.open("small").module, torch.get_num_threads())
    engine.close()


@pytest.mark.parametrize("kind", ["adopted", "adopted under two names", "given", "changed"])
def test_of_what_is_somebodys_own_or_was_changed_one_question_at_a_time_is_answered(
    engine: LocalEngine, kind: str
) -> None:
    names = ["small", "small"]
    if kind.startswith("adopted"):
        engine.adopt(engine.open("small"))
    if kind == "adopted under two names":
        engine.adopt(replace(engine.open("small"), spec=OTHER))
        names = ["small", "other"]
    if kind == "given":
        engine.opened_networks.networks = {"small": replace(SMALL, traced=True)}
    if kind == "changed":
        engine.open("small").module[0].register_forward_hook(lambda *_: None)  # type: ignore[index]
    room = Room()
    met = both(engine, *(Meet(names[number % 2], number, room) for number in range(6)))
    assert room.most == 1
    assert {module for module, _ in met} == {engine.open("small").module}


def test_a_network_that_no_field_names_is_waited_for_and_nobody_waits_for_ever(engine: LocalEngine) -> None:
    engine.adopt(engine.open("small"))
    room, begun = Room(), []  # type: ignore[var-annotated]
    met = both(engine, *(Hidden(number, room, begun) for number in range(3)), Meet("small", 9, room))
    assert room.most == 1
    assert {module for module, _ in met} == {engine.open("small").module}
    assert len(begun) == 6  # each of the three began anew when the network was free


def test_each_pass_has_its_share_of_the_threads_and_nobody_else_notices() -> None:
    def count() -> int:
        with ThreadPoolExecutor(1) as new:
            return new.submit(torch.get_num_threads).result()

    with ThreadPoolExecutor(1) as asker:
        assert asker.submit(_shares, count).result() == ([2, 2], 5, 5)


def _shares(count: Callable[[], int]) -> tuple[list[int], int, int]:
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        engine, room = LocalEngine({"small": SMALL}, passes=2), Room(wanted=2)
        met = both(engine, Meet("small", 1, room), Meet("small", 2, room))
        engine.close()
        return [threads for _, threads in met], torch.get_num_threads(), count()
    finally:
        torch.set_num_threads(before)


def test_equal_questions_are_worked_out_once_and_a_cancelled_one_frees_its_place(engine: LocalEngine) -> None:
    stays, room = Room(wanted=9), Room(wanted=2)
    events = [engine.ask(Meet("small", 1, stays)) for _ in range(3)]
    for asked in events:
        assert isinstance(next(asked), Progress)
    while stays.inside < 1:
        next(events[0])
    other = engine.ask(Meet("other", 1, stays))
    while stays.inside < 2:
        next(other)
    assert stays.most == 2  # three equal ones and another
    other.close()
    for asked in events:
        asked.close()
    assert len(both(engine, Meet("small", 2, room), Meet("small", 3, room))) == 2


def test_closing_ends_what_runs_and_what_waits() -> None:
    engine, room = LocalEngine({"small": SMALL}, passes=2), Room(wanted=9)
    events = [engine.ask(Meet("small", number, room)) for number in range(4)]
    for asked in events:
        next(asked)
    while room.inside < 2:
        next(events[0])
    engine.close()
    for asked in events:
        with pytest.raises(Cancelled):
            list(asked)


def test_what_is_forgotten_while_two_passes_run_is_opened_anew_and_not_remembered(engine: LocalEngine) -> None:
    room = Room(wanted=3)
    first = [engine.ask(Meet("small", number, room)) for number in (1, 2)]
    for asked in first:
        next(asked)
    while room.inside < 2:
        next(first[0])
    before = engine.open("small").module
    engine.forget()
    assert engine.open("small").module is not before
    room.full.set()
    assert all(list(asked)[-1][0][0].weight is before[0].weight for asked in first)  # type: ignore[index]
    alone = Room()
    module, _ = engine.answer(Meet("small", 1, alone))
    assert module[0].weight is engine.open("small").module[0].weight  # type: ignore[index]


def test_a_hook_that_changes_one_pass_neither_changes_another_nor_what_is_remembered(
    engine: LocalEngine, picture: Image.Image
) -> None:
    key = engine.keep(picture)
    silent = Mix("small", key, (Change("First", factor=0.0),))
    alone = LocalEngine({"small": SMALL}, passes=2)
    alone.keep(picture)
    for _ in range(10):
        found = both(engine, silent, Run("small", key), Activation("small", key, "Last"))
        engine.forget_answers()
        wanted = [alone.answer(question) for question in (silent, Run("small", key), Activation("small", key, "Last"))]
        assert all(_same(one, other) for one, other in zip(found, wanted, strict=True))
    alone.close()


def test_every_answer_of_two_passes_at_once_is_bit_for_bit_the_one_made_alone() -> None:
    names = ("unet_narrow", "selfie", "lenet")
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (60, 90, 3), np.uint8)) for _ in range(2)]
    alone = LocalEngine(passes=2)
    keys = [alone.keep(picture) for picture in pictures]
    unet: dict[str, Any] = {"network": "unet_narrow", "size": 64}
    questions: list[Question] = [Run(name, key) for name in names for key in keys]
    for key in keys:
        questions += [
            Run("unet_narrow", key, 64, step) for step in sorted(shipped(NETWORKS["unet_narrow"]).snapshots)[:2]
        ]
        stages = tuple(stage.layer for stage in NETWORKS["unet_narrow"].stages)
        questions += [
            Activation(**unet, picture=key, layer=stages[2]),
            Summaries(**unet, picture=key, layers=stages),
            Mix(**unet, picture=key, changes=(Change(NETWORKS["unet_narrow"].stages[1].label, factor=0.0),)),
            ClassEvidence(**unet, picture=key, layer=stages[-2], where="pixel", point=(20, 30)),
            PixelAutopsy(**unet, picture=key, point=(20, 30)),
            Compare(Run("unet_narrow", key, 64), Run("selfie", key)),
            RunLab("layers", key, (("kernel", "xavier"),)),
            RunLab("own_layer", key),
        ]
    wanted = [alone.answer(question) for question in questions]
    alone.close()
    engine = LocalEngine(passes=2)
    for picture in pictures:
        engine.keep(picture)
    order = rng.permutation(np.repeat(np.arange(len(questions)), 2))
    with ThreadPoolExecutor(6) as askers:
        found = list(askers.map(lambda at: engine.answer(questions[at]), order))
    for at, answer in zip(order, found, strict=True):
        assert _same(answer, wanted[at]), questions[at]
    assert not any(
        module._forward_hooks or module._forward_pre_hooks
        for name in names
        for opened in (engine.open(name), *engine.open(name).twins.values())
        for module in opened.module.modules()
    )
    engine.close()


def _same(one: Any, other: Any) -> bool:
    left, right = list(_arrays(one)), list(_arrays(other))
    assert left
    return len(left) == len(right) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(left, right, strict=True)
    )


def test_work_that_takes_the_same_waits_and_nobody_who_came_later_overtakes_it() -> None:
    workers, done, go = Workers(2), [], [threading.Event() for _ in range(4)]

    def work(number: int) -> Callable[[frozenset[Any], int], None]:
        def run(_: frozenset[Any], place: int) -> None:
            done.append((number, place))
            assert go[number].wait(60)

        return run

    takes = [{"a"}, {"a", "b"}, {"b"}, {"c"}]
    futures = [workers.submit(frozenset(some), work(number)) for number, some in enumerate(takes)]
    go[3].set()
    futures[3].result(60)  # it takes what nobody else does
    go[0].set()
    futures[0].result(60)
    go[1].set()
    futures[1].result(60)
    go[2].set()
    futures[2].result(60)
    assert {number for number, _ in done[:2]} == {0, 3}
    assert [number for number, _ in done[2:]] == [1, 2]
    assert {place for _, place in done} == {1, 2}
    workers.shutdown()


def test_work_that_turns_out_to_take_more_begins_anew_when_that_is_free() -> None:
    workers, go = Workers(2), threading.Event()
    order: list[Any] = []

    def first(_: frozenset[Any], __: int) -> None:
        assert go.wait(60)
        order.append("first")

    def second(taken: frozenset[Any], _: int) -> str:
        order.append(sorted(taken))
        if "a" not in taken:
            go.set()
            raise TakesMore({"a"})
        return "done"

    workers.submit(frozenset({"a"}), first)
    assert workers.submit(frozenset({"b"}), second).result(60) == "done"
    assert order == [["b"], "first", ["a", "b"]]
    workers.shutdown()


def test_random_numbers_are_drawn_by_one_thread_at_a_time() -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def draw(seed: int) -> torch.Tensor:
        nonlocal inside, most
        with ambient.drawing(seed):
            with lock:
                inside += 1
                most = max(most, inside)
            drawn = torch.stack([torch.rand(3) for _ in range(200)])
            with lock:
                inside -= 1
        return drawn

    before = torch.get_rng_state()
    wanted = [draw(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(draw, [0, 1, 2, 3] * 5))
    assert all(torch.equal(one, wanted[number % 4]) for number, one in enumerate(found))
    assert most == 1
    assert torch.equal(torch.get_rng_state(), before)


def test_the_default_dtype_is_back_after_the_last_of_two_threads_and_not_before() -> None:
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def second() -> torch.dtype:
        assert first_is_in.wait(60)
        with ambient.plain():
            second_is_in.set()
            assert first_is_out.wait(60)
            return torch.get_default_dtype()

    torch.set_default_dtype(torch.float64)
    try:
        with ThreadPoolExecutor(1) as threads:
            with ambient.plain():
                meanwhile = threads.submit(second)
                first_is_in.set()
                assert second_is_in.wait(60)
            first_is_out.set()
            assert meanwhile.result(60) is torch.float32
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_twin_of_a_network_by_another_name_keeps_what_is_said_of_it(engine: LocalEngine) -> None:
    opened: Opened = engine.open("small")
    assert replace(opened, spec=OTHER).twin(1).spec is OTHER
    assert opened.twin(1).module is replace(opened, spec=OTHER).twin(1).module
    assert not opened.twin(1).changed
