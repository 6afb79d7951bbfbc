"""Train the U-Net of the lab here, with skips and without, a few steps a turn, so that nobody waits for it.

A question asks for the state after so many steps. It is worked out from the state some steps before, which the engine
remembers, and so a training is as long as somebody goes on asking: whoever leaves stops it, and all who ask for the
same share it.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from segdemo import ambient
from segdemo.engine import Bench, Memory, Question
from segdemo.errors import InputError
from segdemo.labs.figures import drawn, seen_by, traced, with_pictures
from segdemo.labs.lab import READ, Curves, Maps, Outcome, Said, array, read
from segdemo.labs.question import Words, alone, settings_of
from segdemo.labs.shapes import shapes
from segdemo.labs.unet import blocks_of
from segdemo.labs.unet_blocks import DoubleConv, Down, OutConv, UNet, Up

PICTURES, UNSEEN, SIDE = 40, 20, 48  # drawn pictures to learn from, and others to test on, pixels
AT_ONCE, LR = 8, 0.003  # pictures in a step
TURN, MOST = 5, 300  # steps between two turns of others, a quarter of a second on one core, and in all
WIDEST, DEEPEST, LARGEST = 8, 3, 64  # of what is trained here
COUNTING = ("width", "depth", "up", "seed")  # settings that change what is learned; whoever shares them shares it
WAYS = {"with": True, "without": False}  # skips or not
TINT = np.array([1.0, 0.18, 0.43], np.float32)[:, None, None]  # of a mask laid over a picture

IMPORTS = """import random
from collections.abc import Iterable

import torch
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor, nn
from torch.nn import functional

"""


def learn(
    net: nn.Module, optimiser: torch.optim.Optimizer, data: tuple[Tensor, Tensor], order: Iterable[Tensor]
) -> list[float]:
    """Take a step for each of the groups of pictures in order; return the losses."""
    pictures, masks = data
    losses = []
    for chosen in order:
        loss = functional.cross_entropy(net(pictures[chosen]), masks[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def bounded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the lab as they are trained: small enough for a minute, and for two classes."""
    return {
        "width": min(settings["width"], WIDEST),
        "depth": min(settings["depth"], DEEPEST),
        "bilinear": settings["up"] == "bilinear",
        "size": min(settings["size"], LARGEST),
        "seed": settings["seed"],
    }


def snippet(settings: Mapping[str, Any], steps: int) -> str:
    """Return all that is trained, and how.

    Args:
        settings: of the lab.
        steps: how many.
    """
    known = bounded(settings)
    parts = (DoubleConv, Down, Up, OutConv, UNet, shapes, learn)
    sources = "\n\n".join(inspect.getsource(part) for part in parts)
    made = f"width={known['width']}, depth={known['depth']}, bilinear={known['bilinear']}"
    return (
        f"{IMPORTS}\n{sources}\n\n{READ.format(side=known['size'])}\n"
        "torch.set_num_threads(1)  # so that every machine adds up in the same order\n"
        f"data = shapes({PICTURES}, {SIDE}, seed=0)\n"
        f"generator = torch.Generator().manual_seed({known['seed']})\n"
        f"order = [torch.randperm({PICTURES}, generator=generator)[:{AT_ONCE}] for _ in range({steps})]\n"
        "losses, probability = {}, {}\n"
        "for skips in (True, False):\n"
        f"    torch.manual_seed({known['seed']})\n"
        f"    net = UNet(classes=2, {made}, skips=skips, pad=True)\n"
        f"    optimiser = torch.optim.Adam(net.parameters(), lr={LR})\n"
        "    losses[skips] = learn(net, optimiser, data, order)\n"
        "    with torch.no_grad():\n"
        "        probability[skips] = net.eval()(batch).softmax(1)[0, 1]  # (H, W): that a shape is there\n"
        '    print(f"skips={skips}: loss", losses[skips][-1:])\n'
    )


@dataclass(frozen=True)
class Learned:
    """Both networks after some steps.

    Args:
        losses: of every step, by way: ``"with"`` or ``"without"`` skips.
        saved: of each the state of the network and of its optimiser, as ``torch.save`` writes them.
    """

    losses: Mapping[str, tuple[float, ...]]
    saved: Mapping[str, bytes]

    @property
    def nbytes(self) -> int:
        """What it takes."""
        return sum(map(len, self.saved.values())) + 16 * sum(map(len, self.losses.values()))


@dataclass(frozen=True)
class Train(Question):
    """Ask for both networks after some steps of their training.

    Args:
        words: the settings of the lab that are not as at first.
        steps: 0, or one turn more than somebody has asked for before.
    """

    memory: ClassVar[Memory] = "states"
    words: Words
    steps: int

    def answer(self, bench: Bench) -> Learned:
        """Go on from where the training was one turn before."""
        check_steps(self.steps)
        before: Learned | None = None
        if self.steps:
            before = bench.recall(Train(self.words, self.steps - TURN))
            if before is None:
                raise InputError(
                    "training_forgotten",
                    "What was learned in {steps} steps is no longer kept: others have trained since. Start again.",
                    steps=self.steps - TURN,
                )
        known = bounded(settings_of("unet", dict(self.words)))
        with alone(), one_thread():
            return taught(known, before, self.steps, bench)


def check_steps(steps: int) -> None:
    """Refuse a number of steps that a training never stops at.

    Raises:
        InputError: it is none.
    """
    if steps not in range(0, MOST + 1, TURN):
        raise InputError(
            "training_steps",
            "A training has 0 to {most} steps, {turn} at a time, but {came} were asked for. Press Start again.",
            most=MOST,
            turn=TURN,
            came=steps,
        )


def taught(known: Mapping[str, Any], before: Learned | None, steps: int, bench: Bench) -> Learned:
    """Return both networks one turn later; as they begin where there is nothing before.

    Args:
        known: what :func:`bounded` returns.
        before: what they were.
        steps: so many there are when it is done.
        bench: is told how far it is, and says whether to go on.
    """
    data = shapes(PICTURES, SIDE, seed=0)
    generator = torch.Generator().manual_seed(known["seed"])
    order = [torch.randperm(PICTURES, generator=generator)[:AT_ONCE] for _ in range(steps)][-TURN:]
    losses, saved = {}, {}
    for way, skips in WAYS.items():
        net, optimiser = restored(known, skips, before.saved[way] if before else None)
        new = learn(net.train(), optimiser, data, _watched(order, bench))
        losses[way] = (*(before.losses[way] if before else ()), *new)
        file = io.BytesIO()
        torch.save((net.state_dict(), optimiser.state_dict()), file)
        saved[way] = file.getvalue()
    return Learned(losses, saved)


def _watched(order: list[Tensor], bench: Bench) -> Iterator[Tensor]:
    for index, chosen in enumerate(order):
        bench.check()
        bench.report(index, len(order))
        yield chosen


def restored(known: Mapping[str, Any], skips: bool, saved: bytes | None) -> tuple[UNet, torch.optim.Adam]:
    """Return a network and its optimiser, as they begin or as they were saved."""
    torch.manual_seed(known["seed"])
    net = UNet(2, known["width"], known["depth"], known["bilinear"], skips, True)
    optimiser = torch.optim.Adam(net.parameters(), lr=LR)
    if saved is not None:
        state, moments = torch.load(io.BytesIO(saved), weights_only=True)
        net.load_state_dict(state)
        optimiser.load_state_dict(moments)
    return net, optimiser


@dataclass(frozen=True)
class LookAtTraining(Question):
    """Ask what both networks make of a picture after some steps.

    Args:
        picture: fingerprint of a picture that the engine keeps.
        words: as for :class:`Train`.
        steps: as for :class:`Train`.
    """

    memory: ClassVar[Memory] = "nothing"  # each is looked at once
    picture: str
    words: Words
    steps: int

    def answer(self, bench: Bench) -> Outcome:
        """Run both."""
        counting = tuple((name, word) for name, word in self.words if name in COUNTING)
        learned: Learned = bench.answer(Train(counting, self.steps))
        known = bounded(settings_of("unet", dict(self.words)))
        with alone(), one_thread(), torch.no_grad():
            return seen(known, learned, read(bench.picture, known["size"]))


def seen(known: Mapping[str, Any], learned: Learned, batch: Tensor) -> Outcome:
    """Return the losses, the masks and the layers of both networks."""
    unseen, truth = shapes(UNSEEN, SIDE, seed=1)
    blocks: list[Any] = [Maps("picture", array(batch[0]), picture=True), Maps("drawn", array(unseen[0]), picture=True)]
    values, scores = {}, {}
    for way, skips in WAYS.items():
        net, _ = restored(known, skips, learned.saved[way])
        net.eval()
        pictures, output = seen_by(net, batch, blocks_of(net))
        boxes = with_pictures(drawn(f"layers_{way}", traced(net, batch.shape), blocks_of(net)), pictures)
        values[f"probability_{way}"] = array(output.softmax(1)[0, 1])
        values[f"losses_{way}"] = np.array(learned.losses[way])
        found = net(unseen).argmax(1)
        scores[way] = float(((found & truth) > 0).sum() / ((found | truth) > 0).sum())
        blocks += [
            Maps(f"mask_{way}", _laid(array(batch[0]), values[f"probability_{way}"] > 0.5), picture=True),
            Maps(f"drawn_{way}", _laid(array(unseen[0]), array(found[0]) > 0), picture=True),
            boxes,
        ]
    said = {way: f"{100 * score:.0f}" for way, score in scores.items()}
    blocks += [
        Curves("losses", learned.losses, logarithmic=True),
        Said("scores", {**said, "count": UNSEEN}),
        Said("bounded", {name: known[name] for name in ("width", "depth")}),
    ]
    return Outcome(values, tuple(blocks), {"scores": scores})


def _laid(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Lay a mask over a picture, (3, h, w)."""
    return np.where(mask, 0.4 * picture + 0.6 * TINT, picture)


def one_thread() -> AbstractContextManager[None]:
    """Compute in one thread as long as the block lasts: the same sums everywhere, the other cores left to others."""
    return ambient.threads(1)
