"""What of the server's memory is bounded, and what counts."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo import LocalEngine
from segdemo.cache import size_of
from segdemo.questions import Run
from segdemo.ui import memory


class Library:
    """A C library that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def mallopt(self, name: int, value: int) -> int:
        self.asked.append((name, value))
        return 1

    def malloc_trim(self, spare: int) -> int:
        self.asked.append(("trim", spare))
        return 1


def test_few_arenas_are_kept_and_large_blocks_go_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(memory, "_library", lambda: library)
    assert memory.bound()
    assert library.asked == [(-8, 2), (-3, 1 << 20), (-1, 32 << 20)]


def test_free_pages_go_back_but_not_with_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(memory, "_library", lambda: library)
    monkeypatch.setattr(memory, "_given", float("-inf"))
    monkeypatch.setattr(memory, "PAUSE", 3600.0)
    memory.give_back()
    memory.give_back()
    assert library.asked == [("trim", 0)]


@pytest.mark.parametrize("library", [None, object()])
def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    monkeypatch.setattr(memory, "_library", lambda: library)
    assert not memory.bound()
    memory.give_back()


def test_there_is_such_a_library_on_linux() -> None:
    assert (memory._library() is not None) == sys.platform.startswith("linux")


def test_a_remembered_run_counts_the_mask_that_it_will_keep() -> None:
    engine = LocalEngine()
    try:
        picture = engine.keep(Image.fromarray(np.zeros((1000, 2000, 3), np.uint8)))
        result = engine.answer(Run("unet_narrow", picture, 96))
        before = size_of(result)
        assert before >= result.mask.nbytes + result.logits.nbytes
        assert result.mask.nbytes == 2_000_000
        assert size_of(result) == before
        assert engine._answers.used >= before
    finally:
        engine.close()


def test_a_picture_has_one_fingerprint_however_many_bands_it_has() -> None:
    engine = LocalEngine()
    try:
        pixels = np.arange(3 * 600 * 5, dtype=np.uint32).astype(np.uint8).reshape(600, 5, 3)
        picture = engine.keep(Image.fromarray(pixels))
        assert engine.keep(pixels.copy()) == picture
        for row in (0, 255, 256, 599):
            other = pixels.copy()
            other[row, 2, 1] ^= 1
            assert engine.keep(Image.fromarray(other)) != picture
    finally:
        engine.close()
