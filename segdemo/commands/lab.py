"""The command ``lab``: a lab as a page to hand out, or as a notebook."""

from __future__ import annotations

import argparse
from pathlib import Path

from segdemo.commands.files import about, new_file, open_picture, say, writing
from segdemo.encoded import shown
from segdemo.errors import InputError

HELP = "write a lab as a page to hand out, or as a notebook"
DESCRIPTION = (
    "Write one lab with its explanation, settings, pictures and code as a page that needs nothing else, or its code "
    "and text as a Jupyter notebook. Settings are named as in the address of the page: --set stride=2."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what ``segdemo lab`` takes."""
    parser.description = DESCRIPTION
    parser.add_argument("name", metavar="NAME", help="of the lab; a wrong one lists all")
    parser.add_argument("--out", required=True, metavar="FILE", help="where the page or the notebook goes")
    parser.add_argument("--picture", metavar="PICTURE", help="default: the first example")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting; may be repeated")
    parser.add_argument("--lang", choices=("en", "zh"), default="en", help="language of the texts")
    parser.add_argument("--notebook", action="store_true", help="write a Jupyter notebook")


def run(arguments: argparse.Namespace) -> int:
    """Run the lab and write what it shows."""
    from segdemo.examples import FIRST, example
    from segdemo.labs import lesson, question
    from segdemo.labs.lab import small_picture
    from segdemo.ui.texts import TEXTS

    lab = question.find(arguments.name)
    settings = question.settings_of(arguments.name, dict(map(_pair, arguments.set)))
    path = Path(arguments.picture or example(FIRST))
    try:
        picture, _ = open_picture(path)
    except InputError as error:
        say(f"segdemo: {about(path, error)}", error=True)
        return 2
    small = small_picture(picture, settings.get("size", 96))
    outcome = question.run(arguments.name, small, settings)
    words = lesson.Words(TEXTS[arguments.lang], arguments.name)
    if arguments.notebook:
        content = lesson.notebook(lab, settings, small, words)
    else:
        content = lesson.page(lab, settings, outcome, small, words)
    out = Path(arguments.out)
    with writing(out.parent), new_file(str(out)) as beside:
        beside.write_text(content, encoding="utf-8")
    say(f"{arguments.name}: {shown(str(out))}")
    return 0


def _pair(word: str) -> tuple[str, str]:
    """Cut a setting and its value apart.

    Raises:
        InputError: there is no "=" between them.
    """
    name, equals, value = word.partition("=")
    if equals and name:
        return name, value
    raise InputError(
        "setting_without_value",
        "A setting is given as NAME=VALUE, such as stride=2, but {word!r} came. Write it so.",
        word=word[:60],
    )
