"""A checkpoint of the visitor's own: given here, read on the server, and told what became of each tensor in it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

from segdemo.engine import Engine
from segdemo.private import MOST, MOST_BYTES, MOST_OF_OWNER, is_private
from segdemo.questions import Checkpoint, RandomLayers, WeightsReport, facts_of
from segdemo.ui import checks
from segdemo.ui.files import uploaded_weights
from segdemo.ui.folder import WEIGHTS
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering
from segdemo.ui.panels import css, plain
from segdemo.ui.uploads import MOST_BYTES_OF_WEIGHTS
from segdemo.ui.wanted import WantedEngine, not_taken

NAMED = 200  # tensors of one fate that are named
LONGEST = 60  # letters kept of the name of a file
FATES = ("loaded", "missing", "mismatched", "unexpected", "aside")
TEMPLATE = """<section class="weights">
  <h3 data-text="title"></h3>
  <div class="drop">
    <button type="button" class="choose" data-text="choose"></button> <span data-text="drop"></span>
    <input type="file" tabindex="-1" aria-hidden="true">
  </div>
  <details class="hint"><summary></summary><p></p></details>
  <div class="way" hidden><progress max="1"></progress></div>
  <p class="said" role="status"></p>
  <p class="wrong" role="alert" hidden></p>
  <div class="report" hidden></div>
</section>"""


class WeightsPanel(gr.HTML):
    """Takes a checkpoint; ``brought`` comes with the name of the network it was loaded into as value.

    Args:
        engine: whom to give it to.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def bring(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            network = take(engine, asked)
            return {"network": network, "title": facts_of(engine, network).title}

        @answering
        def report(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return payload(engine, checks.text("network", asked.get("network")))

        super().__init__(
            html_template=TEMPLATE,
            css_template=css("weights"),
            js_on_load=loader("weights", "brought"),
            apply_default_css=False,
            server_functions=[bring, report],
            bounds={
                "bytes": MOST_BYTES_OF_WEIGHTS,
                "endings": list(WEIGHTS),
                "mine": MOST_OF_OWNER,
                "networks": MOST,
                "kept": MOST_BYTES,
            },
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page: what is given comes by its own way."""

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}

    @staticmethod
    def of_network(network: str, size: int | None, place: int, request: gr.Request) -> dict[str, Any]:
        """Show the report on the network that was chosen, if it is one that the visitor brought."""
        return {"network": network if is_private(network) else None}


def own_networks(engine: Engine) -> tuple[str, ...]:
    """Return the names of the networks that the one who asks brought, the latest at the end."""
    return engine.own_networks() if isinstance(engine, WantedEngine) else ()


def take(engine: Engine, asked: dict[str, Any]) -> str:
    """Give an uploaded checkpoint to the engine, and remove the file whatever becomes of it.

    Args:
        engine: keeps it for the one who asks.
        asked: the ``path`` of the file on the server, and the ``name`` that its owner gave it.

    Returns:
        The name of the network.

    Raises:
        InputError: it cannot be used.
    """
    path = Path(uploaded_weights(asked.get("path")))
    name = checks.text("name", asked.get("name"))
    try:
        if not isinstance(engine, WantedEngine):
            raise not_taken()
        return engine.keep_network(str(path), name[-LONGEST:])
    finally:
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()


def payload(engine: Engine, network: str) -> dict[str, Any]:
    """Gather what became of each tensor of a checkpoint.

    Args:
        engine: whom to ask.
        network: that it was loaded into.

    Raises:
        InputError: it is not the asker's, or kept no longer.
    """
    found: Checkpoint = engine.answer(WeightsReport(network))
    facts = facts_of(engine, network)
    random = engine.answer(RandomLayers(network))
    return plain(
        {
            "network": network,
            "title": found.title,
            "file": found.file,
            "others": found.others,
            "trained": facts.trained,
            "not_finite": found.report.not_finite,
            "guesses": facts.guesses,
            "fates": [_fate(name, getattr(found.report, name)) for name in FATES],
            "stages": [stage.label for stage in facts.stages if random.of(stage.layer) == "missing"],
        }
    )


def _fate(fate: str, names: Sequence[str]) -> dict[str, Any]:
    return {"fate": fate, "count": len(names), "names": list(names[:NAMED])}
