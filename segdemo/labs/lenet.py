"""LeNet: the same network written in three ways, its rule of 32 × 32, and all its layers."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from segdemo.errors import InputError
from segdemo.labs.controls import Choice, Control, Switch, Whole
from segdemo.labs.lab import READ, Block, Maps, Outcome, Said, Table, Task, array, read

TITLE = "labs.lenet"

SIDE = 32  # 16 maps of 6 × 6 are left of it, which the first linear layer expects
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
    """Return the controls: how it is written, and what it is given."""
    return {
        "written": Choice("attributes", ("attributes", "number", "name")),
        "side": Whole(SIDE, 16, 64),
        "resize": Switch(False),
        "seed": Whole(0, 0, 9999),
    }


def snippet(**settings: Any) -> str:
    """Return all three networks, the same weights in each, and their scores."""
    parts = "\n\n".join(inspect.getsource(part) for part in (Attributes, by_number, by_name))
    side, chosen = settings["side"], settings["written"]
    return (
        f"{IMPORTS}\n{parts}\n\n{READ.format(side=96)}"
        f"grey = functional.interpolate(batch.mean(1, keepdim=True), size=({side}, {side}))\n"
        + (f"grey = functional.interpolate(grey, size=({SIDE}, {SIDE}))\n" if settings["resize"] else "")
        + f"\ntorch.manual_seed({settings['seed']})\n"
        "first, second, third = Attributes(), by_number(), by_name()\n"
        "for other in (second, third):  # the layers stand in the same order, so that their weights do\n"
        "    values = dict(zip(other.state_dict(), first.state_dict().values()))\n"
        "    other.load_state_dict(values)\n"
        "with torch.no_grad():\n"
        "    attributes, number, name = first(grey), second(grey), third(grey)\n"
        f"print(list({NETS[chosen]}.state_dict()))\n"
        "print(torch.equal(attributes, number), torch.equal(number, name))\n"
    )


def run(picture: Image.Image, **settings: Any) -> Outcome:
    """Show the names that each way gives the weights, that all give the same scores, and the maps on the way.

    Raises:
        InputError: the picture has another size than the first linear layer expects.
    """
    grey = functional.interpolate(read(picture, 96).mean(1, keepdim=True), size=(settings["side"],) * 2)
    if settings["resize"]:
        grey = functional.interpolate(grey, size=(SIDE, SIDE))
    side = grey.shape[2]
    left = ((side - 2) // 2 - 2) // 2
    if left != 6:
        raise InputError(
            "lenet_size",
            "The input has to be {needed} × {needed} pixels, but {side} × {side} came: 16 maps of {left} × {left} "
            "would be left of it, {values} values, and the first linear layer takes {taken}. Switch the resizing "
            "on, or choose {needed}.",
            needed=SIDE,
            side=side,
            left=left,
            values=16 * left**2,
            taken=16 * 6 * 6,
        )
    torch.manual_seed(settings["seed"])
    ways = {"attributes": Attributes(), "number": by_number(), "name": by_name()}
    weights = ways["attributes"].state_dict().values()
    for way in ("number", "name"):
        ways[way].load_state_dict(dict(zip(ways[way].state_dict(), weights, strict=True)))
    with torch.no_grad():
        scores = {way: net(grey) for way, net in ways.items()}
        maps, x = [], grey
        for layer in ways["number"][0]:  # type: ignore[index]
            x = layer(x)
            maps.append(x)
    chosen = ways[settings["written"]]
    state = chosen.state_dict().items()
    count = sum(parameter.numel() for parameter in chosen.parameters())
    same = torch.equal(scores["attributes"], scores["number"]) and torch.equal(scores["number"], scores["name"])
    best = scores["name"][0].softmax(0).topk(3)
    top = tuple(zip((str(digit) for digit in best.indices.tolist()), best.values.tolist(), strict=True))
    blocks: tuple[Block, ...] = (
        Table("state", ("name", "shape", "numbers"), tuple((n, str(tuple(v.shape)), v.numel()) for n, v in state)),
        Said("count", {"count": f"{count:,}"}),
        Said("same" if same else "other"),
        Maps("input", array(grey[0]), shape=tuple(grey.shape)),
        *(Maps(f"map{index}", array(maps[index][0]), shape=tuple(maps[index].shape)) for index in (1, 2, 4, 5)),
        Table("top", ("digit", "probability"), top),
    )
    facts = {"count": count, "names": [name for name, _ in state]}
    return Outcome({way: array(values) for way, values in scores.items()}, blocks, facts)


TASKS = (
    Task("numbers", lambda settings, outcome: "0.3.weight" in outcome.facts["names"]),
    Task("names", lambda settings, outcome: settings["written"] == "name"),
    Task("resize", lambda settings, outcome: settings["side"] != SIDE and settings["resize"]),
)
