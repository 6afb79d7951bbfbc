"""What the tab that looks inside answers to each event: plain functions, from the inputs' values to the outputs'."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from segdemo import rendering
from segdemo.errors import InputError
from segdemo.examples import EXAMPLES, example
from segdemo.images import check_side, load_picture
from segdemo.inference import Superseded, get_segmenter
from segdemo.networks import DEFAULT, NETWORKS, find
from segdemo.ui import controls, folder, session
from segdemo.ui.components.channel_sheet import SheetValue
from segdemo.ui.components.network_diagram import DiagramValue
from segdemo.ui.components.segmentation_view import SegmentationValue
from segdemo.ui.messages import polite, text, warn_of
from segdemo.ui.values import Wish, diagram_value, layers_of, result_of, segmentation_value, sheet_value

SKIP = tuple(gr.skip() for _ in range(4))
PROGRESS = gr.Progress()  # as a default it makes Gradio hand in one for each run


@polite
def open_address(request: gr.Request) -> tuple[Any, ...]:
    """Restore the view that the page's address names.

    What it does not name is as on a first visit, and so is what it names wrongly, with a sentence that says so.
    """
    asked = request.query_params
    network = asked.get("network") if asked.get("network") in NETWORKS else DEFAULT
    name = asked.get("example") if asked.get("example") in EXAMPLES else controls.FIRST_EXAMPLE
    side = controls.suitable_side(network, _number(asked.get("side")))
    stage = _stage_asked(network, side, asked.get("stage") or "")
    checks = {
        "network": find,
        "example": example,
        "side": lambda word: check_side(find(network).rule, _number(word) or 0),
        "stage": lambda word: get_segmenter(network).layer_of(word),
    }
    for key, check in checks.items():
        if key in asked:
            warn_of(request, check, asked[key])
    channel = _number(asked.get("channel")) if stage else None
    return (
        str(example(name)),
        network,
        gr.Dropdown(choices=controls.size_choices(network), value=side),
        gr.Slider(**controls.step_range(network, _number(asked.get("step")))),
        controls.describe(network, request),
        Wish(stage, page=-1 if channel is not None else 0, channel=channel),
        _drawn_before(network, side, stage or None),
    )


def _drawn_before(network: str, side: int, stage: str | None) -> DiagramValue | None:
    """Draw a network before it runs; None where it has no usable weights, as the run that follows says."""
    try:
        return diagram_value(network, side, None, stage)
    except InputError:
        return None


def _stage_asked(network: str, side: int, name: str) -> str:
    """Return what the search box calls the stage or module of that name, "" where the network runs none such."""
    labels = {stage.layer: stage.label for stage in find(network).every_stage()}
    name = name.removesuffix(":1")
    name = labels.get(name, name)
    try:
        return name if name in labels.values() or name in layers_of(network, side) else ""
    except InputError:  # no usable weights
        return ""


def _number(word: str | None) -> int | None:
    return int(word) if word is not None and word.isdecimal() else None


@polite
def pick_example(index: int) -> str:
    """Return the file of an example by its place in the row."""
    return str(example(list(EXAMPLES)[index]))


@polite
def choose_network(network: str, request: gr.Request) -> tuple[Any, ...]:
    """Offer the working sizes of a network and draw it, before it runs."""
    side = controls.suitable_side(network)
    menu = gr.Dropdown(choices=controls.size_choices(network), value=side)
    steps = gr.Slider(**controls.step_range(network))
    return menu, steps, controls.describe(network, request), _drawn_before(network, side, None), Wish("")


@polite
def segment(
    picture: str | None,
    network: str,
    side: int,
    place: int,
    request: gr.Request,
    progress: gr.Progress = PROGRESS,
) -> tuple[Any, ...]:
    """Run the network on the picture, as the newest run of this visitor."""
    alive = session.begin(request.session_hash or "")
    if picture is None:
        raise InputError(
            "no_picture_yet",
            "There is no picture yet. Upload or paste one, use the camera, or pick an example, then press Run.",
        )
    progress(0, desc=text(request, "page.reading"))
    side = controls.suitable_side(network, side)  # the menu may still be the one of another network
    view = session.View(load_picture(picture), network, side, controls.step_at(network, place))
    segmenter = get_segmenter(network, view.step)
    title = segmenter.spec.title
    words = text(request, "page.running", network=title)
    on_layer, tell = _reporter(progress, words, len(layers_of(network, side, view.picture.size)))

    def wanted() -> bool:
        tell()  # also while the run waits for its turn
        return alive()

    try:
        result = segmenter.run(view.picture, side, alive=wanted, on_layer=on_layer)
    except Superseded:
        return SKIP
    progress(1, desc=text(request, "page.drawing"))
    value = segmentation_value(view, result)
    if not alive():
        return SKIP
    session.show(request.session_hash or "", view)
    done = text(request, "page.done", network=title, seconds=f"{result.seconds:.2f}", side=result.side)
    if view.step is not None:
        done += text(request, "page.at_step", step=f"{view.step:,}")
    return value, view, value, done


def _reporter(progress: gr.Progress, words: str, total: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what to call before every layer, and what to call just to go on saying how far the run is."""
    count, told = 0, 0.0

    def tell() -> None:
        nonlocal told
        if time.monotonic() - told > 0.1:  # a few times a second is enough
            told = time.monotonic()
            progress(min(count / total, 1), desc=words)

    def on_layer() -> None:
        nonlocal count
        count += 1
        tell()

    return on_layer, tell


def segment_if_given(
    picture: str | None,
    network: str,
    side: int,
    place: int,
    request: gr.Request,
    progress: gr.Progress = PROGRESS,
) -> tuple[Any, ...]:
    """Run as :func:`segment` does, but take a cleared picture for no mistake."""
    return SKIP if picture is None else segment(picture, network, side, place, request, progress)


def stop(request: gr.Request) -> str:
    """End the visitor's run within one layer; what is on the page stays."""
    session.stop(request.session_hash or "")
    return text(request, "page.stopped")


def forget(request: gr.Request) -> None:
    """Forget a visitor who left."""
    session.forget(request.session_hash or "")


@polite
def draw_network(view: session.View | None, wish: Wish, request: gr.Request) -> tuple[Any, ...]:
    """Fill the diagram, and offer every layer of the network in the search box."""
    if view is None or session.runs(request.session_hash or ""):  # the run under way draws its own
        return SKIP[:3]
    spec = find(view.network)
    if not _has(view.network, wish.layer):  # the first run, or the layer is of another network
        wish = replace(wish, layer=spec.stages[0].label, page=0, channel=None)
    drawn = diagram_value(view.network, view.side, result_of(view), wish.layer)
    answer = drawn, gr.Dropdown(choices=_layer_choices(view), value=wish.layer), wish
    return answer if session.shows(request.session_hash or "", view) else SKIP[:3]


def _layer_choices(view: session.View) -> list[tuple[str, str]]:
    """Return (what is read, label or dotted name) for the stages and then for every module call."""
    spec, layers = find(view.network), layers_of(view.network, view.side, view.picture.size)
    stages = {stage.layer: stage.label for stage in spec.every_stage()}

    def words(name: str) -> str:
        layer = layers[name]
        return f"{layer.type} · {' × '.join(map(str, layer.shape))}"

    labelled = [(f"{label} — {layer} · {words(layer)}", label) for layer, label in stages.items()]
    return labelled + [(f"{name} · {words(name)}", name) for name in layers if name not in stages]


@polite
def draw_sheet(view: session.View | None, wish: Wish, request: gr.Request) -> SheetValue | None:
    """Draw the channels of the layer that is wished."""
    if view is None or not wish.layer:
        return None
    if _is_to_come(view, wish, request):
        return SKIP[0]
    value = sheet_value(view, wish)
    return value if session.shows(request.session_hash or "", view) else SKIP[0]


@polite
def mark_stage(view: session.View, wish: Wish, request: gr.Request) -> DiagramValue:
    """Mark in the diagram what was picked in the search box."""
    return diagram_value(view.network, view.side, result_of(view), wish.layer)


@polite
def pick_stage(view: session.View | None, wish: Wish, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show the stage picked in the diagram, from its first page."""
    return _redrawn(view, replace(wish, layer=str(event.value), page=0, channel=None), request)


@polite
def pick_layer(layer: str | None, view: session.View | None, wish: Wish, request: gr.Request) -> tuple[Any, ...]:
    """Show the layer picked in the search box, from its first page."""
    return _redrawn(view, replace(wish, layer=layer or wish.layer, page=0, channel=None), request)[:2]


@polite
def pick_channel(view: session.View | None, wish: Wish, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show one channel enlarged."""
    return _redrawn(view, replace(wish, channel=int(event.index)), request)


@polite
def change_view(view: session.View | None, wish: Wish, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
    """Show another ranking, scope or page, with the channel that is still open."""
    changed = replace(wish, ranking=str(event.ranking), scope=str(event.scope), page=int(event.page))
    return _redrawn(view, replace(changed, channel=event.channel), request)


def _redrawn(view: session.View | None, wish: Wish, request: gr.Request) -> tuple[Any, ...]:
    """Return the sheet of a wish, the wish, and what the search box says.

    A stage of a network whose run is still under way is only remembered: that run draws it.
    """
    if view is None or _is_to_come(view, wish, request):
        return SKIP[0], wish, SKIP[0]
    return sheet_value(view, wish), wish, wish.layer


def _is_to_come(view: session.View, wish: Wish, request: gr.Request) -> bool:
    """Say whether the layer wished for is one of another network, which runs now."""
    return session.runs(request.session_hash or "") and not _has(view.network, wish.layer)


def _has(network: str, layer: str) -> bool:
    try:
        get_segmenter(network).layer_of(layer)
    except InputError:
        return False
    return True


@polite
def show_probability(
    view: session.View, shown: SegmentationValue, event: gr.EventData, request: gr.Request
) -> tuple[Any, ...]:
    """Add the probability of the class that was asked for to what is on show."""
    index = int(event.index)
    result = result_of(view).at(shown.picture.size)
    value = shown.with_probability(index, result.probability(result.names[index]))
    return (value, value) if session.shows(request.session_hash or "", view) else SKIP[:2]


@polite
def hand_over(view: session.View, shown: SegmentationValue, event: gr.EventData, request: gr.Request) -> Any:
    """Write the file that was asked for, in the picture's own size, for the browser to save."""
    result = result_of(view)
    file = io.BytesIO()
    stem = f"{'' if result.trained else 'untrained-'}{result.network}"
    colours = [share.colour for share in result.classes]
    if event.kind == "mask":
        name = f"{stem}-mask.png"
        rendering.palette_mask(result.mask, colours).save(file, "PNG")
    elif event.kind == "overlay":
        name = f"{stem}-overlay.png"
        hidden = frozenset(int(index) for index in event.hidden)
        rendering.overlay(view.picture, result.mask, colours, float(event.opacity), hidden).save(
            file, "PNG", compress_level=1
        )
    else:
        name = f"{stem}-data.npz"
        facts = {"classes": np.array(result.names), "logits": result.logits, "trained": np.array(result.trained)}
        if not result.answer:
            facts["mask"] = result.mask
            facts["confidence"] = result.confidence.astype(np.float16)
            facts["entropy"] = result.entropy.astype(np.float16)
        np.savez_compressed(file, **facts)  # type: ignore[arg-type]
    value = shown.with_download(str(event.kind), folder.claim().keep(file.getvalue(), name), name)
    return value if session.shows(request.session_hash or "", view) else SKIP[0]
