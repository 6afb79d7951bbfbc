"""How much memory the C library keeps for later."""

from __future__ import annotations

import ctypes
import sys

ARENAS = 2
M_ARENA_MAX = -8  # malloc.h


def bound() -> bool:
    """Let the C library keep few arenas.

    It makes up to eight for each processor, and what threads free in one is not given back: with many visitors that
    is more than all results together.

    Returns:
        Whether there is such a bound to set: GNU's C library has it.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS))
    except (OSError, AttributeError):
        return False
