"""Where a run stands: its clock, the learning rate, the size of the pictures."""

from __future__ import annotations

import pytest

from segdemo.training.schedule import Clock, rate_at, side_at, snapshot_at


def test_time_budget_is_used_by_seconds_and_not_by_steps() -> None:
    clock = Clock(minutes=1, steps=None)
    for _ in range(10):
        clock.count(3.0)
    assert clock.progress == pytest.approx(0.5) and clock.left == pytest.approx(30)
    for _ in range(20):
        clock.count(3.0)
    assert clock.progress == 1 and clock.left == 0


def test_pause_counts_as_a_usual_step() -> None:
    clock = Clock(minutes=10, steps=None)
    for _ in range(200):
        clock.count(2.0)
    clock.count(3600.0)
    assert clock.elapsed == pytest.approx(402, abs=0.1) and clock.step == 201


def test_step_budget_is_used_by_steps() -> None:
    clock = Clock(minutes=None, steps=8)
    clock.count(1.0)
    clock.count(3.0)
    assert clock.progress == 0.25 and clock.left == pytest.approx(12)


def test_a_clock_has_one_budget() -> None:
    with pytest.raises(ValueError, match="either"):
        Clock(minutes=1, steps=1)
    with pytest.raises(ValueError, match="either"):
        Clock(minutes=None, steps=None)


def test_rate_rises_shortly_and_falls_along_half_a_cosine() -> None:
    assert rate_at(0) == pytest.approx(0.01)
    assert rate_at(0.02) == pytest.approx(1)
    assert rate_at(0.51) == pytest.approx(0.505)
    assert rate_at(1) == pytest.approx(0.01)
    rates = [rate_at(0.02 + number / 100) for number in range(99)]
    assert rates == sorted(rates, reverse=True)


def test_each_size_gets_an_equal_share() -> None:
    assert [side_at(progress, (64, 64, 96)) for progress in (0, 0.3, 0.66, 0.67, 1)] == [64, 64, 64, 96, 96]


def test_snapshots_are_dense_at_first_and_include_both_ends() -> None:
    places = [snapshot_at(number, 5) for number in range(5)]
    assert places == [0, 1 / 16, 4 / 16, 9 / 16, 1]
