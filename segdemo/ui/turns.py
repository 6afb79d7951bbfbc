"""A share of the server for each address: a flood from one holds up that one, and shuts nobody else out."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Requests of one address that are open at once, those that wait for their turn included. A page that stands open takes
# two, and a class behind one router is one address.
MOST_OPEN = 256
# How many of one kind go on at once; others of the same address wait for them, unread.
UPLOADS, PANELS, OTHERS = 4, 8, 32
# What stays open as long as somebody listens. It costs next to nothing, and ends when the visitor wants.
STREAM = re.compile(r"/gradio_api/(queue/data|heartbeat/|upload_progress|mcp|call/[^/]+/.)")


class Turns:
    """Lets requests in, each address its share."""

    def __init__(self) -> None:
        self._open: dict[str, int] = defaultdict(int)
        self._turns: dict[tuple[str, int], asyncio.Semaphore] = {}

    @asynccontextmanager
    async def of(self, address: str, path: str, *, panel: bool = False) -> AsyncIterator[bool]:
        """Wait for the turn of a request, and hold it as long as the block lasts.

        Args:
            address: whose request it is.
            path: what it asks for in the page.
            panel: it is a question to a panel.

        Yields:
            False when too many requests of the address are open.
        """
        if self._open[address] >= MOST_OPEN:
            yield False
            return
        self._open[address] += 1
        try:
            if STREAM.match(path):
                yield True
                return
            share = PANELS if panel else UPLOADS if path.startswith("/gradio_api/upload") else OTHERS
            async with self._turns.setdefault((address, share), asyncio.Semaphore(share)):
                yield True
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]
                for share in (UPLOADS, PANELS, OTHERS):
                    self._turns.pop((address, share), None)
