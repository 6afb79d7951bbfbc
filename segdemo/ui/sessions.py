"""What Gradio remembers of a visitor: the values of the page's states. That is a few bytes, and of few visitors."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import Any

from gradio.blocks import Blocks, BlocksConfig

MOST = 300  # visitors; the one who was away longest is forgotten first
MOST_OF_ADDRESS = 100  # of them; a class behind one router is one address


class SessionConfig(BlocksConfig):
    """The components as one visitor has them.

    Gradio describes them all, with their JSON schemas, for each visitor anew, and keeps that for its deep links, which
    are shut here: a quarter of a megabyte for every request of a script.
    """

    @staticmethod
    def config_for_block(*_: Any, **__: Any) -> dict[str, Any]:
        """Describe nothing."""
        return {}


class PageConfig(BlocksConfig):
    """The components of the page, of which a visitor gets a lean copy."""

    def __copy__(self) -> SessionConfig:
        copied = SessionConfig(self.root_block)
        copied.blocks, copied.fns = dict(self.blocks), dict(self.fns)
        copied.fn_id, copied.renderables = self.fn_id, list(self.renderables)
        return copied


def install(page: Blocks) -> None:
    """Let a page remember little of each visitor.

    Args:
        page: complete, but not yet started.
    """
    built = page.default_config
    page.default_config = PageConfig(page)
    page.default_config.__dict__.update(built.__dict__)


class Visitors:
    """Who has come from which address, so that one address cannot make the page forget everybody else."""

    def __init__(self) -> None:
        self._sessions: dict[str, OrderedDict[str, None]] = defaultdict(OrderedDict)

    def came(self, address: str, session: str) -> list[str]:
        """Take down that a visitor asked something; returns the sessions of its address to forget.

        Args:
            address: where the visitor comes from.
            session: Gradio's session hash.
        """
        own = self._sessions[address]
        own[session] = None
        own.move_to_end(session)
        gone = [own.popitem(last=False)[0] for _ in range(len(own) - MOST_OF_ADDRESS)]
        while len(self._sessions) > MOST:
            self._sessions.pop(next(iter(self._sessions)))
        return gone
