"""The command ``explore``: the page, on a network of one's own. It runs the code that makes the network."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdemo.commands.files import listed, say
from segdemo.commands.options import PICTURES, positive
from segdemo.encoded import shown
from segdemo.errors import InputError

if TYPE_CHECKING:
    from torch import nn

HELP = "open the page on a network of your own"
DESCRIPTION = (
    "Open the page on a network: the value of a module, or what a function of it returns. The code is run. "
    "The weights are those that it has, or those of --weights, as far as they fit."
)
SAID = 200  # characters quoted of what the code raised


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo explore`` takes."""
    parser.description, parser.epilog = DESCRIPTION, PICTURES
    parser.add_argument("network", metavar="MODULE:NAME", help="package.module:build, file.py:build, or one of ours")
    parser.add_argument("--weights", metavar="FILE", help="a checkpoint: .safetensors, .pth, .pt")
    parser.add_argument("--classes", metavar="FILE", help="names of the classes, a line each, or a list in JSON")
    parser.add_argument("--pictures", metavar="PATH", nargs="+", default=[], help="pictures, or folders of them")
    parser.add_argument("--masks", metavar="FOLDER", help="ground truth, shown beside: masks named like their pictures")
    parser.add_argument("--side", type=positive, metavar="PIXELS", help="working size to start with")
    parser.add_argument("--port", type=positive, metavar="N", help="where the page listens; default: a free port")


def run(arguments: argparse.Namespace) -> int:
    """Open the page; returns when it is stopped."""
    classes = None if arguments.classes is None else _names(Path(arguments.classes))
    pictures = listed(arguments.pictures) if arguments.pictures else []
    from segdemo.networks import NETWORKS

    network: str | nn.Module = arguments.network
    if network not in NETWORKS or arguments.weights:
        network = _made(arguments.network)
        if arguments.weights:
            _load(network, Path(arguments.weights))
    from segdemo.exploring import explore

    masks = None if arguments.masks is None else Path(arguments.masks)
    explore(network, classes, pictures=pictures, masks=masks, size=arguments.side, port=arguments.port, block=True)
    return 0


def _made(words: str) -> nn.Module:
    """Import what the words name, and call it if it is no network yet."""
    from torch import nn

    place, _, name = words.rpartition(":")
    if not place or not name:
        raise InputError(
            "network_words",
            "“{words}” names no network. Write package.module:name or file.py:name, the name being that of a network "
            "or of a function that returns one; or take one that `segdemo networks` lists.",
            words=shown(words),
        )
    try:
        made: Any = _imported(place)
        for part in name.split("."):
            made = getattr(made, part)
        if not isinstance(made, nn.Module) and callable(made):
            made = made()
    except Exception as error:  # code of a stranger
        raise InputError(
            "network_not_made",
            "{words} did not give a network: {kind}: {said}. It has to be found from this folder, and be made without "
            "arguments.",
            words=shown(words),
            kind=type(error).__name__,
            said=" ".join(str(error).split())[:SAID].rstrip(".") or "nothing",
        ) from error
    return made


def _imported(place: str) -> Any:
    if not place.endswith(".py"):
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(place)
    path = Path(place)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # where what it defines is looked up
    sys.path.insert(0, str(path.resolve().parent))  # for what lies beside it
    spec.loader.exec_module(module)
    return module


def _load(network: nn.Module, path: Path) -> None:
    """Load the weights that fit, and say which did not."""
    from torch import nn

    from segdemo.checkpoints import load_partial

    if not isinstance(network, nn.Module):
        return  # is refused later, with better words
    report = load_partial(network, path)
    say(f"segdemo: {len(report.loaded)} tensors of {shown(str(path))} are loaded", error=True)
    for what, names in (
        ("keep the values they had, as the file has none for them", report.missing),
        ("of the file are not of this network", report.unexpected),
        ("have another shape in the file, and keep the values they had", report.mismatched),
    ):
        if names:
            more = ", …" if len(names) > 3 else ""
            say(f"segdemo: {len(names)} tensors {what}: {', '.join(names[:3])}{more}", error=True)


def _names(path: Path) -> list[str]:
    """Read the names of classes from a file."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "classes_unreadable",
            "The names of the classes cannot be read from {path}: {reason}. A text file in UTF-8 is needed, a name "
            "on each line.",
            path=shown(str(path)),
            reason=getattr(error, "strerror", None) or "it is no UTF-8",
        ) from error
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    names = read if isinstance(read, list) else [line.strip() for line in text.splitlines()]
    return [str(name) for name in names if str(name)]
