"""One segmentation to look at: the photograph, and over it what the network says about every pixel."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdemo import rendering
from segdemo.engine import Engine
from segdemo.errors import InputError
from segdemo.explain.python import as_python
from segdemo.questions import Catalogue, Run, facts_of
from segdemo.results import Result
from segdemo.ui import checks
from segdemo.ui.javascript import loader
from segdemo.ui.messages import answering
from segdemo.ui.panels import asked_run, css, exact, placed, plain, store

CLASSES = 65_535  # the greatest class index a mask can hold
LIKELIEST = 5  # classes named at a pinned point
DISPLAY_SIDE = 1280  # pixels; a larger picture is shown reduced
TEMPLATE = """
<section class="card">
  <div class="head">
    <h3 class="heading" data-text="title"></h3>
    <label class="fader away"><span data-text="opacity"></span>
      <input class="opacity" type="range" min="0" max="100" step="1"><output class="opacity-value"></output></label>
  </div>
  <div class="empty">
    <svg viewBox="0 0 160 100" aria-hidden="true">
      <rect class="frame" x="1" y="1" width="158" height="98" rx="4"/>
      <path class="ground" d="M2 76 C30 66 48 72 70 64 S124 52 158 60 V95 a3 3 0 0 1 -3 3 H5 a3 3 0 0 1 -3 -3 Z"/>
      <path class="thing" d="M58 82 C56 58 62 44 68 36 L72 24 L82 33 H92 L102 24 L106 36 C114 46 116 62 114 82 Z"/>
      <circle class="pointer" cx="98" cy="56" r="7"/>
      <path class="pointer" d="M98 44 V52 M98 60 V68 M86 56 H94 M102 56 H110"/>
    </svg>
    <p class="empty-title" data-text="empty_title"></p>
    <p class="empty-text" data-text="empty_text"></p>
  </div>
  <p class="lost" role="alert" data-text="lost" hidden></p>
  <div class="body" hidden>
    <p class="banner" role="note" data-text="untrained_banner" hidden></p>
    <div class="views" role="radiogroup" data-label="views"></div>
    <div class="stage">
      <div class="lens"><div class="scene">
        <img class="photo" alt="">
        <canvas class="map" role="img" tabindex="0"></canvas>
        <div class="padding" hidden></div>
      </div>
      <canvas class="outline" aria-hidden="true" hidden></canvas>
      <canvas class="values" aria-hidden="true" hidden></canvas>
      <div class="region-names" aria-hidden="true" hidden></div>
      <div class="pointed" aria-hidden="true" hidden><i></i></div></div>
      <p class="off" data-text="in_padding" hidden></p>
      <div class="untrained" aria-hidden="true" hidden><span data-text="untrained_mark"></span></div>
      <span class="side-name left" data-text="photo" aria-hidden="true"></span>
      <span class="side-name right" data-text="mask" aria-hidden="true"></span>
      <div class="divider" role="slider" tabindex="0" data-label="divider" aria-valuemin="0" aria-valuemax="100"
        aria-orientation="horizontal"></div>
      <p class="waiting" role="status" data-text="waiting" hidden></p>
      <div class="tip" hidden></div>
    </div>
    <div class="adjustments">
      <label class="chooser"><span data-text="probability_of"></span> <select class="choice"></select></label>
      <div class="scale" aria-hidden="true">
        <div class="ramp"></div><span class="low"></span><span class="middle"></span><span class="high"></span>
      </div>
    </div>
    <p class="caption"></p>
    <p class="nothing" role="status" hidden></p>
    <div class="likeliest" role="status" hidden><p class="likeliest-at"></p><ol class="odds likeliest-odds"></ol>
      <p class="asks"><button type="button" class="quiet why-pixel" data-text="why_pixel"></button>
        <button type="button" class="quiet why-object" data-text="why_object"></button></p></div>
    <div class="answer" hidden><p class="best"></p><ol class="odds"></ol></div>
    <div class="legend-head"><span class="legend-title" data-text="classes"></span>
      <label class="naming" data-title="names_long"><input class="names" type="checkbox" checked>
        <span data-text="names"></span></label>
      <button type="button" class="quiet all" data-text="all" data-label="show_all"></button>
      <button type="button" class="quiet none" data-text="none" data-label="show_none"></button></div>
    <div class="legend" role="group" data-label="legend"></div>
    <details class="absent"><summary></summary></details>
    <div class="foot">
      <p class="facts"></p>
      <div class="downloads" role="group" data-label="downloads"><span data-text="downloads"></span></div>
    </div>
    <div class="code"></div>
    <p class="spoken" aria-live="polite"></p>
  </div>
</section>
"""


class SegmentationPanel(gr.HTML):
    """Shows what a :class:`Run` found: the mask over its photograph, five more views, a legend and downloads.

    Args:
        engine: whom to ask.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        @answering
        def segmentation(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return payload(engine, asked_run(asked), store)

        @answering
        def probability(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return probability_payload(engine, asked_run(asked), checks.whole("index", asked.get("index")), store)

        @answering
        def likeliest(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            return likeliest_payload(engine, asked_run(asked), checks.point("point", asked.get("point")))

        @answering
        def download(asked: dict[str, Any], request: gr.Request) -> dict[str, Any]:
            name, content = file_to_save(engine, asked_file(asked))
            return {"name": name, "file": store(content, name)}

        super().__init__(
            html_template=TEMPLATE,
            css_template=css("segmentation"),
            js_on_load=loader("segmentation", "suggested", "why"),
            apply_default_css=False,
            server_functions=[segmentation, probability, likeliest, download],
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page: what its script asks for comes by another way."""

    def postprocess(self, value: Run | None) -> dict[str, Any] | None:  # type: ignore[override]
        """Tell the script what to ask for."""
        return None if value is None else asdict(value)

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return {"type": "object"}


def payload(engine: Engine, run: Run, keep: Callable[[bytes, str], Any]) -> dict[str, Any]:
    """Gather what the segmentation's script shows.

    In the picture ``labels`` red is the class, green the confidence, blue the entropy (255 stands for ``bits``). Above
    256 classes red is the class modulo 256, and the grey picture ``high`` how often 256 goes into it.

    Args:
        engine: whom to ask.
        run: what is to be shown.
        keep: stores a file by its content and a name, and says where the script finds it.

    Raises:
        InputError: the picture is kept no longer.
    """
    result: Result = engine.answer(run)
    picture = engine.picture(run.picture).picture
    shown = result.at(display_size(picture.size))
    bits = math.log2(max(2, len(result.classes)))
    low, high = (shown.mask & 255).astype(np.uint8), (shown.mask >> 8).astype(np.uint8)
    labels = np.stack([low, _to_bytes(shown.confidence), _to_bytes(shown.entropy / bits)], axis=-1)  # (H, W, 3)
    facts = facts_of(engine, run.network)
    reduced = picture if shown.size == picture.size else picture.resize(shown.size)
    return plain(
        {
            "run": asdict(run),
            "picture": keep(rendering.encode_jpeg(reduced), "picture.jpg"),
            "labels": keep(rendering.encode_png(Image.fromarray(labels)), "labels.png"),
            "high": keep(rendering.encode_png(Image.fromarray(high)), "high.png") if high.any() else None,
            "seen": keep(rendering.encode_png(result.seen), "seen.png"),
            "classes": [asdict(share) for share in shown.classes],
            "bits": bits,
            "network": facts.title,
            "untrained": not result.trained,
            "partly": bool(facts.random),
            **placed(result),
            "side": result.input_size,
            "seconds": result.seconds,
            "answer": list(result.answer.values()),
            "instead": suggestion(engine, run.network) if nothing_found(result) else None,
            "python": python_of(run, result),
        }
    )


# What each view shows, as Python has it; a class's name goes where its marker is.
VIEWS = {"mask": "answer.mask", "compare": "answer.mask", "probability": "answer.probability({class})"}
VIEWS |= {"confidence": "answer.confidence", "entropy": "answer.entropy", "seen": "answer.seen"}


def python_of(run: Run, result: Result) -> dict[str, str]:
    """Write, for each view, the Python that gives what it shows."""
    views = {"seen": VIEWS["seen"], "picture": "answer.answer"} if result.answer else VIEWS
    return {view: as_python(run, value=value) for view, value in views.items()}


def nothing_found(result: Result) -> bool:
    """Say whether a segmentation is background all over."""
    return not result.answer and all(share.hidden or share.percent == 0 for share in result.classes)


def suggestion(engine: Engine, network: str) -> dict[str, Any] | None:
    """Return the network that might see what another does not: the trained one with most classes unknown to that one.

    Args:
        engine: knows which networks there are.
        network: which found nothing.

    Returns:
        Its ``name`` and ``title``, and ``more``, how many classes it knows beyond; None where no network knows any.
    """
    known = set(facts_of(engine, network).classes)
    others = [facts for facts in engine.answer(Catalogue()) if facts.task == "segmentation" and facts.trained]
    best = max(others, key=lambda facts: len(set(facts.classes) - known), default=None)
    more = 0 if best is None else len(set(best.classes) - known)
    return {"name": best.name, "title": best.title, "more": more} if best is not None and more else None


def likeliest_payload(engine: Engine, run: Run, point: tuple[int, int]) -> dict[str, Any]:
    """Gather the likeliest classes at one pixel with their exact probabilities, at most ``LIKELIEST``, best first.

    Args:
        engine: whom to ask.
        run: what is shown.
        point: (x, y) in the picture.

    Raises:
        InputError: there is no such pixel; the picture is kept no longer.
    """
    result: Result = engine.answer(run)
    probabilities = result.probabilities_at(point)
    best = np.argsort(-probabilities, kind="stable")[:LIKELIEST]
    classes = [{"index": int(index), "probability": exact(probabilities[index])} for index in best]
    return {"point": point, "classes": classes}


def display_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) in which a picture of a size is shown: its own, or reduced to ``DISPLAY_SIDE``."""
    scale = min(1.0, DISPLAY_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def probability_payload(engine: Engine, run: Run, index: int, keep: Callable[[bytes, str], Any]) -> dict[str, Any]:
    """Gather the map of one class, 8-bit grey: 255 is probability 1.

    Args:
        engine: whom to ask.
        run: what is shown.
        index: the class.
        keep: stores a file.

    Raises:
        InputError: the network has no such class; the picture is kept no longer.
    """
    result: Result = engine.answer(run)
    if not 0 <= index < len(result.names):
        raise InputError(
            "unknown_class_index",
            "There is no class {index}; the classes of {network} are 0 to {last}.",
            index=index,
            network=run.network,
            last=len(result.names) - 1,
        )
    values = result.at(display_size(result.size)).probability(result.names[index])
    return {"index": index, "file": keep(rendering.encode_png(Image.fromarray(_to_bytes(values))), "probability.png")}


def _to_bytes(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True)
class File:
    """A file that a visitor wants to save, in the picture's own size.

    Args:
        run: what it is about.
        kind: ``"mask"``, a palette picture of class indices; ``"overlay"``; ``"data"``, the maps as .npz.
        opacity: of the classes over the picture, in [0, 1].
        hidden: indices of the classes left out of the overlay.
    """

    run: Run
    kind: str
    opacity: float
    hidden: frozenset[int]


def asked_file(asked: dict[str, Any]) -> File:
    """Read what a script asks for.

    Raises:
        InputError: it asks for something that cannot be.
    """
    return File(
        asked_run(asked),
        checks.one_of("kind", asked.get("kind"), ("mask", "overlay", "data")),
        checks.share("opacity", asked.get("opacity")),
        checks.wholes("hidden", asked.get("hidden"), most=CLASSES),
    )


def file_to_save(engine: Engine, asked: File) -> tuple[str, bytes]:
    """Make a file for the browser to save.

    Args:
        engine: whom to ask.
        asked: which file.

    Returns:
        Its name and its content.

    Raises:
        InputError: a classifier has no such file; the picture is kept no longer.
    """
    result: Result = engine.answer(asked.run)
    checks.one_of("kind", asked.kind, ("data",) if result.answer else ("mask", "overlay", "data"))
    stem = f"{'' if result.trained else 'untrained-'}{result.network}"
    colours = [share.colour for share in result.classes]
    content = io.BytesIO()
    if asked.kind == "mask":
        rendering.palette_mask(result.mask, colours).save(content, "PNG")
        return f"{stem}-mask.png", content.getvalue()
    if asked.kind == "overlay":
        picture = engine.picture(asked.run.picture).picture
        drawn = rendering.overlay(picture, result.mask, colours, asked.opacity, asked.hidden)
        drawn.save(content, "PNG", compress_level=1)
        return f"{stem}-overlay.png", content.getvalue()
    np.savez_compressed(content, **_maps(result))
    return f"{stem}-data.npz", content.getvalue()


def _maps(result: Result) -> dict[str, Any]:
    """Gather the numbers of a run that are worth saving."""
    maps: dict[str, Any] = {
        "classes": np.array(result.names),
        "logits": result.logits,
        "trained": np.array(result.trained),
    }
    if not result.answer:
        maps["mask"] = result.mask
        maps["confidence"] = result.confidence.astype(np.float16)
        maps["entropy"] = result.entropy.astype(np.float16)
    return maps
