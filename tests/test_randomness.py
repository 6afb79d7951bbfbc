"""What depends on random weights: followed by hand through small networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segdemo.randomness import Randomness, randomness
from segdemo.trace import trace_network


class Branches(nn.Module):
    """Two branches from one stem, added; one more output layer; ``free`` is a parameter of the network itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.left = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Dropout())
        self.right = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())
        self.last = nn.Conv2d(4, 2, 1)
        self.free = nn.Parameter(torch.zeros(2, 1, 1))

    def forward(self, batch: Tensor) -> Tensor:
        stem = self.stem(batch)
        return self.last(self.left(stem) + self.right(stem)) * self.free


def found(*tensors: str) -> Randomness:
    return randomness(trace_network(Branches(), torch.zeros(1, 3, 8, 8)), tensors)


def test_a_branch_beside_random_weights_is_not_said_to_depend_on_them() -> None:
    random = found("left.0.weight")
    said = {
        layer: random.of(layer) for layer in ("stem", "left", "left.0", "left.1", "right", "right.1", "add", "last")
    }
    assert said == {
        "stem": "",
        "left": "missing",
        "left.0": "missing",
        "left.1": "after",
        "right": "",
        "right.1": "",
        "add": "after",
        "last": "after",
    }


def test_random_weights_at_the_end_leave_everything_before_as_it_is() -> None:
    random = found("last.bias")
    assert [random.of(layer) for layer in ("stem", "left", "right.1", "add", "last", "mul")] == [""] * 4 + [
        "missing",
        "after",
    ]


def test_a_tensor_of_the_network_itself_may_be_in_every_operation_between_its_modules() -> None:
    random = found("free")
    assert [random.of(layer) for layer in ("stem", "right", "add", "mul")] == ["", "", "after", "after"]


def test_the_beginning_of_a_name_means_all_that_begins_so() -> None:
    random = found("right.")
    assert [random.of(layer) for layer in ("left", "right", "right.0", "right.1", "last")] == [
        "",
        *["missing"] * 3,
        "after",
    ]


def test_calls_and_leaves_are_seen_through() -> None:
    random = found("right.0.weight")
    assert [random.of(layer) for layer in ("right.0:1", "right.0[0]", "last:1[0]")] == ["missing", "missing", "after"]


def test_without_random_weights_nothing_is_said() -> None:
    assert not found().all
