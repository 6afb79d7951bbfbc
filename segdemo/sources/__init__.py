"""Networks from elsewhere. To add a library: a file with ``recognises`` and ``known``, and its name in the table below.

A library is imported only once one of its networks is at hand, which has imported it before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from segdemo.errors import InputError
from segdemo.leaves import described
from segdemo.networks import NETWORKS
from segdemo.networks.classes import ClassInfo, declare
from segdemo.networks.network import Network, Preprocessing
from segdemo.outputs import ClassScores, Grid
from segdemo.sources import module as any_module
from segdemo.sources import smp, timm, torchvision, transformers, ultralytics
from segdemo.sources.known import Known, three
from segdemo.sources.stages import figure_for
from segdemo.sources.table import Offered

Classes = Sequence[str | ClassInfo]


class Source(Protocol):
    """What the file of a library holds."""

    def recognises(self, module: nn.Module) -> bool:
        """Say whether a network is the library's."""

    def known(self, module: nn.Module) -> Known:
        """Return what the library tells of it."""


SOURCES: dict[str, Source] = {
    "torchvision": torchvision,
    "timm": timm,
    "smp": smp,
    "transformers": transformers,
    "ultralytics": ultralytics,
    "module": any_module,  # takes what no other does
}
# What a page offers: beside ours torchvision's, with random weights. None is imported or built before it is asked for.
OFFERED = Offered({**NETWORKS, **{name: torchvision.untrained(name) for name in torchvision.SEGMENTATION}})


@dataclass(frozen=True, eq=False)
class Given:
    """Gives out a network that is there already, where others are built.

    Args:
        module: the network.
    """

    module: nn.Module

    def __call__(self, classes: int) -> nn.Module:
        """Return it, whatever the number of classes."""
        return self.module


def network_of(
    module: nn.Module,
    classes: Classes | None = None,
    preprocessing: Preprocessing | Any | None = None,
    *,
    title: str = "",
) -> Network:
    """Describe any network as our own are described, with its weights as they are; it is run once to see what it does.

    Args:
        module: the network; it stays as it is.
        classes: names of what it tells apart, in index order; of a single logit, one or two.
        preprocessing: how it wants its pictures: a :class:`Preprocessing`; or anything with a mean and a deviation,
            such as an image processor of transformers, the transforms of torchvision's weights, timm's configuration.
        title: what people read; "" takes what its library calls it, or the name of its class.

    Returns:
        The same :class:`Network` as of our own; ``guesses`` says what nobody told.

    Raises:
        InputError: it is no network, or cannot be run on a picture, or what it returns cannot be read.
    """
    module = _usable(module)
    source = next(source for source in SOURCES.values() if source.recognises(module))
    known, of_nobody = source.known(module), source is any_module
    title = title or known.title or type(module).__name__
    trial = any_module.try_out(module, title, known, _told(preprocessing, known))
    names, named = _names(trial.output.values.shape[0], isinstance(trial.output, Grid), classes, known, title)
    return Network(
        name=_slug(title),
        title=title,
        task="classification" if isinstance(trial.output, ClassScores) else "segmentation",
        build=Given(module),
        classes=names,
        stages=figure_for(module, trial.batch, title)[1],
        preprocessing=trial.preprocessing,
        source=known.source,
        weights="given",
        ending=trial.output.ending,
        outputs=trial.outputs,
        guesses=(
            *(() if named else ("classes",)),
            *trial.guesses,
            *(("output",) if isinstance(trial.output, Grid) or (of_nobody and trial.outputs) else ()),
            *(("ending",) if of_nobody and trial.doubtful else ()),
        ),
    )


def _usable(module: object) -> nn.Module:
    """Return the network to look into, or refuse what is none."""
    if isinstance(module, type) and issubclass(module, nn.Module):
        raise InputError(
            "network_class",
            "{kind} is a class of networks, and a network is needed. Make one of it: {kind}(…).",
            kind=module.__name__,
        )
    if not isinstance(module, nn.Module):
        raise InputError(
            "network_kind",
            "{came} came where a network is needed. Give a torch.nn.Module, or the name of a network of segdemo.",
            came=described(module),
        )
    module = ultralytics.inner(module) if ultralytics.recognises(module) else module
    inner = getattr(module, "_orig_mod", module)  # of torch.compile; inside, it runs as it was
    module = inner if isinstance(inner, nn.Module) else module
    if isinstance(module, any_module.Scripted):
        raise InputError(
            "network_scripted",
            "The network is TorchScript ({kind}), which does not tell what happens inside it. Give the module that it "
            "was made from.",
            kind=type(module).__name__,
        )
    return module


def _told(given: Any, known: Known) -> Preprocessing | None:
    """Read a preprocessing in whatever form a person has it."""
    if given is None or isinstance(given, Preprocessing):
        return given

    def part(name: str) -> Any:
        return given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)

    mean, std = (three(part(name) or part(f"image_{name}")) for name in ("mean", "std"))
    size = _size(part("input_size") or part("crop_size") or part("resize_size") or part("size"))
    if mean is None or std is None:
        raise InputError(
            "preprocessing_kind",
            "{came} came as preprocessing, and mean and deviation of three channels are needed. Give a "
            "segdemo.Preprocessing, an image processor, or a mapping with “mean”, “std” and “size”.",
            came=described(given),
        )
    stride, size = known.stride or any_module.STRIDE, size or known.size or any_module.SIZE
    if size % stride or known.fixed:
        return Preprocessing(size, (size,), 1, shape="stretch", mean=mean, std=std)
    sizes = tuple(sorted({*(one for one in any_module.SIZES if one % stride == 0), size}))
    return Preprocessing(size, sizes, stride, shape=known.shape, mean=mean, std=std)


def _size(told: Any) -> int | None:
    """Return an input size in pixels from a number, a list of sides, or a mapping of them; None where there is none."""
    sides = ("longest_edge", "shortest_edge", "height")
    if isinstance(told, Mapping):
        told = next((told[name] for name in sides if told.get(name)), None)
    elif told is not None and not isinstance(told, int | Sequence):
        told = next((getattr(told, name) for name in sides if getattr(told, name, None)), None)
    if isinstance(told, Sequence) and told:
        told = told[-1]
    return told if isinstance(told, int) and told > 0 else None


def _names(
    count: int, is_grid: bool, given: Classes | None, known: Known, title: str
) -> tuple[tuple[ClassInfo, ...], bool]:
    """Return the classes, and whether somebody named them."""
    if given is not None:
        names = [one.name if isinstance(one, ClassInfo) else str(one) for one in given]
        names = ["background", *names] if len(names) == 1 and count == 2 else names
        if len(names) != count:
            raise InputError(
                "output_classes",
                "{network} tells {count} classes apart, and {given} were named. Name as many as it has, in its order.",
                network=title,
                count=count,
                given=len(names),
            )
        return declare(_distinct(names)), True
    if count in known.classes:
        return declare(_distinct(known.classes[count])), True
    if count == 2 and not is_grid:
        return declare(("background", "foreground")), False
    return declare(f"{'channel' if is_grid else 'class'} {index}" for index in range(count)), False


def _distinct(names: Sequence[str]) -> list[str]:
    """Number the names that come more than once: ImageNet has two kinds of crane."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct


def _slug(title: str) -> str:
    """Return a name that addresses and files can hold, and that none of our own networks has."""
    name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "network"
    return f"{name}_given" if name in NETWORKS or name in torchvision.SEGMENTATION else name


__all__ = ["OFFERED", "SOURCES", "Given", "Offered", "network_of"]
