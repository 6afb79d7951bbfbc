"""One segmentation to look at: the photograph, and over it what the network says about every pixel."""

from __future__ import annotations

import io
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray
from PIL import Image

from segdemo.rendering import encode_png
from segdemo.ui.components import read_css, read_js, store

NAME = "segmentation_view"

TEMPLATE = """
<section class="card" data-label="title">
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
      <img class="photo" alt="">
      <canvas class="map" role="img" tabindex="0"></canvas>
      <div class="padding" hidden></div>
      <div class="untrained" aria-hidden="true" hidden><span data-text="untrained_mark"></span></div>
      <span class="side-name left" data-text="photo" aria-hidden="true"></span>
      <span class="side-name right" data-text="mask" aria-hidden="true"></span>
      <div class="divider" role="slider" tabindex="0" data-label="divider" aria-valuemin="0" aria-valuemax="100"
        aria-orientation="horizontal"></div>
      <div class="cross across" hidden></div><div class="cross down" hidden></div>
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
    <div class="answer" hidden><p class="best"></p><ol class="odds"></ol></div>
    <div class="legend-head"><span class="legend-title" data-text="classes"></span>
      <button type="button" class="quiet all" data-text="all" data-label="show_all"></button>
      <button type="button" class="quiet none" data-text="none" data-label="show_none"></button></div>
    <div class="legend" role="group" data-label="legend"></div>
    <details class="absent"><summary></summary></details>
    <div class="foot">
      <p class="facts"></p>
      <div class="downloads" role="group" data-label="downloads"><span data-text="downloads"></span></div>
    </div>
    <p class="spoken" aria-live="polite"></p>
  </div>
</section>
"""


class Encoded(NamedTuple):
    """The files of one run, as bytes."""

    picture: bytes
    labels: bytes
    seen: bytes


@dataclass(frozen=True, eq=False)
class SegmentationValue:
    """What one run says about one picture, reduced to a size worth sending to a browser.

    Its files are encoded once; ``with_probability`` and ``with_download`` share them.

    Args:
        picture: RGB, (W, H) pixels, longest side at most 2048.
        mask: (H, W) uint8, class of each pixel of ``picture``.
        confidence: (H, W) float32 in [0, 1], probability of the class in ``mask``.
        entropy: (H, W) float32 in [0, log2 K], bits.
        classes: (index, name, "#rrggbb", share of the picture in percent) for all K classes; index 0 is the background.
        network_title: what people call the network.
        untrained: the network has random weights; every view says so.
        picture_size: (width, height) of the original, pixels; positions are given in it.
        seen: RGB, what the network was given, padding included.
        seen_size: (width, height) of ``seen``, pixels.
        resized: (width, height) of the part of ``seen`` that is the picture, from its top left corner.
        side: working size, pixels.
        seconds: time of the forward pass.
        answer: of a classifier, the probability of each class in index order, in [0, 1]; it is shown instead of masks.
        probability: class index and its (h, w) float32 map in [0, 1], any size with the picture's proportions.
        download: kind ("mask", "overlay" or "data"), path and file name of a file to hand over now.
    """

    picture: Image.Image
    mask: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    entropy: NDArray[np.float32]
    classes: Sequence[tuple[int, str, str, float]]
    network_title: str
    untrained: bool
    picture_size: tuple[int, int]
    seen: Image.Image
    seen_size: tuple[int, int]
    resized: tuple[int, int]
    side: int
    seconds: float
    answer: tuple[float, ...] = ()
    probability: tuple[int, NDArray[np.float32]] | None = None
    download: tuple[str, str | Path, str] | None = None

    @property
    def most_bits(self) -> float:
        """Entropy of K equally probable classes, in bits."""
        return math.log2(max(2, len(self.classes)))

    @cached_property
    def encoded(self) -> Encoded:
        """Photograph, the three maps in one lossless picture, and what the network saw."""
        shares = (self.confidence, self.entropy / self.most_bits)
        labels = np.stack([self.mask, *(_to_bytes(share) for share in shares)], axis=-1)  # (H, W, 3)
        return Encoded(_encode_photo(self.picture), encode_png(Image.fromarray(labels)), encode_png(self.seen))

    def with_probability(self, index: int, values: NDArray[np.float32]) -> SegmentationValue:
        """Return the same run, with the map of one class.

        Args:
            index: the class.
            values: (h, w) float32 in [0, 1].
        """
        return self._same_run(replace(self, probability=(index, values), download=None))

    def with_download(self, kind: str, path: str | Path, name: str) -> SegmentationValue:
        """Return the same run, with a file that the browser saves as soon as the value arrives.

        Args:
            kind: "mask", "overlay" or "data", as asked for.
            path: the file; it is copied, and may be deleted once the value has been sent.
            name: the file name offered.
        """
        return self._same_run(replace(self, download=(kind, path, name)))

    def _same_run(self, other: SegmentationValue) -> SegmentationValue:
        other.__dict__["encoded"] = self.encoded  # where cached_property looks
        return other


class Probability(GradioModel):
    """The map of one class, 8-bit grey: 255 is probability 1."""

    index: int
    file: FileData


class Download(GradioModel):
    """A file to save, and a stamp that differs each time: the page is told only of values that differ."""

    kind: str
    file: FileData
    stamp: str


class SegmentationData(GradioModel):
    """What the page gets. In ``labels`` red is the class, green the confidence, blue the entropy (255: ``bits``)."""

    picture: FileData
    labels: FileData
    seen: FileData
    classes: list[dict[str, Any]]
    bits: float
    network: str
    untrained: bool
    picture_size: tuple[int, int]
    seen_size: tuple[int, int]
    resized: tuple[int, int]
    side: int
    seconds: float
    answer: list[float]
    probability: Probability | None = None
    download: Download | None = None


class SegmentationView(gr.HTML):
    """The mask over its photograph, with five more views, a legend and downloads.

    Events: ``probability`` (data: index) asks for ``with_probability``; ``download`` (data: kind, opacity in [0, 1],
    hidden class indices) asks for ``with_download``.
    """

    data_model = SegmentationData

    def __init__(self, value: SegmentationValue | None = None, **settings: Any) -> None:
        super().__init__(
            value=value,
            html_template=TEMPLATE,
            css_template=read_css(NAME),
            js_on_load=read_js(NAME),
            apply_default_css=False,
            **settings,
        )

    def preprocess(self, payload: Any) -> None:
        """Take nothing from the page: what it shows is the server's."""

    def postprocess(self, value: SegmentationValue | None) -> SegmentationData | None:  # type: ignore[override]
        """Write a run's files and describe it for the page."""
        if value is None:
            return None
        return SegmentationData(
            picture=self._file(value.encoded.picture, "picture.jpg"),
            labels=self._file(value.encoded.labels, "labels.png"),
            seen=self._file(value.encoded.seen, "seen.png"),
            classes=[
                {"index": int(index), "name": name, "colour": colour, "percent": float(percent)}
                for index, name, colour, percent in value.classes
            ],
            bits=value.most_bits,
            network=value.network_title,
            untrained=value.untrained,
            picture_size=value.picture_size,
            seen_size=value.seen_size,
            resized=value.resized,
            side=value.side,
            seconds=value.seconds,
            answer=list(value.answer),
            probability=self._probability(value),
            download=self._download(value),
        )

    def api_info(self) -> dict[str, Any]:
        """Describe the value to clients."""
        return SegmentationData.model_json_schema()

    def _probability(self, value: SegmentationValue) -> Probability | None:
        if value.probability is None:
            return None
        index, values = value.probability
        encoded = encode_png(Image.fromarray(_to_bytes(values)))
        return Probability(index=index, file=self._file(encoded, "probability.png"))

    def _download(self, value: SegmentationValue) -> Download | None:
        if value.download is None:
            return None
        kind, path, name = value.download
        # Copied under its own name: the server announces the name on disk, and browsers prefer that one.
        return Download(kind=kind, file=self._file(Path(path).read_bytes(), name), stamp=uuid.uuid4().hex)

    def _file(self, data: bytes, name: str) -> FileData:
        return FileData(path=store(data, name), orig_name=name)


def _to_bytes(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def _encode_photo(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
