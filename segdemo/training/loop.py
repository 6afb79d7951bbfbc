"""The loop: a network learns from pictures, step by step, until its budget is used, and can be interrupted anywhere."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from segdemo.errors import InputError
from segdemo.training.batches import Batches
from segdemo.training.curves import Curves
from segdemo.training.losses import segmentation_loss
from segdemo.training.parameters import check_batch, learning_mode, optimiser_for
from segdemo.training.processes import Processes
from segdemo.training.schedule import Clock, rate_at, side_at, snapshot_at
from segdemo.training.settings import Settings
from segdemo.training.state import (
    Average,
    averaged,
    finite,
    load_state,
    restore_state,
    save_state,
    save_weights,
)

Score = Callable[[nn.Module, int], float]  # mIoU of a network at a working size


class Trainer:
    """One run of training.

    Args:
        network: learns, in place.
        batches: what it learns from.
        settings: what a person decided.
        started: names of the tensors of the network that came from ``--init``.
        score: works out the mIoU on pictures not learned from; None when there are none.
        processes: this process among those that share the work.
    """

    def __init__(
        self,
        network: nn.Module,
        batches: Batches,
        settings: Settings,
        *,
        started: frozenset[str] = frozenset(),
        score: Score | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.settings, self.batches, self.score = settings, batches, score
        self.processes = processes or Processes()
        self.network = network.to(self.processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = optimiser_for(self.network, settings, started)
        self.learner: nn.Module = self.network
        if self.processes.count > 1:
            self.learner = DistributedDataParallel(self.network)
        check_batch(self.network, settings, batches.size // self.processes.count)
        steps = None if settings.minutes is not None else settings.epochs * batches.per_epoch
        self.clock = Clock(settings.minutes, steps)
        self.average = Average(self.network)
        self.curves = Curves()
        self.snapshots = 0
        self._saved: int | None = None  # the step at which the state was saved last
        self._stop = False

    def run(self) -> bool:
        """Learn until the budget is used, or until a signal asks to stop; save the state in both cases.

        Returns:
            True when the budget is used and the weights are written, False when stopped before.

        Raises:
            InputError: the loss or a weight is no finite number any more, or what came of the run cannot be written;
                what was saved before stays as it is.
        """
        saved = self.clock.elapsed
        with _stopping(self), self._bar() as bar:
            while not self._finished():
                self._snapshot()
                self._step(bar)
                if self.clock.elapsed - saved > self.settings.save_every * 60:
                    self._save(scored=True)
                    saved = self.clock.elapsed
        finished = self.clock.progress >= 1
        if finished:
            self._snapshot()
        self._save(scored=finished)
        return finished

    def restore(self) -> None:
        """Go on where the state in the folder was saved.

        Raises:
            InputError: there is no such state, it is damaged, or it is from a run that learned something else.
        """
        path = self.settings.out / "state.pt"
        state = load_state(path)
        restore_state(state, self.network, self.optimiser, path)
        for name, tensor in state["average"].items():  # copied, so that they stay on the device they are on
            self.average.tensors[name].copy_(tensor)
        self.average.steps = state["average_steps"]
        self.clock.elapsed, self.clock.step = state["elapsed"], state["step"]
        self.snapshots, self.curves.rows = state["snapshots"], state["curves"]
        self._saved = self.clock.step

    def _finished(self) -> bool:
        """Agree with the other processes on whether to go on, and on how much of the budget is used."""
        self.clock.elapsed, stop = self.processes.agree(self.clock.elapsed, float(self._stop))
        return self.clock.progress >= 1 or bool(stop)

    def _step(self, bar: tqdm[Any]) -> None:
        """Learn from one batch."""
        started = time.perf_counter()
        settings, progress = self.settings, self.clock.progress
        side = side_at(progress, settings.sides)
        for group in self.optimiser.param_groups:
            group["lr"] = settings.lr * group["share"] * rate_at(progress)
        batch = self.batches.make(self.clock.step, side)
        device = self.processes.device
        pictures = batch.pictures.to(device).contiguous(memory_format=torch.channels_last)
        soft = None if batch.soft is None else batch.soft.to(device)
        torch.manual_seed(hash((settings.seed, self.clock.step, self.processes.number)) & 0x7FFFFFFF)  # for dropout
        learning_mode(self.learner, self.network, settings.freeze)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
            logits: Tensor = self.learner(pictures)
        loss = segmentation_loss(logits.float(), batch.truth.to(device), soft, settings.loss)
        value = self.processes.mean(loss.detach())  # the same in every process, so that all stop together
        if not math.isfinite(value):
            self._refuse_diverged(f"the loss is {value}")
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), 5.0))
        if not math.isfinite(norm):
            self._refuse_diverged(f"the gradient is {norm}")
        self.optimiser.step()
        self.average.update(self.network)
        seconds = time.perf_counter() - started
        self.clock.count(seconds)
        rate = settings.lr * rate_at(progress)
        self.curves.add(self.clock, self.batches, value, rate, side, seconds)
        self._show(bar, seconds)

    def _refuse_diverged(self, came: str) -> NoReturn:
        """End a run that learns nonsense, before it is saved over what was learned before."""
        if self._saved is None:
            raise InputError(
                "train_diverged_unsaved",
                "At step {step} {came}: the network has run away, before anything was saved. Start anew with a lower "
                "--rate.",
                step=self.clock.step,
                came=came,
            )
        raise InputError(
            "train_diverged",
            "At step {step} {came}: the network has run away. What was saved at step {saved} stays as it is. Go on "
            "from there with --resume and a lower --rate.",
            step=self.clock.step,
            came=came,
            saved=self._saved,
        )

    def _check_finite(self) -> None:
        if not finite(self.network.state_dict(), self.average.tensors):
            self._refuse_diverged("weights are no finite numbers")

    def _snapshot(self) -> None:
        count = self.settings.snapshots
        if count and self.snapshots < count and self.clock.progress >= snapshot_at(self.snapshots, count):
            self._check_finite()
            if self.processes.first:
                folder = self.settings.out / "snapshots"
                path = folder / f"{self.clock.step:06}.safetensors"
                save_weights(self.average.tensors, path, half=True)
            self.snapshots += 1

    def _save(self, *, scored: bool) -> None:
        """Write weights, state and curves; the score is that of the averaged weights."""
        self._check_finite()
        self._saved = self.clock.step
        if not self.processes.first:
            return
        out, settings = self.settings.out, self.settings
        save_weights(self.average.tensors, out / "weights.safetensors", half=False)
        save_state(self._state(), out / "state.pt")  # before the score, which takes a while
        if scored and self.score is not None:
            with averaged(self.network, self.average):
                self.curves.score(self.score(self.network, side_at(self.clock.progress, settings.sides)))
        self.curves.write(out)

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.tensors,
            "average_steps": self.average.steps,
            "elapsed": self.clock.elapsed,
            "step": self.clock.step,
            "snapshots": self.snapshots,
            "curves": self.curves.rows,
        }

    def _bar(self) -> tqdm[Any]:
        form = "{desc} {percentage:3.0f}% |{bar}| {postfix}"
        return tqdm(total=1.0, initial=self.clock.progress, bar_format=form, disable=not self.processes.first)

    def _show(self, bar: tqdm[Any], seconds: float) -> None:
        row = self.curves.rows[-1]
        left = time.strftime("%H:%M:%S", time.gmtime(self.clock.left))
        score = "" if self.curves.miou is None else f", mIoU {self.curves.miou:.3f}"
        bar.set_description_str(f"step {self.clock.step}", refresh=False)
        bar.set_postfix_str(
            f"loss {row['loss']:.3f}, learning rate {row['lr']:.1e}, {row['speed']:.1f} pictures/s{score}, {left} left",
            refresh=False,
        )
        bar.update(self.clock.progress - bar.n)

    def stop(self) -> None:
        """End after the step that runs now."""
        self._stop = True


@contextmanager
def _stopping(trainer: Trainer) -> Iterator[None]:
    """Make an interruption or a request to end stop the run after its step, with its state saved."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: trainer.stop())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
