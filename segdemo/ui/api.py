"""The page's named endpoints, with plain types, for scripts, gradio_client and MCP."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import gradio as gr
from gradio.events import api

from segdemo.engine import Engine
from segdemo.errors import InputError
from segdemo.explain.autopsy import Autopsy, PixelAutopsy
from segdemo.explain.compare import Compare, Comparison
from segdemo.questions import DEFAULT, Run, facts_of, is_trained
from segdemo.rendering import palette_mask
from segdemo.results import Result
from segdemo.ui import checks
from segdemo.ui.messages import polite
from segdemo.ui.queue import RUNS


class Endpoints:
    """What scripts and assistants may call.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @polite
    def segment(self, picture: gr.FileData, network: str = DEFAULT, side: int = 0) -> dict[str, Any]:
        """Segment one picture: which class each pixel is, and how much of the picture each class takes.

        A network that classifies gives the probability of each class instead.

        Args:
            picture: picture file of any common kind, uploaded; over MCP, its bytes as data:image/png;base64,….
            network: name of the network.
            side: working size in pixels; 0 takes the network's own.
        """
        result = self._run(picture, network, side)
        facts: dict[str, Any] = {
            "network": result.network,
            "trained": result.trained,
            "width": result.size[0],
            "height": result.size[1],
            "side": result.input_size,
            "seconds": round(result.seconds, 4),
        }
        if result.answer:
            return facts | {"probability": result.answer}
        encoded = io.BytesIO()
        palette_mask(result.mask, [share.colour for share in result.classes]).save(encoded, "PNG")
        percent = {share.name: round(share.percent, 4) for share in result.classes}
        return facts | {
            "percent": percent,
            "mask_png": "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode(),
        }

    @polite
    def layers(self, picture: gr.FileData, network: str = DEFAULT, side: int = 0) -> list[dict[str, Any]]:
        """Describe what every stage of a network puts out for one picture: shape, range, zeros, strongest channels.

        Args:
            picture: picture file of any common kind, uploaded; over MCP, its bytes as data:image/png;base64,….
            network: name of the network.
            side: working size in pixels; 0 takes the network's own.
        """
        result = self._run(picture, network, side)
        described = facts_of(self._engine, network)
        return [
            {
                "stage": stage.label,
                "layer": stage.layer,
                "trained": result.trained or is_trained(self._engine, described, stage.layer, None),
                "shape": list(summary.shape),
                "minimum": summary.minimum,
                "maximum": summary.maximum,
                "mean": summary.mean,
                "std": summary.std,
                "zero_share": summary.zero_share,
                "dead_channels": list(summary.dead),
                "nans": summary.nans,
                "infinities": summary.infinities,
                "channels_by_variance": summary.channels.ranked("variance")[:16].tolist(),
            }
            for stage in described.stages
            for summary in [result.layers[stage.label]]
        ]

    @polite
    def autopsy(
        self, picture: gr.FileData, network: str = DEFAULT, side: int = 0, x: int = -1, y: int = -1
    ) -> dict[str, Any]:
        """Say why a network gave one pixel its class: by what margin, what it saw, and which channels decided.

        Args:
            picture: picture file of any common kind, uploaded; over MCP, its bytes as data:image/png;base64,….
            network: name of the network.
            side: working size in pixels; 0 takes the network's own.
            x: column of the pixel in the picture, from the left, from 0; it has to be given.
            y: row of the pixel in the picture, from the top, from 0; it has to be given.
        """
        point = checks.whole("x", x), checks.whole("y", y)
        kept, size = self._keep(picture), checks.whole("side", side) or None
        found: Autopsy = self._engine.answer(PixelAutopsy(network, kept, point, size))
        return {
            "network": found.network,
            "trained": found.trained,
            "classes": [
                {"name": one.name, "logit": one.logit, "probability": one.probability} for one in found.candidates[:5]
            ],
            "margin": found.margin,
            "holds_for_the_whole_picture": found.whole,
            "effective_receptive_field": list(found.effective_box),
            "stages": [
                {
                    "stage": stage.label,
                    "layer": stage.layer,
                    "receptive_field": list(stage.box) if stage.box else None,
                    "push_for_the_winner": stage.total,
                    "channels_for_the_winner": {str(push.channel): push.push for push in stage.channels},
                    "channels_for_the_runner_up": {str(push.channel): push.push for push in stage.against},
                }
                for stage in found.stages
            ],
        }

    @polite
    def compare(
        self, picture: gr.FileData, network: str = DEFAULT, side: int = 0, other: str = "u2netp"
    ) -> dict[str, Any]:
        """Compare what two networks say about one picture: where they disagree, and how alike their stages are.

        Args:
            picture: picture file of any common kind, uploaded; over MCP, its bytes as data:image/png;base64,….
            network: name of the one network.
            side: working size of the first in pixels, 0 for its own; the other takes its own.
            other: name of the other network.
        """
        kept, size = self._keep(picture), checks.whole("side", side) or None
        found: Comparison = self._engine.answer(Compare(Run(network, kept, size), Run(other, kept)))
        return {
            "networks": [network, other],
            "trained": [found.left.trained, found.right.trained],
            "disagreement_percent": round(found.percent, 4),
            "common_classes": list(found.common),
            "percent": {name: shares for name, *shares in found.shares},
            "stages": [
                {"stage": one, "most_like": two, "linear_cka": None if math.isnan(value) else round(value, 4)}
                for one, two, value in found.matched
            ],
        }

    def _run(self, picture: gr.FileData, network: str, side: int) -> Result:
        size = checks.whole("side", side) or None
        return self._engine.answer(Run(network, self._keep(picture), size))

    def _keep(self, picture: gr.FileData) -> str:
        path = picture.get("path") if isinstance(picture, dict) else None  # as it comes; where it lies has been checked
        if path is None:
            raise InputError(
                "no_picture_given",
                "“picture” has to be a file that was uploaded; none came. Upload one, as handle_file of gradio_client "
                "does, and send the answer.",
            )
        return self._engine.keep(path)


def build(engine: Engine) -> None:
    """Add the endpoints to the page under construction."""
    endpoints = Endpoints(engine)
    api(endpoints.segment, api_name="segment", **RUNS)
    api(endpoints.layers, api_name="layers", **RUNS)
    api(endpoints.autopsy, api_name="autopsy", **RUNS)
    api(endpoints.compare, api_name="compare", **RUNS)
