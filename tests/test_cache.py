"""The bounded memory of results."""

from __future__ import annotations

from segdemo.cache import Cache


def test_the_least_recently_used_leaves_first() -> None:
    cache = Cache(limit=10)
    cache.put("a", 1, 4)
    cache.put("b", 2, 4)
    assert cache.get("a") == 1  # now b is the older one
    cache.put("c", 3, 4)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    assert cache.used == 8


def test_what_is_larger_than_the_limit_is_not_kept_and_drives_nothing_out() -> None:
    cache = Cache(limit=10)
    cache.put("a", 1, 4)
    cache.put("huge", 2, 11)
    assert (cache.get("a"), cache.get("huge"), cache.used) == (1, None, 4)


def test_a_value_put_again_replaces_the_old_one_and_its_size() -> None:
    cache = Cache(limit=10)
    cache.put("a", 1, 8)
    cache.put("a", 2, 3)
    assert (cache.get("a"), cache.used) == (2, 3)
    cache.clear()
    assert (cache.get("a"), cache.used) == (None, 0)


def test_the_limit_itself_may_be_used_up() -> None:
    cache = Cache(limit=10)
    cache.put("a", 1, 4)
    cache.put("b", 2, 6)
    assert (cache.get("a"), cache.get("b"), cache.used) == (1, 2, 10)
    cache.put("whole", 3, 10)
    assert (cache.get("a"), cache.get("b"), cache.get("whole"), cache.used) == (None, None, 3, 10)


def test_the_newest_may_stay_alone_whatever_its_size() -> None:
    cache = Cache(limit=10, newest=True)
    cache.put("a", 1, 4)
    cache.put("huge", 2, 30)
    assert (cache.get("a"), cache.get("huge"), cache.used) == (None, 2, 30)
    cache.put("b", 3, 5)
    assert (cache.get("huge"), cache.get("b"), cache.used) == (None, 3, 5)
