"""Features: seven ways to take out what a layer puts out, and whether they agree."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from PIL import Image
from torch import Tensor, fx, nn

from segdemo.labs.controls import Choice, Control, Switch, Whole
from segdemo.labs.lab import READ, Block, Maps, Outcome, Said, Table, Task, array, read

TITLE = "labs.features"

IMPORTS = """import torch
from PIL import Image, ImageOps
from torch import Tensor, fx, nn

"""
LAYERS = ("conv", "bn", "relu", "block.conv", "block.bn", "block.relu", "block", "pool")
CODE = {  # as one writes it in a network of somebody else's; the last three with torchvision
    "returned": "net(batch)[{place}]",
    "pyramid": "net(batch)[{place}]",
    "hook": "views.append(given.detach())",
    "copy": "copies.append(given.detach().clone())",
    "graph": 'create_feature_extractor(net, ["{layer}"])(batch)["{layer}"]',
    "graph_later": 'create_feature_extractor(net, ["{layer}", "pool_1"])(batch)["{layer}"]',
    "children": 'IntermediateLayerGetter(net, dict({layer}="{layer}"))(batch)["{layer}"]',
}
PLACES = {"conv": 3, "bn": 4, "block": 0, "pool": 1}  # in what the network returns
PYRAMID = ("block", "pool")


class Residual(nn.Module):
    """A convolution whose input is added to its output."""

    def __init__(self, channels: int, inplace: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=inplace)
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the same shape."""
        out = self.bn(self.conv(x))
        if self.inplace:
            out += x  # writes into what the normalisation put out
        else:
            out = out + x
        return self.relu(out)


class Net(nn.Module):
    """Three sizes, collected on the way as a feature pyramid."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=inplace)
        self.block = Residual(8, inplace)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the pyramid, three times (B, 8, h, w), and what the first two layers put out."""
        first = self.conv(x)
        second = self.bn(first)
        fine = self.block(self.relu(second))
        middle = self.pool(fine)
        coarse = self.pool(middle)
        return fine, middle, coarse, first, second


def by_hooks(net: nn.Module, layer: str, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a layer puts out: as a view, and as a copy of the moment."""
    views, copies = [], []

    def note(module: nn.Module, taken: tuple[Tensor], given: Tensor) -> None:
        views.append(given.detach())
        copies.append(given.detach().clone())

    with net.get_submodule(layer).register_forward_hook(note):
        net(batch)
    return views[0], copies[0]


def by_graph(net: nn.Module, layer: str, batch: Tensor, *, later: bool) -> Tensor:
    """Return a node of the traced graph, as feature extractors do; later: what comes after it is asked for as well."""
    graph = fx.Tracer().trace(net)
    inside = [one for one in graph.nodes if str(one.target).startswith(f"{layer}.")]
    node = inside[-1] if inside else next(one for one in graph.nodes if one.target == layer)
    end = list(graph.nodes)[-1]
    end.args = ((node, end.args[0]),) if later else ((node,),)
    module = fx.GraphModule(net, graph)
    module.graph.eliminate_dead_code()  # nothing runs that nobody asked for
    module.recompile()
    return module(batch)[0]


def by_children(net: nn.Module, layer: str, batch: Tensor) -> Tensor | None:
    """Return what comes out after running the children in order up to one, as layer getters do; None: it is inside."""
    for name, child in net.named_children():
        batch = child(batch)
        if name == layer:
            return batch
    return None


def settings() -> dict[str, Control]:
    """Return the controls: which layer, and whether later layers write into what it put out."""
    return {
        "layer": Choice("bn", LAYERS),
        "inplace": Switch(True),
        "size": Whole(64, 8, 96),
        "seed": Whole(0, 0, 9999),
    }


def snippet(**settings: Any) -> str:
    """Return the network and every way to its features."""
    parts = "\n\n".join(inspect.getsource(part) for part in (Residual, Net, by_hooks, by_graph, by_children))
    layer = settings["layer"]
    lines = [
        f"{IMPORTS}\n{parts}\n\n{READ.format(side=settings['size'])}\n",
        f"torch.manual_seed({settings['seed']})\n",
        f"net = Net(inplace={settings['inplace']})\n",
        f'with torch.no_grad():\n    naive, exact = by_hooks(net, "{layer}", batch)\n',
        f'    graph = by_graph(net, "{layer}", batch, later=False)\n',
        f'    graph_later = by_graph(net, "{layer}", batch, later=True)\n',
    ]
    if "." not in layer:
        lines.append(f'    children = by_children(net, "{layer}", batch)\n')
    if layer in PLACES:
        lines.append(f"    {_collected(layer)} = net(batch)[{PLACES[layer]}]\n")
    lines.append("print(torch.equal(naive, exact), torch.equal(graph, exact))\n")
    return "".join(lines)


def _collected(layer: str) -> str:
    """Return what a layer's output is called that forward returns."""
    return "pyramid" if layer in PYRAMID else "returned"


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show what each way gives for one layer, held against the copy, and the pyramid."""
    batch = read(picture, settings["size"])
    layer = settings["layer"]
    torch.manual_seed(settings["seed"])
    net = Net(settings["inplace"])
    with torch.no_grad():
        naive, exact = by_hooks(net, layer, batch)
        graph, graph_later = (by_graph(net, layer, batch, later=later) for later in (False, True))
        children = by_children(net, layer, batch)
        answer = net(batch)
    found = dict.fromkeys(CODE) | {
        "hook": naive,
        "copy": exact,
        "graph": graph,
        "children": children,
        "graph_later": graph_later,
    }
    if layer in PLACES:
        found[_collected(layer)] = answer[PLACES[layer]]
    rows = tuple(_row(way, values, exact, layer) for way, values in found.items())
    wrong = sum(row[4] is False for row in rows)
    blocks: list[Block] = [
        Table("ways", ("way", "code", "least", "std", "agrees"), rows),
        Said("wrong", {"count": wrong}) if wrong else Said("right"),
        Maps("exact", array(exact[0]), shape=tuple(exact.shape)),
        Maps("naive", array(naive[0]), shape=tuple(naive.shape)),
    ]
    blocks += [
        Maps(f"level{index}", array(answer[index][0][:4]), shape=tuple(answer[index].shape)) for index in range(3)
    ]
    names = {"naive": naive, "exact": exact, "graph": graph, "children": children, "graph_later": graph_later}
    names |= {way: found[way] for way in ("returned", "pyramid")}
    return Outcome(
        {name: array(values) for name, values in names.items() if values is not None},
        tuple(blocks),
        {"wrong": wrong, "least": exact.min().item()},
    )


def _row(way: str, values: Tensor | None, exact: Tensor, layer: str) -> tuple[Any, ...]:
    """Return a way, how it is written, and what it gives, None where it does not reach the layer."""
    if values is None:
        return way, None, None, None, None
    code = CODE[way].format(layer=layer, place=PLACES.get(layer))
    return way, code, values.min().item(), values.std().item(), bool(torch.equal(values, exact))


TASKS = (
    Task("wrong", lambda settings, outcome: outcome.facts["wrong"] > 0),
    Task("mended", lambda settings, outcome: settings["layer"] in ("bn", "block.bn") and not settings["inplace"]),
    Task("residual", lambda settings, outcome: settings["layer"] == "block.bn" and outcome.facts["wrong"] > 0),
)
