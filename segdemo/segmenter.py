"""Segmenter: picture in, Result out. The friendly face of an engine, for Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from segdemo import checkpoints, own_weights
from segdemo.devices import device_called
from segdemo.engine import LocalEngine, Question, ShouldContinue, always
from segdemo.errors import InputError
from segdemo.figure import Figure
from segdemo.images import check_input_size, whole
from segdemo.networks import DEFAULT, NETWORKS, Network, find
from segdemo.opened import Opened, fingerprint_of
from segdemo.pictures import PictureSource
from segdemo.questions import Activation, Drawing, Layers, LayerSummary, RandomLayers, Run, channel_of
from segdemo.randomness import Randomness
from segdemo.results import LayerInfo, Result
from segdemo.sources import Classes, network_of
from segdemo.summaries import Summary


class Segmenter:
    """A network with its embedded weights, ready for pictures. Safe to share between threads.

    It computes in float32, or as it was asked to, and in evaluation mode, whatever defaults, autocast or modes a
    program has set. Pickled or copied it is its name and step; a network that was changed or put in its place goes
    along.

    Args:
        network: name in ``NETWORKS``, a specification of your own, or any ``nn.Module``, which stays as it is.
        step: take the weights as they were at this step of the training, for networks with snapshots.
        classes: of a module: names of what it tells apart, in index order; None takes what its library knows.
        preprocessing: of a module: as for :func:`segdemo.sources.network_of`; None takes what its library knows, or
            guesses. ``spec.guesses`` says what was guessed.
        device: where it computes: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``. None is the CPU; a module stays where
            it is.
        precision: ``"float32"``, or ``"bfloat16"`` or ``"float16"`` wherever PyTorch thinks that safe, which every
            result says.

    Raises:
        InputError: no such network, step, device or precision, or its checkpoint is missing or altered; a module cannot
            be looked into.
    """

    report: checkpoints.Report | None = None  # of a checkpoint of your own

    def __init__(
        self,
        network: str | Network | nn.Module = DEFAULT,
        step: int | None = None,
        *,
        classes: Classes | None = None,
        preprocessing: Any = None,
        device: str | None = None,
        precision: str = "float32",
    ) -> None:
        self.spec = _spec_of(network, classes, preprocessing)
        number = whole(step)
        self.step = step if number is None else number
        checkpoints.sha256_of(self.spec, self.step)  # refuses what is no step of its training
        self.classes = self.spec.names
        self._engine = LocalEngine({self.spec.name: self.spec}, device=device, precision=precision)
        self.trained = self._opened().trained

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        network: str | Network | None = None,
        *,
        device: str | None = None,
        precision: str = "float32",
    ) -> Segmenter:
        """Take a network with weights of your own.

        Args:
            path: a .safetensors file, or what torch.save wrote; nothing in it is run.
            network: name in ``NETWORKS``, or a specification; None finds out from names and shapes.
            device: as for :class:`Segmenter`.
            precision: likewise.

        Returns:
            The network with what fits; ``report`` says what became of each tensor.

        Raises:
            InputError: the file cannot be used, or fits no network.
        """
        wanted = find(network) if isinstance(network, str) else network
        loaded = own_weights.load(path, wanted)
        if device is not None:
            loaded.module.to(device_called(device))
        segmenter = _with(loaded.spec, None, loaded.module, loaded.trained, device, precision)
        segmenter.report = loaded.report
        return segmenter

    @property
    def network(self) -> nn.Module:
        """The module. Another may be put in its place; what it answers is then answered anew."""
        return self._opened().module

    @network.setter
    def network(self, module: nn.Module) -> None:
        self._engine.adopt(replace(self._opened(), module=module, fingerprint=fingerprint_of(module)))

    @property
    def precision(self) -> str:
        """In which its passes compute, wherever PyTorch thinks half of it safe."""
        return self._engine.precision

    @property
    def figure(self) -> Figure:
        """The network as a figure, drawn from one traced pass: its stages, in order, and what feeds them."""
        return self._ask(Drawing(self.spec.name, step=self.step))

    def run(
        self, picture: PictureSource, size: int | None = None, *, should_continue: ShouldContinue = always
    ) -> Result:
        """Segment a picture and summarise what every stage put out, in one forward pass.

        Args:
            picture: path, encoded bytes, open binary file, PIL picture, array or tensor.
            size: input size in pixels; None takes the network's own.
            should_continue: asked before every layer, and while the run waits for its turn; False stops the run.

        Returns:
            The result; maps in the picture's own size.

        Raises:
            InputError: the picture or the input size cannot be used.
            Cancelled: ``should_continue`` said False.
        """
        return self._ask(Run(self.spec.name, self._engine.keep(picture), self._size(size), self.step), should_continue)

    def activation(
        self, picture: PictureSource, layer: str | nn.Module, channel: int | None = None, size: int | None = None
    ) -> np.ndarray:
        """Return exactly what a layer put out, running the network no further than that.

        Args:
            picture: as for :meth:`run`.
            layer: label of a stage, dotted name of a module, ``"name:2"`` for its second call, or the module itself.
            channel: one channel, or None for all.
            size: input size in pixels; None takes the network's own.

        Returns:
            float32, (h, w) for one channel, else the activation without the batch dimension. It cannot be written.

        Raises:
            InputError: no such layer or channel, or the picture or the input size cannot be used.
        """
        name, number = self.layer_of(layer), whole(channel)
        if number is None and channel is not None:  # refused, with the channels there are
            return channel_of(self.activation(picture, layer, size=size), channel, name)
        return self._ask(
            Activation(self.spec.name, self._engine.keep(picture), name, number, self._size(size), self.step)
        )

    def summary(self, picture: PictureSource, layer: str | nn.Module, size: int | None = None) -> Summary:
        """Summarise what any layer put out, as ``Result.layers`` does for the stages of the figure.

        Args:
            picture: as for :meth:`run`.
            layer: as for :meth:`activation`.
            size: input size in pixels; None takes the network's own.

        Raises:
            InputError: no such layer, or the picture or the input size cannot be used.
        """
        name = self.layer_of(layer)
        return self._ask(LayerSummary(self.spec.name, self._engine.keep(picture), name, self._size(size), self.step))

    def layers(self, size: int | None = None, *, picture_size: tuple[int, int] | None = None) -> tuple[LayerInfo, ...]:
        """List every module call in the order in which they finish, computing nothing.

        Args:
            size: input size in pixels; None takes the network's own.
            picture_size: (width, height) in pixels of a picture, which decides the shapes; None stands for a square.
        """
        listed = self._ask(Layers(self.spec.name, self._size(size), picture_size, self.step))
        return tuple(info for info in listed if info.kind == "module")

    def layer_of(self, layer: str | nn.Module) -> str:
        """Return the dotted name for a stage's label, or for itself if it is one, as :meth:`layers` writes it.

        Raises:
            InputError: neither a stage nor a module of this network; the text names the nearest.
        """
        return self._opened().layer_of(layer)

    def trained_layer(self, layer: str | nn.Module) -> bool:
        """Say whether what a layer puts out comes from trained weights alone; of a part that is, all but the rest.

        Args:
            layer: as for :meth:`activation`.
        """
        name = self.layer_of(layer)
        if self.trained or not self.spec.untrained:
            return self.trained
        found: Randomness = self._ask(RandomLayers(self.spec.name, self.step))
        return not found.of(name)

    def forget(self) -> None:
        """Forget what was answered, to have it worked out anew."""
        self._engine.forget_answers()

    def opened_as(self, spec: Network) -> Opened:
        """Return the network with its weights, for another engine, under another specification."""
        return replace(self._opened(), spec=spec)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle name and step if the network is as it was loaded, the network too if not."""
        opened = self._opened()
        if NETWORKS.get(self.spec.name) is self.spec and not opened.changed:
            return _named, (self.spec.name, self.step, *self._engine.place)
        return _with, (self.spec, self.step, opened.module, self.trained, *self._engine.place)

    def _opened(self) -> Opened:
        return self._engine.open(self.spec.name, self.step)

    def _ask(self, question: Question, should_continue: ShouldContinue = always) -> Any:
        return self._engine.answer(question, should_continue)

    def _size(self, size: int | None) -> int:
        return check_input_size(self.spec.preprocessing, size)


def _spec_of(network: str | Network | nn.Module, classes: Classes | None, preprocessing: Any) -> Network:
    """Return what is known of a network, by whatever it is given."""
    if isinstance(network, str | Network):
        if classes is not None or preprocessing is not None:
            raise InputError(
                "network_described",
                "{network} says itself which classes and which preprocessing it has. Leave both out, or give a module.",
                network=network if isinstance(network, str) else network.name,
            )
        return find(network) if isinstance(network, str) else network
    return network_of(network, classes, preprocessing)


def _named(network: str, step: int | None, device: str | None, precision: str) -> Segmenter:
    return Segmenter(network, step, device=device, precision=precision)


def _with(
    spec: Network,
    step: int | None,
    module: nn.Module,
    trained: bool,
    device: str | None = None,
    precision: str = "float32",
) -> Segmenter:
    """Make a Segmenter with a network of its own again."""
    segmenter = Segmenter.__new__(Segmenter)
    segmenter.spec, segmenter.step, segmenter.classes, segmenter.trained = spec, step, spec.names, trained
    segmenter._engine = LocalEngine({spec.name: spec}, device=device, precision=precision)
    segmenter._engine.adopt(Opened(spec, step, module, trained, fingerprint_of(module)))
    return segmenter
