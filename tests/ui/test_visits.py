"""Which run of a visitor's is the newest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from segdemo.ui import visits


@pytest.fixture(autouse=True)
def nobody() -> Iterator[None]:
    """Leave no run behind."""
    yield
    visits.end_all()
    for session in ("mine", "yours"):
        visits._chosen.put(session, 0, 1)


def test_a_newer_run_of_the_same_visitor_supersedes_and_another_visitors_does_not() -> None:
    mine, yours = visits.begin("mine"), visits.begin("yours")
    assert mine() and yours()
    again = visits.begin("mine")
    assert (mine(), again(), yours()) == (False, True, True)


def test_a_run_that_was_ended_is_wanted_no_more_and_the_next_one_is() -> None:
    first = visits.begin("mine")
    visits.end("mine")
    assert not first()
    assert visits.begin("mine")()
    assert not first()


def test_a_run_that_is_complete_does_not_end_a_newer_one() -> None:
    first = visits.begin("mine")
    second = visits.begin("mine")
    visits.end("mine", first)
    assert second()
    visits.end("mine", second)
    assert not second()


def test_a_complete_run_is_to_be_shown_until_a_newer_one_is_under_way_or_complete() -> None:
    first = visits.begin("mine")
    visits.complete("mine", "first")
    visits.end("mine", first)
    assert visits.is_to_be_shown("mine", "first")
    second = visits.begin("mine")
    assert not visits.is_to_be_shown("mine", "first")
    visits.end("mine", second)  # stopped
    assert visits.is_to_be_shown("mine", "first")
    third = visits.begin("mine")
    visits.complete("mine", "third")
    visits.end("mine", third)
    assert visits.is_to_be_shown("mine", "third") and not visits.is_to_be_shown("mine", "first")
    assert visits.is_to_be_shown("yours", "first")  # of a visitor whom nobody remembers


def test_a_choice_is_the_newest_until_one_with_a_greater_number_comes_in_whatever_order() -> None:
    third = visits.choose("mine", 3)
    second = visits.choose("mine", 2)  # it was on its way for longer
    assert (third(), second()) == (True, False)
    other = visits.choose("yours", 1)
    unnumbered = visits.choose("mine", None)
    assert other() and unnumbered()
    fourth = visits.choose("mine", 4)
    assert (third(), unnumbered(), fourth()) == (False, False, True)


def test_ending_what_is_not_there_is_no_mistake() -> None:
    visits.end("nobody")
    visits.end("nobody")


def test_everybodys_run_can_be_ended() -> None:
    runs = [visits.begin(name) for name in "abc"]
    visits.end_all()
    assert not any(run() for run in runs)


def test_a_run_that_comes_after_it_was_stopped_is_not_wanted_and_the_next_one_is() -> None:
    visits.stop("late", 2)
    assert not visits.begin("late", 2)()
    assert not visits.is_under_way("late")
    assert visits.begin("late", 3)()
    assert visits.begin("another", 1)()
    visits.end("another")
    visits.end("late")


def test_an_older_run_that_comes_after_a_newer_one_does_not_take_its_place() -> None:
    newer = visits.begin("swapped", 5)
    older = visits.begin("swapped", 4)
    assert newer()
    assert not older()
    assert visits.begin("swapped", 5)()
    visits.end("swapped")


def test_a_stop_ends_what_is_under_way_without_a_number_too() -> None:
    wanted = visits.begin("plain")
    visits.stop("plain")
    assert not wanted()
    assert visits.begin("plain")()
    visits.end("plain")
