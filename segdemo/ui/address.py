"""The address of the page: what it names of a view. It is read here, and written through ``static/address.js`` alone.

The inputs write their part as :func:`write_from` says; what is picked in a panel, the panel's script writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from segdemo.engine import Engine
from segdemo.errors import InputError
from segdemo.examples import FIRST, example
from segdemo.private import not_yours
from segdemo.questions import Catalogue, Drawing, Layers, facts_of
from segdemo.results import NetworkFacts
from segdemo.ui import checks
from segdemo.ui.checks import GREATEST, LONGEST, LONGEST_NETWORK
from segdemo.ui.javascript import calling
from segdemo.ui.panels.channels import PAGE, Ranking, Scope
from segdemo.ui.panels.compare import checked_word
from segdemo.ui.panels.figure import MOST_OPEN
from segdemo.ui.panels.weights import own_networks
from segdemo.ui.texts import TEXTS

if TYPE_CHECKING:
    from segdemo.ui.page import Page

OF_ANOTHER_NETWORK = "{network: value, side: null, step: null, stage: null, channel: null, sheet: null, open: null}"
OWN = "own"  # the network that the visitor brought last; no link brings it to others
OF_A_NETWORK = {"network", "side", "step", "stage", "channel", "sheet", "open"}
PHOTO = "{example: null}, value?.path ? {path: value.path, name: value.orig_name} : null"


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
        strays: the parameters of the address that name it.
        ranking: what the channels are sorted by.
        scope: what their colour scale is taken from.
        page: of the channels, counted from 0.
        opened: labels of the boxes of the figure that are open, one after the other.
    """

    facts: NetworkFacts
    example: str
    size: int
    step: int | None
    stage: str
    channel: int | None
    troubles: tuple[InputError, ...]
    strays: tuple[str, ...] = ()
    ranking: Ranking = "variance"
    scope: Scope = "channel"
    page: int = 0
    opened: tuple[str, ...] = ()


def read(engine: Engine, query: Mapping[str, str], first: str = FIRST) -> View:
    """Read an address.

    Args:
        engine: knows which networks, sizes, steps and layers there are.
        query: its parameters.
        first: name of the picture shown where it names none.
    """
    wrong: dict[str, InputError] = {}
    if query.get("network") == OWN and not own_networks(engine):  # then nothing that belongs to it is there either
        wrong = dict.fromkeys(OF_A_NETWORK & query.keys(), not_yours())
        query = {name: word for name, word in query.items() if name not in wrong}

    def taken(name: str, meaning: Callable[[str], Any], otherwise: Any) -> Any:
        if name not in query:
            return otherwise
        try:
            longest = {"network": LONGEST_NETWORK, "open": LONGEST * MOST_OPEN}.get(name, LONGEST)
            return meaning(query[name][:longest])
        except InputError as error:
            wrong[name] = error
            return otherwise

    facts = taken("network", lambda word: facts_of(engine, _network(engine, word)), engine.answer(Catalogue())[0])
    name = taken("example", lambda word: word if example(word) else None, first)
    size = taken("side", lambda word: facts.check_size(_number(word)), facts.size)
    step = taken("step", lambda word: facts.check_step(_number(word)), None)
    stage = taken("stage", lambda word: _layer(engine, facts, size, word), "")
    channels = _channels(engine, facts, size, stage)
    channel = taken("channel", lambda word: _channel(word, stage, channels), None)
    ranking = taken("ranking", lambda word: checks.one_of("ranking", word, get_args(Ranking)), "variance")
    scope = taken("scope", lambda word: checks.one_of("scope", word, get_args(Scope)), "channel")
    # Not "page": Gradio takes that for one of the pages of an app.
    page = taken("sheet", lambda word: checks.whole("sheet", _number(word), least=1, most=-(-channels // PAGE)), 1)
    opened = taken("open", lambda word: _opened(engine, facts, word), ())
    taken("view", lambda word: checks.one_of("view", word, _views()), None)
    taken("lang", lambda word: checks.one_of("lang", word, TEXTS), None)
    taken("point", _point, None)
    taken("compare", lambda word: checked_word(engine, word), None)
    troubles = tuple(dict.fromkeys(wrong.values()))
    return View(facts, name, size, step, stage, channel, troubles, tuple(wrong), ranking, scope, page - 1, opened)


def _opened(engine: Engine, facts: NetworkFacts, word: str) -> tuple[str, ...]:
    """Return the boxes of the figure that are open: labels with commas in between, those in a label after a backslash.

    Raises:
        InputError: there are too many, or one of them is not there or holds nothing.
    """
    names = [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in re.findall(r"(?:\\.|[^\\,])+", word, re.DOTALL)]
    labels = checks.texts("open", names, most=MOST_OPEN)
    engine.answer(Drawing(facts.name, labels))
    return labels


def _network(engine: Engine, word: str) -> str:
    """Return the name of a network by what the address calls it: of those that visitors brought, it names none."""
    return own_networks(engine)[-1] if word == OWN else word


def _views() -> list[str]:
    """Return the names of the views of a segmentation: each has a text."""
    start = "segmentation.view."
    return [key.removeprefix(start) for key in TEXTS["en"] if key.startswith(start)]


def _point(word: str) -> str:
    """Return a pixel of a picture, written "x,y".

    Raises:
        InputError: it is none.
    """
    numbers = [_number(part) for part in word.split(",")]
    if len(numbers) == 2 and all(number is not None and number >= 0 for number in numbers):
        return word
    raise InputError(
        "wrong_point",
        "A point in the address is written as its column and its row, like 120,80, but {came} came. "
        "Click the picture to choose one.",
        came=checks.written(word),
    )


def _channels(engine: Engine, facts: NetworkFacts, size: int, stage: str) -> int:
    """Return how many channels a stage or module has; of the first stage where none is named."""
    _, layer = facts.label_and_layer(stage or facts.stages[0].label)
    shapes = {info.name: info.shape for info in engine.answer(Layers(facts.name, size))}
    shape = shapes.get(layer, (1,))  # an operation is no module
    return 1 if len(shape) == 2 else shape[0]  # a table is seen as one map


def _channel(word: str, stage: str, channels: int) -> int:
    """Return the channel of that number.

    Raises:
        InputError: the stage has none such, or no stage is named.
    """
    if not stage:
        raise InputError(
            "channel_without_stage",
            "The address names channel {channel}, but no stage of this network that it belongs to. "
            "Pick a stage in the figure, then a channel.",
            channel=checks.written(word),
        )
    number = _number(word)
    if number is None or not 0 <= number < channels:
        raise InputError(
            "unknown_channel",
            "{layer} has no channel {channel}; its channels are 0 to {last}.",
            layer=stage,
            channel=checks.written(word) if number is None or number < 0 else number,
            last=channels - 1,
        )
    return number


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
    """Keep the inputs in the page's address, without asking the server, once they are taken for what they are."""
    names = list(page.pictures)
    for event, inputs, change in (
        (page.chosen["network"], [page.network], f"{OF_ANOTHER_NETWORK}"),
        (page.chosen["size"], [page.size], "{side: value}"),
        (page.chosen["example"], [page.examples], f"{{example: {names}[value]}}, null"),
        (page.chosen["picture"], [page.picture], PHOTO),
        (page.chosen["given"], [page.picture], PHOTO),
        *((event, [page.picture], PHOTO) for name, event in page.chosen.items() if name.startswith("entered")),
    ):
        act = f"(address, value) => address.change({change})"
        event(None, inputs, None, js=calling("static/address.js", act), api_visibility="private")
