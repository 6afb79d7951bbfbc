"""Ground truth beside pictures: where it is kept, and how far a network agrees with it in one picture.

An engine holds it in ``truths``, by the fingerprint of the picture: :func:`truths_for` finds it, ``LocalEngine.truths``
takes it, :class:`Agreement` asks for it, of a picture that has none as well. Only ``explore`` fills it so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdemo.class_maps import index_table
from segdemo.encoded import shown
from segdemo.engine import Bench, Question
from segdemo.errors import InputError
from segdemo.evaluation import Evaluator
from segdemo.masks import IGNORED, Layout, Mask, counts, decode, layout, turn
from segdemo.networks.classes import ClassInfo, declare
from segdemo.pairing import SUFFIXES
from segdemo.questions import Run
from segdemo.results import Result

MOST_CLASSES = 255  # that a mask can hold beside what is not scored


@dataclass(frozen=True, eq=False)
class Truth:
    """Where the ground truth of one picture is; it is read when it is asked for.

    Args:
        source: path of the file of a mask, or its values (H, W).
        name: what messages call it.
        classes: names, in the order of the indices in it.
        size: (width, height) of the picture, upright, pixels.
        orientation: EXIF's of the picture, by which the mask is to be turned; 1 leaves it.
        white: 255 is class 1, the foreground; otherwise pixels that are not to be scored.
    """

    source: Path | NDArray[Any]
    name: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    orientation: int = 1
    white: bool = False

    def read(self) -> Mask:
        """Return the class of each pixel, (H, W) uint8 in the picture's own size, 255 where nothing is to be scored.

        Raises:
            InputError: the file cannot be read any more, or was changed.
        """
        values = turn(_values(self.source, len(self.classes), self.name)[0], self.orientation)
        if (values.shape[1], values.shape[0]) != self.size:
            raise _size_differs(self.name, values, self.size)
        return np.where(values == IGNORED, 1, values).astype(np.uint8) if self.white else values


@dataclass(frozen=True)
class Agreed:
    """How far a network agrees with the ground truth of a picture.

    Args:
        mask: the ground truth, (H, W) uint8, 255 where nothing is to be scored; None where there is none, or where it
            tells other classes apart than the network, and no map from them is known.
        given: what the network says, (H, W), in the classes of the ground truth.
        classes: of the ground truth, in index order.
        iou: of each class, in index order; None of one that is in neither.
        mean: of ``iou`` over the classes that have one; None where nothing is to be scored.
    """

    mask: NDArray[np.uint8] | None = None
    given: NDArray[np.unsignedinteger[Any]] | None = None
    classes: tuple[ClassInfo, ...] = ()
    iou: tuple[float | None, ...] = ()
    mean: float | None = None


@dataclass(frozen=True)
class Agreement(Question):
    """Ask how far a network agrees with the ground truth of a picture.

    Args:
        network: its name.
        picture: fingerprint of a picture that the engine keeps.
        size: input size in pixels; None takes the network's own.
        step: of the training, for networks with snapshots; None is its end.
    """

    network: str
    picture: str
    size: int | None = None
    step: int | None = None

    def answer(self, bench: Bench) -> Agreed:
        """Compare; of a picture without ground truth nothing is said."""
        truth: Truth | None = bench.truths.get(self.picture)
        mapped = None if truth is None else _mapped(bench, truth.classes)
        if truth is None or mapped is None:
            return Agreed()
        table, classes = mapped
        result: Result = bench.answer(Run(self.network, self.picture, self.size, self.step))
        mask, given = truth.read(), table[result.mask]
        if not (mask != IGNORED).any():
            return Agreed(mask, given, classes, (None,) * len(classes))
        evaluator = Evaluator(truth.classes)
        evaluator.add(mask, given)
        scores = evaluator.scores()
        return Agreed(mask, given, classes, tuple(scores.iou.values()), scores.miou)


def _mapped(
    bench: Bench, names: tuple[str, ...]
) -> tuple[NDArray[np.unsignedinteger[Any]], tuple[ClassInfo, ...]] | None:
    """Return a table from a network's classes to those of a ground truth, and these; None where no map is known."""
    spec, mapping = bench.spec, getattr(bench.gallery, "mapping", None)
    if names == spec.names:
        return np.arange(len(names), dtype=np.uint16), spec.classes
    if mapping is None or names != mapping.classes:
        return None
    try:
        return index_table(spec.names, mapping), declare(names, names[:1])
    except InputError:  # it was made for another network
        return None


def truths_for(
    pictures: Sequence[tuple[str, Path]],
    masks: Sequence[Any] | str | Path,
    classes: Sequence[str],
    names: Sequence[str] | None = None,
) -> dict[str, Truth]:
    """Find the ground truth of pictures, and read all of it once, to see how it is meant.

    Args:
        pictures: fingerprint and file of each.
        masks: one for each picture, a path, an array (H, W) or None for none; or the folder that holds them, each named
            like its picture, or with ``_mask`` or the like behind that.
        classes: of the network, in index order.
        names: of the pictures without their ending, by which a folder is searched; None takes those of the files.

    Raises:
        InputError: a mask cannot be read, does not fit its picture, or holds another class; there are too many classes,
            or none of the masks belongs to a picture.
    """
    if len(classes) > MOST_CLASSES:
        raise InputError(
            "truth_classes",
            "The network tells {count} classes apart, and a mask can hold {most}. Ground truth can be compared for "
            "networks of at most so many.",
            count=len(classes),
            most=MOST_CLASSES,
        )
    if isinstance(masks, str | Path):
        masks = _in_folder(Path(masks), names or [path.stem for _, path in pictures])
    if len(masks) != len(pictures):
        raise InputError(
            "truth_count",
            "{masks} masks came with {pictures} pictures. Give as many, in the same order, and None for a picture "
            "without one; or the folder that holds them.",
            masks=len(masks),
            pictures=len(pictures),
        )
    found: dict[str, Truth] = {}
    seen = np.zeros(256, np.int64)
    for (fingerprint, path), mask in zip(pictures, masks, strict=True):
        if mask is not None:
            found[fingerprint], values = _looked_at(path, mask, tuple(classes))
            seen += counts(values)
    white = bool(seen[IGNORED] and not seen[1:IGNORED].any() and seen[0] and len(classes) == 2)
    return {
        fingerprint: Truth(one.source, one.name, one.classes, one.size, one.orientation, white)
        for fingerprint, one in found.items()
    }


def _looked_at(path: Path, mask: Any, classes: tuple[str, ...]) -> tuple[Truth, Mask]:
    """Read one mask, and find out how it lies on its picture."""
    source = Path(mask) if isinstance(mask, str | Path) else np.asarray(mask)
    name = shown(source.name) if isinstance(source, Path) else f"the mask of {shown(path.name)}"
    values, drawn = _values(source, len(classes), name)
    picture = layout(path.read_bytes(), path.name)
    size = (values.shape[1], values.shape[0])
    plain = drawn is None or drawn.orientation == 1
    stored = picture.orientation != 1 and plain and size == picture.stored
    if stored and picture.stored == picture.upright:
        raise InputError(
            "archive_turned",
            "{image} is turned by EXIF, and its mask may be drawn on the picture as stored or as shown; their sizes do "
            "not tell. Save the picture upright, without EXIF orientation, and the mask to match it.",
            image=shown(path.name),
        )
    truth = Truth(source, name, classes, picture.upright, picture.orientation if stored else 1)
    if size != picture.upright and not stored:
        raise _size_differs(name, values, picture.upright)
    return truth, values


def _values(source: Path | NDArray[Any], classes: int, name: str) -> tuple[Mask, Layout | None]:
    """Read the values of a mask, and how it lies in its file, None where there is no file."""
    try:
        if isinstance(source, Path):
            return decode(source.read_bytes(), classes, name)
        values = source.astype(np.int64)
        if source.ndim != 2 or not np.array_equal(values, source):
            raise ValueError(f"it is {source.dtype} of shape {source.shape}, and whole numbers (H, W) are needed")
        beyond = values[(values != IGNORED) & ((values < 0) | (values >= classes))]
        if beyond.size:
            raise ValueError(f"it holds class {beyond.flat[0]}, and the classes are 0 to {classes - 1}")
        return values.astype(np.uint8), None
    except InputError:
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(
            "truth_unreadable",
            "{name} cannot be read as ground truth: {reason}. A mask holds one class index for each pixel of its "
            "picture, as a grey or palette PNG, and 255 where nothing is to be scored.",
            name=name,
            reason=reason.rstrip("."),
        ) from error


def _in_folder(folder: Path, names: Sequence[str]) -> list[Path | None]:
    """Find the mask of each picture in a folder, by its name."""
    try:
        files = {path.stem: path for path in sorted(folder.iterdir(), reverse=True) if path.is_file()}
    except OSError as error:
        raise InputError(
            "folder_unreadable",
            "The folder {path} cannot be read: {reason}. Give one that you may read, or the files themselves.",
            path=shown(str(folder)),
            reason=error.strerror or str(error),
        ) from error
    found = [
        next((files[f"{name}{end}"] for end in ("", *SUFFIXES) if f"{name}{end}" in files), None) for name in names
    ]
    if not any(found):
        raise InputError(
            "truth_none",
            "No file in {folder} is named like one of the pictures. The mask of street.jpg is street.png or "
            "street_mask.png. Rename the masks, or give a list of them in the order of the pictures.",
            folder=shown(str(folder)),
        )
    return found


def _size_differs(name: str, values: Mask, size: tuple[int, int]) -> InputError:
    return InputError(
        "truth_size",
        "{name} is {mask_width} × {mask_height} pixels, its picture {width} × {height}. A mask has the size of its "
        "picture. Make both again from the same original.",
        name=name,
        mask_width=values.shape[1],
        mask_height=values.shape[0],
        width=size[0],
        height=size[1],
    )
