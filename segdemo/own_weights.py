"""A person's own checkpoint: read safely, matched to a network by names and shapes, loaded as far as it fits.

Known are the networks of the table with any number of classes, U-Nets of the tutorial's lineage at any width with
either decoder, torchvision's networks for segmentation, and the commoner of its classifiers; where they are installed,
those of segmentation_models_pytorch and the commoner of timm. Files are read as :mod:`segdemo.weights` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segdemo import ambient, library_weights, torchvision_classifiers, torchvision_segmentation, unet_lineage, weights
from segdemo.checkpoints import Report, load_fitting
from segdemo.errors import InputError
from segdemo.networks import NETWORKS, Network
from segdemo.networks.classes import declare
from segdemo.sources import network_of

MOST = 400_000_000  # bytes of a file
ENOUGH = 0.5  # of a network's tensors that have to fit before a file counts as one for it
NEARLY_ALL = 0.95  # of the tensors of both that fit: no other network can come nearer
GROWTH = 4  # bytes of the network for each of the file: float16 becomes float32, and a part may be missing
ASIDE = (*weights.ASIDE, "aux_classifier.")  # the latter helps torchvision to train, and answers nothing
ALWAYS = 256 << 20  # bytes that a network may have whatever the file has

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Loaded:
    """A network with a person's weights.

    Args:
        spec: what is known of it; its name begins with ``own_``.
        module: in evaluation mode.
        report: what became of each tensor.
        others: titles of other networks that the file fits as well.
    """

    spec: Network
    module: nn.Module
    report: Report
    others: tuple[str, ...] = ()

    @property
    def trained(self) -> bool:
        """Whether nothing that the answer depends on stayed random."""
        return not self.spec.untrained


def load(path: str | Path, network: Network | None = None, *, most: int | None = None) -> Loaded:
    """Read a checkpoint, find the network that it is for, and load what fits.

    Args:
        path: of a .pth, .pt, .ckpt or .safetensors file of at most ``MOST`` bytes.
        network: which it is for, with whatever number of classes; None finds out.
        most: bytes that the network may take at most, whatever the file has; None sets no such limit.

    Raises:
        InputError: ``checkpoint_unreadable``; ``checkpoint_unknown`` where no network fits; ``checkpoint_grows`` where
            what it describes is far larger than the file; ``network_too_large``; as
            :func:`segdemo.checkpoints.load_fitting`.
    """
    path = Path(path)
    state = weights.read_state(path, MOST)
    spec, others = match(state, path) if network is None else (_with_classes(network, state), ())
    with library_weights.hollow():
        hollow = spec.build(len(spec.classes))
    _check_growth(hollow, path, most)
    with ambient.drawing(seed=0):  # what stays random is the same for everybody
        module = spec.build(len(spec.classes)).eval()
    values = weights.named(state, module.state_dict())
    report = _set_aside(load_fitting(module, values, path), values)
    report = replace(report, not_finite=_not_finite(module))
    if not spec.stages:  # of a library: what it is like, it shows when it runs
        spec = replace(network_of(module, title=spec.title), title=spec.title)
    module.to(memory_format=torch.channels_last)
    return Loaded(replace(spec, name=f"own_{spec.name}", untrained=_random(report, module)), module, report, others)


def _random(report: Report, module: nn.Module) -> tuple[str, ...]:
    """Return which of the tensors that were not loaded matter: not how many batches somebody counted, and the like."""
    tensors = module.state_dict()
    return tuple(name for name in report.missing + report.mismatched if tensors[name].is_floating_point())


def match(state: Values, path: Path) -> tuple[Network, tuple[str, ...]]:
    """Find the network that a state dict is for.

    Args:
        state: as :func:`segdemo.weights.read_state` returns it.
        path: of its file, for the sentence.

    Returns:
        What is known of the network, with the number of classes that the state dict has, and the titles of networks of
        other libraries that fit as well.

    Raises:
        InputError: ``checkpoint_unknown``, when no network has half of its tensors in it.
    """
    candidates = [_with_classes(spec, state) for spec in NETWORKS.values()]
    candidates += filter(None, (unet_lineage.match(state), torchvision_segmentation.match(state)))
    scored = [(*_overlap(spec, state), -number, spec) for number, spec in enumerate(candidates)]
    of_both, _, _, best = max(scored, key=lambda one: one[:3])
    other = torchvision_classifiers.match(state) if of_both < NEARLY_ALL else None
    if other is not None and _overlap(other, state)[0] > of_both:
        best = other
    of_both = _overlap(best, state)[0]
    of_libraries = [(_overlap(spec, state)[0], spec) for spec in library_weights.candidates(state)]
    if of_libraries and max(of_libraries, key=lambda one: one[0])[0] > of_both:
        of_both, best = max(of_libraries, key=lambda one: one[0])
    if _overlap(best, state)[1] >= ENOUGH:
        others = tuple(spec.title for share, spec in of_libraries if share == of_both and spec is not best)
        return best, others
    tensors = [name for name, value in state.items() if isinstance(value, Tensor)]
    raise InputError(
        "checkpoint_unknown",
        "The {count} tensors in {path}, such as {example}, fit no network known here. Known are the networks of "
        "`segdemo networks`, U-Nets named as in the tutorial, and torchvision's networks for segmentation. Say which "
        "it is for, or explore your own module from Python.",
        count=len(tensors),
        path=path,
        example=tensors[0] if tensors else "–",
    )


@lru_cache(maxsize=64)
def _shapes_of(build: Callable[[int], nn.Module], classes: int) -> dict[str, torch.Size]:
    with library_weights.hollow():
        return {name: tensor.shape for name, tensor in build(classes).state_dict().items()}


def _shapes(spec: Network) -> dict[str, torch.Size]:
    """Return the shape of each tensor of a network, by name."""
    return _shapes_of(spec.build, len(spec.classes))


def _overlap(spec: Network, state: Values) -> tuple[float, float]:
    """Return how many tensors fit in name and shape, as a share of all tensors of both, and of those of the network."""
    shapes = _shapes(spec)
    values = weights.named(state, shapes)
    tensors = {name for name, value in values.items() if isinstance(value, Tensor)}
    fitting = sum(name in tensors and values[name].shape == shape for name, shape in shapes.items())
    return fitting / len(tensors | shapes.keys()), fitting / len(shapes)


def _with_classes(spec: Network, state: Values) -> Network:
    """Return a network as it is, or with as many classes as a state dict has where that is all that differs."""
    shapes = _shapes(spec)
    values = weights.named(state, shapes)
    last = [name for name in shapes if name.endswith(".weight")][-1]
    given = values.get(last)
    if not isinstance(given, Tensor) or given.dim() == 0 or given.shape[1:] != shapes[last][1:]:
        return spec
    count = len(spec.classes) + given.shape[0] - shapes[last][0]
    if count == len(spec.classes) or not 1 <= given.shape[0] <= 65_535 or spec.task == "detection grid":
        return spec
    return replace(spec, classes=numbered(count))


def numbered(count: int) -> tuple[Any, ...]:
    """Name classes of which nothing is known: ``"class 0"`` and so on; none is taken for a background."""
    return declare([f"class {number}" for number in range(count)])


def _check_growth(hollow: nn.Module, path: Path, most: int | None) -> None:
    """Refuse a network that would take far more memory than its file: shapes are easily written down."""
    wanted = sum(tensor.nbytes for tensor in hollow.state_dict().values())
    size = path.stat().st_size
    if wanted > max(ALWAYS, GROWTH * size):
        raise InputError(
            "checkpoint_grows",
            "The file {path} has {size} MB, and the network that it describes takes {wanted} MB. It does not hold "
            "the weights that it names. Save the whole state dict.",
            path=path,
            size=round(size / 1e6),
            wanted=round(wanted / 1e6),
        )
    if most is not None and wanted > most:
        raise InputError(
            "network_too_large",
            "The network that {path} describes takes {wanted} MB in float32, and here at most {most} MB are kept for "
            "the checkpoints of all visitors. Open it on your own computer: `segdemo segment --weights`.",
            path=path,
            wanted=round(wanted / 1e6),
            most=round(most / 1e6),
        )


def _set_aside(report: Report, values: Values) -> Report:
    """Tell what is no tensor, and counts that lie beside the weights, from tensors that nobody expected."""
    aside = tuple(
        name
        for name in report.unexpected
        if not isinstance(values[name], Tensor)
        or name.startswith(ASIDE)
        or (values[name].dim() == 0 and "." not in name)
    )
    return replace(report, unexpected=tuple(name for name in report.unexpected if name not in aside), aside=aside)


def _not_finite(module: nn.Module) -> int:
    return sum(int((~tensor.isfinite()).sum()) for tensor in module.state_dict().values())
