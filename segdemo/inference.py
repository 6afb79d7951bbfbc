"""Segmenter: picture in, Result out. The only lock, the only cache."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segdemo import checkpoints
from segdemo.activations import KEY, capture, run_until, trace
from segdemo.cache import Cache
from segdemo.errors import InputError
from segdemo.images import check_side, load_picture, place, to_batch, to_picture
from segdemo.networks import DEFAULT, find
from segdemo.results import Result
from segdemo.summaries import Summary, as_maps, glimpse, summarise

CACHE = Cache(limit=512 << 20)
_ONE_AT_A_TIME = threading.Lock()  # hooks and threads of two passes would mix
_SHARED: dict[tuple[str, int | None], Segmenter] = {}
_SHARED_LOCK = threading.Lock()


class Superseded(Exception):
    """The run was no longer wanted and stopped before its end."""


@dataclass(frozen=True)
class LayerInfo:
    """One call of one module.

    Args:
        name: dotted name, with ``:2`` and so on from the second call, and ``[leaf]`` for one tensor of several.
        type: the module's class, for example ``"Conv2d"``.
        shape: of what it puts out, without the batch dimension.
    """

    name: str
    type: str
    shape: tuple[int, ...]


class Segmenter:
    """A network with its embedded weights, ready for pictures. Safe to share between threads.

    Args:
        network: name in ``NETWORKS``.
        step: take the weights as they were at this step of the training, for networks with snapshots.

    Raises:
        InputError: no such network or step, or its checkpoint is missing or altered.
    """

    def __init__(self, network: str = DEFAULT, step: int | None = None) -> None:
        self.spec = find(network)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # an untrained network, too, shows everybody the same
            self.network = self.spec.build(len(self.spec.classes)).eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster
        self.step = step
        self.trained = checkpoints.load(self.network, self.spec, step) and step != 0  # at step 0 they are random
        self.classes = self.spec.classes

    def run(
        self,
        picture: Image.Image,
        side: int | None = None,
        *,
        alive: Callable[[], bool] | None = None,
        on_layer: Callable[[], None] | None = None,
    ) -> Result:
        """Segment a picture and summarise what every stage put out, in one forward pass.

        Args:
            picture: PIL, any mode.
            side: working size in pixels; None takes the network's own.
            alive: asked before every layer, and while the run waits for its turn; once it says False the run stops.
            on_layer: called before every layer, for instance to show progress.

        Returns:
            The result; maps in the picture's own size.

        Raises:
            InputError: the picture or the working size cannot be used.
            Superseded: ``alive`` said False.
        """
        picture = load_picture(picture)
        side = check_side(self.spec.rule, side)
        return self._remember(("run", side, digest(picture)), lambda: self._run(picture, side, alive, on_layer))

    def activation(
        self, picture: Image.Image, layer: str, channel: int | None = None, side: int | None = None
    ) -> np.ndarray:
        """Return exactly what a layer put out, running the network no further than that.

        Args:
            picture: PIL, any mode.
            layer: label of a stage, or dotted name of a module, ``"name:2"`` for its second call.
            channel: one channel, or None for all.
            side: working size in pixels; None takes the network's own.

        Returns:
            float32, (h, w) for one channel, else the activation without the batch dimension.

        Raises:
            InputError: no such layer or channel, or the picture or the working size cannot be used.
        """
        values = self._activation(picture, self.layer_of(layer), side)
        if channel is None:
            return _read_only(values)
        maps = as_maps(values[None])
        if not 0 <= channel < len(maps):
            raise InputError(
                "unknown_channel",
                "{layer} has no channel {channel}; its channels are 0 to {last}.",
                layer=layer,
                channel=channel,
                last=len(maps) - 1,
            )
        return _read_only(maps[channel])

    def summary(self, picture: Image.Image, layer: str, side: int | None = None) -> Summary:
        """Summarise what any layer put out, as ``Result.layers`` does for the stages of the figure.

        Args:
            picture: PIL, any mode.
            layer: as for :meth:`activation`.
            side: working size in pixels; None takes the network's own.

        Raises:
            InputError: no such layer, or the picture or the working size cannot be used.
        """
        name = self.layer_of(layer)
        picture = load_picture(picture)
        side = check_side(self.spec.rule, side)
        return self._remember(
            ("summary", name, side, digest(picture)),
            lambda: summarise(self._activation(picture, name, side)[None]),
        )

    def layers(self, side: int | None = None, *, size: tuple[int, int] | None = None) -> tuple[LayerInfo, ...]:
        """List every module call in the order in which they finish, computing nothing.

        Args:
            side: working size in pixels; None takes the network's own.
            size: (width, height) in pixels of a picture, which decides the shapes; None stands for a square one.
        """
        side = check_side(self.spec.rule, side)
        width, height = place(size or (side, side), self.spec.rule, side).padded
        with torch.device("meta"):
            hollow = self.spec.build(len(self.classes)).eval()
            calls = trace(hollow, torch.empty(1, self.spec.rule.channels, height, width))
        return tuple(LayerInfo(_short(key), kind, shape[1:]) for key, kind, shape in calls)

    def layer_of(self, layer: str) -> str:
        """Return the dotted name for a stage's label, or for itself if it is one, as :meth:`layers` writes it.

        Raises:
            InputError: neither a stage nor a module of this network; the text names the nearest.
        """
        stages = {stage.label: stage.layer for stage in self.spec.every_stage()}
        if layer in stages:
            return stages[layer]
        match = KEY.fullmatch(layer)
        modules = [name for name, _ in self.network.named_modules() if name]
        if match is None or match["name"] not in modules:
            raise InputError(
                "unknown_stage",
                "{network} has no stage or layer called {layer!r}; the nearest are {nearest}.",
                network=self.spec.title,
                layer=layer,
                nearest=", ".join(get_close_matches(layer, [*stages, *modules], n=4, cutoff=0.3) or [*stages][:4]),
            )
        return _short(layer)

    def _run(
        self, picture: Image.Image, side: int, alive: Callable[[], bool] | None, on_layer: Callable[[], None] | None
    ) -> Result:
        batch, placement = to_batch(picture, self.spec.rule, side)
        outer = {stage.layer: stage.label for stage in self.spec.stages}
        inner = {stage.layer: stage.label for stage in self.spec.every_stage() if stage.layer not in outer}
        with _turn(alive) as check:

            def before() -> None:
                check()
                if on_layer is not None:
                    on_layer()

            watched = None if alive is None and on_layer is None else before
            started = time.perf_counter()
            with (
                capture(self.network, outer, reduce=summarise, before=watched) as layers,
                capture(self.network, inner, reduce=glimpse) as glimpses,
            ):
                logits = self.network(batch)
            seconds = time.perf_counter() - started
        width, height = placement.resized
        return Result(
            network=self.spec.name,
            names=self.classes,
            trained=self.trained,
            step=self.step,
            side=side,
            size=picture.size,
            placement=placement,
            seen=to_picture(batch, self.spec.rule),
            logits=as_maps(logits)[:, :height, :width].contiguous().numpy(),
            layers={label: layers[layer] for layer, label in outer.items()},
            glimpses={label: glimpses[layer] for layer, label in inner.items()},
            seconds=seconds,
            task=self.spec.task,
        )

    def _activation(self, picture: Image.Image, name: str, side: int | None) -> Tensor:
        """Return the activation of a layer by its dotted name, without the batch dimension, float32."""
        picture = load_picture(picture)
        side = check_side(self.spec.rule, side)

        def compute() -> Tensor:
            batch, _ = to_batch(picture, self.spec.rule, side)
            with _turn(None):
                return run_until(self.network, batch, name)[0].float().contiguous()

        return self._remember(("activation", name, side, digest(picture)), compute)

    def _remember(self, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
        key = (self.spec.name, self.step, *key)
        value = CACHE.get(key)
        if value is None:
            value = compute()
            CACHE.put(key, value, value.nbytes)
        return value


@contextmanager
def _turn(alive: Callable[[], bool] | None) -> Iterator[Callable[[], None]]:
    """Wait for the turn to use a network, for inference; yields what raises once the run is superseded."""

    def check() -> None:
        if alive is not None and not alive():
            raise Superseded

    check()
    while not _ONE_AT_A_TIME.acquire(timeout=0.05):
        check()
    try:
        check()
        with torch.inference_mode():
            yield check
    finally:
        _ONE_AT_A_TIME.release()


def _read_only(values: Tensor) -> np.ndarray:
    """Hand out values that the cache keeps, safe from being changed by whoever gets them."""
    array = values.numpy()
    array.setflags(write=False)
    return array


def _short(key: str) -> str:
    """Leave the call number off where it is the first call and its only tensor: ``"relu:1"`` is ``"relu"``."""
    match = KEY.fullmatch(key)
    return match["name"] if match and match["call"] == "1" and not match["leaf"] else key


def digest(picture: Image.Image) -> bytes:
    """Return a fingerprint of a picture's pixels and size, 16 bytes."""
    return hashlib.blake2b(picture.tobytes(), digest_size=16, key=repr(picture.size).encode()).digest()


def get_segmenter(network: str = DEFAULT, step: int | None = None) -> Segmenter:
    """Return the one shared Segmenter of a network, made on first use.

    Args:
        network: name in ``NETWORKS``.
        step: as for :class:`Segmenter`.

    Raises:
        InputError: as :class:`Segmenter`.
    """
    with _SHARED_LOCK:
        if (network, step) not in _SHARED:
            _SHARED[network, step] = Segmenter(network, step)
        return _SHARED[network, step]
