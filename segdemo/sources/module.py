"""Any ``nn.Module``: what no library tells of it is guessed, by running it once on noise."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from segdemo import ambient, needs
from segdemo.errors import InputError
from segdemo.images import to_batch
from segdemo.leaves import leaves
from segdemo.networks.network import Choice, Preprocessing
from segdemo.outputs import ClassScores, Output, Reading, choices, forwarding, read
from segdemo.sources.known import Known

# Mean and deviation of ImageNet's pictures, with which most networks are trained.
# Source: https://pytorch.org/vision/stable/models.html
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = (128, 192, 256, 320, 384, 512)
SIZE = 320
STRIDE = 32  # of most encoders
SQUARES = (224, 256, 384, 512, 518, 640, 1024)  # tried on networks that do not take every size
MOST_OUTPUTS = 12  # offered to be read
Scripted = torch.jit.ScriptModule
NOISE = (320, 256)  # width, height of the picture tried, pixels: its proportions tell rows from channels


@dataclass(frozen=True)
class Trial:
    """What came of running a network once.

    Args:
        preprocessing: with which it runs.
        output: what it returned.
        batch: what it was given.
        guesses: what of this was guessed.
        outputs: the tensors that can be read each by itself, where there are several.
    """

    preprocessing: Preprocessing
    output: Output
    batch: Tensor
    guesses: tuple[str, ...]
    outputs: tuple[Choice, ...] = ()

    @property
    def doubtful(self) -> bool:
        """Whether what was taken for logits may be probabilities: all of it lies between 0 and 1."""
        values = self.output.values
        return self.output.ending == "logits" and bool(((values >= 0) & (values <= 1)).all())


def recognises(module: nn.Module) -> bool:
    """Take every network."""
    return True


def known(module: nn.Module) -> Known:
    """Return that nothing is known."""
    return Known()


def try_out(module: nn.Module, title: str, known: Known, given: Preprocessing | None) -> Trial:
    """Run a network once, at the first input size that it takes.

    Args:
        module: the network.
        title: for sentences.
        known: what its library tells of it.
        given: its preprocessing, where a person says it.

    Raises:
        InputError: it takes none of them; the text says what it raised.
    """
    first: InputError | None = None
    for preprocessing, guesses in [(given, ())] if given else _candidates(module, known):
        try:
            batch, output, several = _run(module, title, preprocessing)
        except InputError as error:
            if error.code != "network_failed":
                raise
            first = first or error
        else:
            return Trial(_usual(preprocessing, known, given), output, batch, guesses, several)
    assert first is not None
    raise first


def _run(module: nn.Module, title: str, preprocessing: Preprocessing) -> tuple[Tensor, Output, tuple[Choice, ...]]:
    pixels = np.random.default_rng(0).integers(0, 256, (NOISE[1], NOISE[0], 3), np.uint8)
    with ambient.passing(module):
        batch, _ = to_batch(Image.fromarray(pixels), preprocessing)
        batch = batch.to(ambient.device_of(module))
        needs.check(module, (1, batch.shape[1], batch.shape[2], batch.shape[3]), title)
        with forwarding(module, batch, title), _Endings() as endings:
            returned = module(batch)
        size = batch.shape[2], batch.shape[3]
        output = read(returned, size, Reading(title))
        if endings.made(returned, output):
            output = read(returned, size, Reading(title, ending="shares"))
        return batch, output, _several(returned, size, Reading(title, ending=output.ending))


def _several(returned: object, size: tuple[int, int], reading: Reading) -> tuple[Choice, ...]:
    """Return the tensors among which one was chosen to be read; none where there is no choice."""
    found = choices(returned, size, reading)[:MOST_OUTPUTS]
    shapes = {leaf: tuple(tensor.shape) for leaf, tensor in leaves(returned)}
    if len(found) < 2:
        return ()
    return tuple(
        Choice(
            leaf,
            "classification" if isinstance(said, ClassScores) else "segmentation",
            len(said.values),
            shapes[leaf],
        )
        for leaf, said in found
    )


def _candidates(module: nn.Module, known: Known) -> Iterator[tuple[Preprocessing, tuple[str, ...]]]:
    """Yield how a network may want its pictures, the likeliest first, with what of it is guessed."""
    normalised = () if known.mean and known.std else ("normalisation",)
    usual = Preprocessing(
        size=SIZE,
        sizes=known.sizes or SIZES,
        stride=known.stride or STRIDE,
        shape=known.shape,
        mean=known.mean or MEAN,
        std=known.std or STD,
        channels=1 if _channels(module) == 1 else 3,
    )
    if not known.fixed:
        yield usual, (*normalised, *(() if known.size and known.sizes else ("size",)))
    for size in dict.fromkeys(filter(None, (known.size, *SQUARES))):
        guessed = () if size == known.size else ("size",)
        yield replace(usual, size=size, sizes=(size,), stride=1, shape="stretch"), (*normalised, *guessed)


def _usual(tried: Preprocessing, known: Known, given: Preprocessing | None) -> Preprocessing:
    """Return the preprocessing with the input size that the network was made for."""
    if given or len(tried.sizes) == 1 or not known.size:
        return tried
    return replace(tried, size=known.size, sizes=tuple(sorted({*tried.sizes, known.size})))


def _channels(module: nn.Module) -> int:
    """Return how many channels the first convolution takes, 3 where there is none."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            return part.in_channels
    return 3


class _Endings(TorchFunctionMode):
    """Remembers what softmax and sigmoid put out, as long as somebody has it."""

    def __init__(self) -> None:
        super().__init__()
        self._shares: list[weakref.ref[Tensor]] = []

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        returned = function(*arguments, **(keywords or {}))
        if getattr(function, "__name__", "") in ("softmax", "sigmoid", "sigmoid_") and isinstance(returned, Tensor):
            self._shares.append(weakref.ref(returned))
        return returned

    def made(self, returned: object, output: Output) -> bool:
        """Say whether what was read is what a softmax or sigmoid put out."""
        shares = [tensor for tensor in (reference() for reference in self._shares) if tensor is not None]
        ended = [tensor for _, tensor in leaves(returned) if any(tensor is one for one in shares)]
        if output.ending == "shares" or not ended:
            return False
        whole = [tensor.numel() for tensor in ended]
        return output.values.numel() in whole or output.values.numel() // 2 in whole
