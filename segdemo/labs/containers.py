"""Containers: what Sequential, ModuleList and ModuleDict register, and what a plain list or dict does not."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from segdemo.labs.controls import Choice, Control, Switch, Whole
from segdemo.labs.lab import READ, Outcome, Said, Table, Task, array, read

TITLE = "labs.containers"

LISTS = ("module_list", "list")
DICTS = ("module_dict", "dict")
KINDS = ("sequential", "ordered_dict", *LISTS, *DICTS)
IMPORTS = """from collections import OrderedDict
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional

"""
CHANGES = {
    "append": "net.layers.append(nn.Linear(10, 10))",
    "extend": "net.layers.extend([nn.Linear(10, 10), nn.Linear(10, 10)])",
    "insert": "net.layers.insert(1, nn.ReLU())",
    "pop": 'net.layers.pop("first")',
    "clear": "net.layers.clear()",
}
MADE = {
    "sequential": "nn.Sequential(*linears)",
    "ordered_dict": 'nn.Sequential(OrderedDict((f"linear{index}", linear) for index, linear in enumerate(linears)))',
    "module_list": "nn.ModuleList(linears)",
    "list": "list(linears)",
    "module_dict": 'nn.ModuleDict({"first": linears[0], "last": linears[-1]})',
    "dict": '{"first": linears[0], "last": linears[-1]}',
}


class Net(nn.Module):
    """Runs the layers of a container, whatever kind it is."""

    def __init__(self, layers: Any) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor, picked: str) -> Tensor:
        """Return (1, 4, 10): through all layers in order, or of a dictionary through the one that is picked."""
        if isinstance(self.layers, nn.ModuleDict | dict):
            return self.layers[picked](x) if picked in self.layers else x
        for layer in self.layers:
            x = layer(x)
        return x


def settings() -> dict[str, Control]:
    """Return the controls: the container, its layers, and what is done to it."""
    return {
        "container": Choice("module_list", KINDS),
        "count": Whole(20, 1, 20),
        "change_list": Choice("none", ("none", "append", "extend", "insert"), {"container": LISTS}),
        "change_dict": Choice("none", ("none", "pop", "clear"), {"container": DICTS}),
        "picked": Choice("first", ("first", "last"), {"container": DICTS}),
        "buffer": Switch(False),
        "hook": Switch(False),
        "seed": Whole(0, 0, 9999),
    }


def change_of(settings: dict[str, Any]) -> str:
    """Return what is done to the container."""
    kind = settings["container"]
    return str(settings["change_list"] if kind in LISTS else settings["change_dict"] if kind in DICTS else "none")


def snippet(**settings: Any) -> str:
    """Return the network, and what of it is found by its state, an optimiser and a conversion."""
    change = change_of(settings)
    lines = [
        IMPORTS + READ.format(side=96) + "rows = functional.adaptive_avg_pool2d(batch.mean(1), (4, 10))\n\n\n",
        inspect.getsource(Net) + "\n\n",
        f"torch.manual_seed({settings['seed']})\n",
        f"linears = [nn.Linear(10, 10) for _ in range({settings['count']})]\n",
        f"net = Net({MADE[settings['container']]})\n",
    ]
    lines += [CHANGES[change] + "\n"] if change != "none" else []
    lines += ['net.register_buffer("calls", torch.zeros(1))\n'] if settings["buffer"] else []
    hook = "net.register_forward_hook(lambda module, taken, given: print(tuple(given.shape)))\n"
    lines += [hook] if settings["hook"] else []
    lines.append(
        f'output = net(rows, "{settings["picked"]}")\n'
        "names = list(net.state_dict())\n"
        "found = sum(parameter.numel() for parameter in net.parameters())  # what an optimiser would be given\n"
        "layers = net.layers.values() if hasattr(net.layers, 'values') else net.layers\n"
        "there = sum(parameter.numel() for layer in layers for parameter in layer.parameters())\n"
        "net.to(torch.float64)\n"
        "moved = sum(p.numel() for layer in layers for p in layer.parameters() if p.dtype == torch.float64)\n"
        "print(names, found, there, moved, sep='\\n')\n"
    )
    return "".join(lines)


def build(settings: dict[str, Any]) -> Net:
    """Make the network and do to its container what the settings say."""
    torch.manual_seed(settings["seed"])
    linears: list[nn.Module] = [nn.Linear(10, 10) for _ in range(settings["count"])]
    named = {"first": linears[0], "last": linears[-1]}
    make: dict[str, Callable[[], Any]] = {
        "sequential": lambda: nn.Sequential(*linears),
        "ordered_dict": lambda: nn.Sequential(OrderedDict((f"linear{i}", one) for i, one in enumerate(linears))),
        "module_list": lambda: nn.ModuleList(linears),
        "list": lambda: list(linears),
        "module_dict": lambda: nn.ModuleDict(named),
        "dict": lambda: named,
    }
    layers = make[settings["container"]]()
    net, change = Net(layers), change_of(settings)
    if change == "append":
        layers.append(nn.Linear(10, 10))
    elif change == "extend":
        layers.extend([nn.Linear(10, 10), nn.Linear(10, 10)])
    elif change == "insert":
        layers.insert(1, nn.ReLU())
    elif change == "pop":
        layers.pop("first")
    elif change == "clear":
        layers.clear()
    return net


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show what the container registers, and what each of the dictionaries of a module holds."""
    rows = functional.adaptive_avg_pool2d(read(picture, 96).mean(1), (4, 10))
    net = build(settings)
    if settings["buffer"]:
        net.register_buffer("calls", torch.zeros(1))
    if settings["hook"]:
        net.register_forward_hook(lambda module, taken, given: None)
    output = net(rows, settings["picked"])
    layers = list(net.layers.values() if hasattr(net.layers, "values") else net.layers)
    state = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    found = sum(parameter.numel() for parameter in net.parameters())
    there = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
    held = _dictionaries(net)
    net.to(torch.float64)
    moved = sum(p.numel() for layer in layers for p in layer.parameters() if p.dtype == torch.float64)
    asked = (
        ("optimiser", there, found, found == there),
        ("moved", there, moved, moved == there),
        ("state_dict", there, sum(torch.Size(shape).numel() for name, shape in state.items() if name != "calls")),
    )
    said = Said("all") if found == there else Said("missed", {"count": f"{there - found:,}"})
    blocks = (
        Table("found", ("asks", "there", "found"), tuple(row[:3] for row in asked)),
        said,
        Table("dictionaries", ("dictionary", "entries", "names"), held),
        Table("state", ("name", "shape"), tuple((name, str(shape)) for name, shape in state.items())),
    )
    values = {"output": array(output), "found": found, "there": there, "moved": moved}
    return Outcome(
        {name: array(torch.as_tensor(value)) for name, value in values.items()},
        blocks,
        {"found": found, "there": there, "names": list(state)},
    )


def _dictionaries(net: nn.Module) -> tuple[tuple[Any, ...], ...]:
    """Return the dictionaries that this PyTorch keeps in every module, with what stands in them."""
    return tuple(
        (name, len(held), ", ".join(map(str, held))[:60])
        for name, held in vars(net).items()
        if isinstance(held, dict) and name.startswith("_")
    )


TASKS = (
    Task("lost", lambda settings, outcome: outcome.facts["found"] < outcome.facts["there"]),
    Task(
        "names",
        lambda settings, outcome: "layers.linear0.weight" in outcome.facts["names"],
    ),
    Task(
        "grow",
        lambda settings, outcome: (
            settings["container"] == "module_list"
            and settings["change_list"] in ("append", "extend")
            and settings["count"] == 20
        ),
    ),
)
