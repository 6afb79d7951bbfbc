"""How much memory the C library keeps for later."""

from __future__ import annotations

import ctypes
import sys
import threading
import time

ARENAS = 2
LARGE = 1 << 20  # bytes of a block that the system lends, and gets back as soon as it is free
SPARE = 32 << 20  # bytes that may stay free at the end of the heap
PAUSE = 2.0  # seconds at least between two looks for pages to give back
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h

_giving = threading.Lock()
_given = 0.0


def bound() -> bool:
    """Let the C library keep few arenas, and give large blocks back at once.

    It makes up to eight arenas for each processor, and what threads free in one is not given back. What is remembered
    in between keeps large free blocks from going back as well: with many visitors that is more than all results
    together.

    Returns:
        Whether there are such bounds to set: GNU's C library has them.
    """
    settings = ((M_ARENA_MAX, ARENAS), (M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, SPARE))
    library = _library()
    try:
        return library is not None and all(library.mallopt(name, value) for name, value in settings)
    except AttributeError:
        return False


def give_back() -> None:
    """Give free pages back to the system, unless that was done just now; a matter of milliseconds."""
    global _given
    library = _library()
    if library is None or not _giving.acquire(blocking=False):
        return
    try:
        if time.monotonic() - _given >= PAUSE:
            _given = time.monotonic()
            library.malloc_trim(0)
    except AttributeError:
        pass  # not GNU's
    finally:
        _giving.release()


def _library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    except OSError:
        return None
