"""LeNet: one network written in three ways, its rule of 32 × 32, and a drawn digit through all its layers."""

from __future__ import annotations

import inspect
import io
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from segdemo.errors import InputError
from segdemo.labs import digits
from segdemo.labs.controls import Choice, Control, Drawing, Switch, Whole
from segdemo.labs.digits import counts, examples
from segdemo.labs.lab import READ, Bars, Block, Maps, Outcome, Said, Table, Task, array, read
from segdemo.networks import NETWORKS
from segdemo.opened import bare, open_network

TITLE = "labs.lenet"

SIDE = 32  # 16 maps of 6 × 6 are left of it, which the first linear layer expects
MAPS = ("conv1", "relu1", "pool1", "conv2", "relu2", "pool2")
NETS = {"attributes": "first", "number": "second", "name": "third"}  # in the snippet
IMPORTS = """from collections import OrderedDict

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional

"""


class Attributes(nn.Module):
    """LeNet with a name for each layer; what happens between them stands in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 16, 3)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 6 * 6, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return ten scores for each picture."""
        assert x.shape[2:] == (32, 32), "Input image size should be 32x32."
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc3(functional.relu(self.fc2(x)))


def by_number() -> nn.Sequential:
    """Make LeNet of two containers, whose layers have numbers."""
    features = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2)
    )
    classifier = nn.Sequential(nn.Linear(16 * 6 * 6, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    return nn.Sequential(features, nn.Flatten(), classifier)


def by_name() -> nn.Sequential:
    """Make LeNet of one container, whose layers have names."""
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(1, 6, 3), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(6, 16, 3), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2), flatten=nn.Flatten(),
        fc1=nn.Linear(16 * 6 * 6, 120), relu3=nn.ReLU(), fc2=nn.Linear(120, 84), relu4=nn.ReLU(), fc3=nn.Linear(84, 10),
    )  # fmt: skip
    return nn.Sequential(layers)


def settings() -> dict[str, Control]:
    """Return the controls: what the network is given, its weights, and how it is written."""
    return {
        "given": Choice("drawing", ("drawing", "picture")),
        "drawing": Drawing(examples()[3], digits.SIDE, examples(), when={"given": ("drawing",)}),
        "weights": Choice("trained", ("trained", "random")),
        "seed": Whole(0, 0, 9999, when={"weights": ("random",)}),
        "written": Choice("attributes", ("attributes", "number", "name")),
        "side": Whole(SIDE, 16, 64),
        "resize": Switch(False),
    }


def saved() -> bytes:
    """Return the trained weights as ``torch.save`` writes them."""
    file = io.BytesIO()
    with torch.inference_mode(False):
        torch.save(trained(), file)
    return file.getvalue()


def trained() -> dict[str, Tensor]:
    """Return the weights that LeNet has on the page, by name."""
    module = bare(open_network(NETWORKS["lenet"]).module)
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


FILES: dict[str, Callable[[], bytes]] = {"lenet.pt": saved}  # what snippets read besides the picture
OFFERS = {"lenet_size": {"resize": True}}  # for what is refused


def snippet(**settings: Any) -> str:
    """Return all three networks, the same weights in each, and their scores."""
    parts: tuple[Any, ...] = (Attributes, by_number, by_name)
    drawn, side, chosen = settings["given"] == "drawing", settings["side"], settings["written"]
    shown = "\n\n".join(inspect.getsource(part) for part in (*parts, *((counts,) if drawn else ())))
    smooth = ', mode="bilinear"' if drawn else ""
    given = (
        f'drawing = "{settings["drawing"]}"\ngrey = counts(drawing)\n'
        if drawn
        else READ.format(side=96) + "grey = batch.mean(1, keepdim=True)\n"
    )
    return (
        f"{IMPORTS}\n{shown}\n\n{given}"
        f"grey = functional.interpolate(grey, size=({side}, {side}){smooth})\n"
        + (f"grey = functional.interpolate(grey, size=({SIDE}, {SIDE}){smooth})\n" if settings["resize"] else "")
        + (f"\ntorch.manual_seed({settings['seed']})" if settings["weights"] == "random" else "")
        + "\nfirst, second, third = Attributes(), by_number(), by_name()\n"
        + (
            "weights = first.state_dict()\n"
            if settings["weights"] == "random"
            else 'weights = torch.load("lenet.pt", weights_only=True)  # features.0.weight, …\n'
        )
        + "for net in (first, second, third):  # the layers stand in the same order, so that their weights do\n"
        "    net.load_state_dict(dict(zip(net.state_dict(), weights.values())))\n"
        "with torch.no_grad():\n"
        "    attributes, number, name = first(grey), second(grey), third(grey)\n"
        f"print(list({NETS[chosen]}.state_dict()))\n"
        "print(torch.equal(attributes, number), torch.equal(number, name))\n"
        "print(name[0].softmax(0).topk(3))\n"
    )


def given_to(picture: Image.Image, settings: Mapping[str, Any]) -> Tensor:
    """Return what the network is given, (1, 1, H, W) from 0 to 1.

    Raises:
        InputError: it has another size than the first linear layer expects.
    """
    drawn = settings["given"] == "drawing"
    grey = counts(settings["drawing"]) if drawn else read(picture, 96).mean(1, keepdim=True)
    mode = "bilinear" if drawn else "nearest"
    grey = functional.interpolate(grey, size=(settings["side"],) * 2, mode=mode)
    if settings["resize"]:
        grey = functional.interpolate(grey, size=(SIDE, SIDE), mode=mode)
    side = grey.shape[2]
    if side != SIDE:
        left = ((side - 2) // 2 - 2) // 2
        raise InputError(
            "lenet_size",
            "Input image size should be {needed}x{needed}, and {side} × {side} came: 16 maps of {left} × {left} "
            "would be left of it, {values} values, and the first linear layer takes {taken}. Switch the resizing "
            "on, or choose {needed}.",
            needed=SIDE,
            side=side,
            left=left,
            values=16 * left**2,
            taken=16 * 6 * 6,
        )
    return grey


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show what the network reads, all maps on the way, and that however it is written the scores are the same.

    Raises:
        InputError: the picture has another size than the first linear layer expects.
    """
    grey = given_to(picture, settings)
    torch.manual_seed(settings["seed"])
    ways: dict[str, nn.Module] = {"attributes": Attributes(), "number": by_number(), "name": by_name()}
    weights = (ways["attributes"].state_dict() if settings["weights"] == "random" else trained()).values()
    for net in ways.values():
        net.load_state_dict(dict(zip(net.state_dict(), weights, strict=True)))
    with torch.no_grad():
        scores = {way: net(grey) for way, net in ways.items()}
        maps, x = {}, grey
        for name, layer in ways["name"].named_children():
            x = layer(x)
            maps[name] = x
    chosen = ways[settings["written"]]
    state = chosen.state_dict().items()
    count = sum(parameter.numel() for parameter in chosen.parameters())
    same = torch.equal(scores["attributes"], scores["number"]) and torch.equal(scores["number"], scores["name"])
    best = scores["name"][0].softmax(0).topk(3)
    top = tuple(zip((str(digit) for digit in best.indices.tolist()), best.values.tolist(), strict=True))
    empty = settings["given"] == "drawing" and not int(settings["drawing"], 16)
    blocks: tuple[Block, ...] = (
        *([Said("empty")] if empty else []),
        Maps("input", array(grey[0]), shape=tuple(grey.shape)),
        Bars("top", top),
        *(Maps(name, array(maps[name][0]), shape=tuple(maps[name].shape)) for name in MAPS),
        *(Maps(name, array(maps[name].view(1, 6, -1)), shape=tuple(maps[name].shape)) for name in ("relu3", "relu4")),
        Said("same" if same else "other"),
        Said("count", {"count": f"{count:,}"}),
        Table("state", ("name", "shape", "numbers"), tuple((n, str(tuple(v.shape)), v.numel()) for n, v in state)),
    )
    facts = {"count": count, "names": [name for name, _ in state], "top": top}
    return Outcome({way: array(values) for way, values in scores.items()}, blocks, facts)


def _read(settings: Mapping[str, Any]) -> bool:
    """Say whether the trained network is given a drawing of the visitor's own."""
    own = settings["given"] == "drawing" and settings["drawing"] not in examples()
    return own and settings["weights"] == "trained"


TASKS = (
    Task("numbers", lambda settings, outcome: "0.3.weight" in outcome.facts["names"]),
    Task("names", lambda settings, outcome: settings["written"] == "name"),
    Task("read", lambda settings, outcome: _read(settings) and outcome.facts["top"][0][1] > 0.9),
    Task("resize", lambda settings, outcome: settings["side"] != SIDE and settings["resize"]),
)
