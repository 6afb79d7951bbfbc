"""The address of the page: what it names of a view. It is read here, and written through ``static/address.js`` alone.

The inputs write their part as :func:`write_from` says; what is picked in a panel, the panel's script writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segdemo.engine import Engine
from segdemo.errors import InputError
from segdemo.examples import EXAMPLES, FIRST, example
from segdemo.questions import Catalogue, Layers, facts_of
from segdemo.results import NetworkFacts
from segdemo.ui.checks import GREATEST, LONGEST
from segdemo.ui.javascript import address

if TYPE_CHECKING:
    from segdemo.ui.page import Page

OF_ANOTHER_NETWORK = "{network: value, side: null, step: null, stage: null, channel: null}"


@dataclass(frozen=True)
class View:
    """What an address names, complete: what it leaves out, or names wrongly, is as on a first visit.

    Args:
        facts: of the network.
        example: name of the picture.
        size: input size, pixels.
        step: of the training, None at its end.
        stage: label of a stage or dotted name of a module; "" where none is named.
        channel: the one shown large, or None.
        troubles: what is named wrongly, one sentence each.
    """

    facts: NetworkFacts
    example: str
    size: int
    step: int | None
    stage: str
    channel: int | None
    troubles: tuple[InputError, ...]


def read(engine: Engine, query: Mapping[str, str]) -> View:
    """Read an address.

    Args:
        engine: knows which networks, sizes, steps and layers there are.
        query: its parameters.
    """
    troubles: list[InputError] = []

    def taken(name: str, meaning: Callable[[str], Any], otherwise: Any) -> Any:
        if name not in query:
            return otherwise
        try:
            return meaning(query[name][:LONGEST])
        except InputError as error:
            troubles.append(error)
            return otherwise

    facts = taken("network", lambda word: facts_of(engine, word), engine.answer(Catalogue())[0])
    name = taken("example", lambda word: word if example(word) else None, FIRST)
    size = taken("side", lambda word: facts.check_size(_number(word)), facts.size)
    step = taken("step", lambda word: facts.check_step(_number(word)), None)
    stage = taken("stage", lambda word: _layer(engine, facts, size, word), "")
    channel = _number(query.get("channel", "")) if stage else None
    return View(facts, name, size, step, stage, None if channel is None or channel < 0 else channel, tuple(troubles))


def _number(word: str) -> int | None:
    """Return a whole number, -1 for one that is too great to be any, None for other words."""
    if not word.isdecimal():
        return None
    return int(word) if len(word) < len(str(GREATEST)) else -1


def _layer(engine: Engine, facts: NetworkFacts, size: int, word: str) -> str:
    """Return what the search box calls the stage or module of that name.

    Raises:
        InputError: the network runs none such.
    """
    label, layer = facts.label_and_layer(word)
    if layer not in {info.name for info in engine.answer(Layers(facts.name, size))}:
        raise facts.unknown_layer(word)
    return label


def write_from(page: Page) -> None:
    """Keep the inputs in the page's address, without asking the server."""
    names = list(EXAMPLES)
    for event, inputs, change in (
        (page.network.input, [page.network], OF_ANOTHER_NETWORK),
        (page.size.input, [page.size], "{side: value}"),
        (page.picture.input, [], "{example: null}"),
        (page.examples.click, [page.examples], f"{{example: {names}[value]}}"),
    ):
        script = f"(value) => import({address('static/address.js')}).then((address) => address.change({change}))"
        event(None, inputs, None, js=script, api_visibility="private")
