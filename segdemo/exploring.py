"""``explore(network)``: the page, opened on a network of one's own."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import EXAMPLES, GIVEN
from segdemo.gallery import Gallery, gallery_of
from segdemo.images import check_input_size
from segdemo.networks.network import Network
from segdemo.pictures import PictureSource, read_picture
from segdemo.segmenter import Segmenter
from segdemo.sources import OFFERED, Classes, Offered
from segdemo.truth import truths_for

if TYPE_CHECKING:
    from segdemo.ui.guard import GuardedBlocks

SHOWN = {".png", ".jpg", ".jpeg", ".webp"}  # what every browser can draw
MOST = 40  # pictures in the row


def explore(
    network: str | nn.Module | Network | Segmenter,
    classes: Classes | None = None,
    preprocessing: Any = None,
    *,
    pictures: Sequence[PictureSource] = (),
    masks: Sequence[Any] | str | Path | None = None,
    size: int | None = None,
    block: bool | None = None,
    port: int | None = None,
) -> GuardedBlocks:
    """Open the page on a network: every layer of it, on these pictures or any other.

    In a script it returns when the page is stopped, by Ctrl-C; in a notebook the page stands below the cell, and at the
    prompt it goes on while you do. What is to be said against the network is said before the page opens.

    Args:
        network: any ``nn.Module``, with the weights it has; or a name, a specification, or a :class:`Segmenter`.
        classes: names of what it tells apart, in index order; None takes what its library knows, or numbers them.
        preprocessing: how it wants its pictures: a :class:`segdemo.Preprocessing`, an image processor, or a mapping
            with mean, std and size; None takes what its library knows, or guesses, and says so on the page.
        pictures: to start with, in whatever form :func:`segdemo.images.load_picture` takes; none takes the examples.
        masks: ground truth, shown beside, with the IoU of each picture: one for each of ``pictures``, a path or an
            array (H, W) of class indices with 255 where nothing is to be scored, None for a picture without; or the
            folder that holds them, each named like its picture. ``page.engine.truths`` has it by the picture's
            fingerprint, and :class:`segdemo.truth.Agreement` asks for it.
        size: input size to start with, pixels; None takes the network's own.
        block: wait until the page is stopped; None waits in a script alone.
        port: where it listens; None takes a free one.

    Returns:
        The page: its address is ``local_url``, and ``close()`` ends it.

    Raises:
        InputError: the network or a picture cannot be used; the text says why, and what to do.
    """
    page = page_of(network, classes, preprocessing, pictures=pictures, masks=masks, size=size)
    from segdemo.ui import launch

    inside = in_notebook()
    block = not inside and not _at_prompt() if block is None else block
    opens = block and _has_desktop()
    launch(page, server_port=port, prevent_thread_lock=not block, inline=inside, inbrowser=opens, quiet=inside)
    return page


def page_of(
    network: str | nn.Module | Network | Segmenter,
    classes: Classes | None = None,
    preprocessing: Any = None,
    *,
    pictures: Sequence[PictureSource] = (),
    masks: Sequence[Any] | str | Path | None = None,
    size: int | None = None,
    gallery: Gallery | None = None,
) -> GuardedBlocks:
    """Build the page that :func:`explore` opens; takes and raises what it does.

    ``gallery`` has the pictures that the page may go through; None takes ``pictures``.
    """
    segmenter = network if isinstance(network, Segmenter) else None
    if segmenter is None:
        segmenter = Segmenter(network, classes=classes, preprocessing=preprocessing)  # type: ignore[arg-type]
    names = keep(pictures)
    from segdemo.ui import build_app

    spec = _sized(segmenter.spec, size)
    others = {name: other for name, other in OFFERED.items() if name != spec.name}
    engine = LocalEngine(Offered({spec.name: spec, **others}))
    engine.adopt(segmenter.opened_as(spec))
    if masks is not None:
        files = [(engine.keep(GIVEN[name]), GIVEN[name]) for name in names]
        engine.truths.update(truths_for(files, masks, spec.names, [_stem(picture) for picture in _listed(pictures)]))
    engine.gallery = gallery or gallery_of({name: GIVEN[name] for name in names}, masked=bool(engine.truths))
    return build_app(engine, names or EXAMPLES)


def _sized(spec: Network, size: int | None) -> Network:
    """Return a specification whose own input size is another."""
    if size is None:
        return spec
    size = check_input_size(spec.preprocessing, size)
    sizes = tuple(sorted({*spec.preprocessing.sizes, size}))
    return replace(spec, preprocessing=replace(spec.preprocessing, size=size, sizes=sizes))


def keep(pictures: Sequence[PictureSource]) -> tuple[str, ...]:
    """Read pictures, and keep copies that the page can show, as long as the process lives.

    Returns:
        Their names, as the page's address has them.

    Raises:
        InputError: one of them cannot be used, or there are too many.
    """
    pictures = _listed(pictures)
    if len(pictures) > MOST:
        raise InputError(
            "too_many_pictures",
            "{count} pictures came, and the page has room for {most} in its row. Give fewer; any other can be dropped "
            "on the page.",
            count=len(pictures),
            most=MOST,
        )
    if not len(pictures):
        return ()
    folder = Path(tempfile.mkdtemp(prefix="segdemo-pictures-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    names = []
    for number, picture in enumerate(pictures, 1):
        read = read_picture(picture)  # refuses what is none
        file = Path(os.fsdecode(picture)) if isinstance(picture, str | os.PathLike) else None
        name = re.sub(r"[^\w-]+", "-", _stem(picture)).strip("-")[:60] or f"picture-{number}"
        while name in EXAMPLES or name in names:
            name = f"{name}-{number}"
        if file is not None and file.suffix.lower() in SHOWN:
            path = Path(shutil.copyfile(file, folder / f"{name}{file.suffix.lower()}"))
        else:
            path = folder / f"{name}.png"
            read.picture.save(path, compress_level=1)
        GIVEN[name] = path
        names.append(name)
    return tuple(names)


def _listed(pictures: Sequence[PictureSource]) -> Sequence[PictureSource]:
    return [pictures] if isinstance(pictures, str | Path) else pictures


def _stem(picture: PictureSource) -> str:
    """Return the name of a picture's file without its ending, "" where there is no file."""
    return Path(os.fsdecode(picture)).stem if isinstance(picture, str | os.PathLike) else ""


def in_notebook() -> bool:
    """Say whether this runs in a notebook, where a page can stand below the cell."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive is not None else None
    return shell is not None and type(shell).__name__ != "TerminalInteractiveShell"


def _at_prompt() -> bool:
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


def _has_desktop() -> bool:
    """Say whether a browser can be opened that is none of the terminal's."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


__all__ = ["explore", "page_of"]
