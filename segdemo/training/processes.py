"""One process among several that share the work, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """This process and the others.

    Args:
        number: of this one, from 0.
        count: of all.
        device: on which it computes.
    """

    number: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    @property
    def first(self) -> bool:
        """Whether it is this process that writes files and talks."""
        return self.number == 0

    def agree(self, elapsed: float, stop: float) -> tuple[float, float]:
        """Take over the time elapsed of the first process, and the wish of any to stop."""
        if self.count == 1:
            return elapsed, stop
        together = torch.tensor([elapsed if self.first else 0.0, stop], dtype=torch.float64, device=self.device)
        dist.all_reduce(together)
        return float(together[0]), float(together[1])

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def mean(self, value: Tensor) -> float:
        """Return the mean of a number over all processes."""
        if self.count > 1:
            value = value.clone()
            dist.all_reduce(value)
            value = value / self.count
        return float(value)


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started; alone where it did not."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    place = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", place) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Processes(dist.get_rank(), count, device)
    finally:
        dist.destroy_process_group()
