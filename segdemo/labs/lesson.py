"""A lab to hand out: a page that holds all it shows, or a notebook of its snippet."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from segdemo.labs.controls import Control
from segdemo.labs.drawn import address_of, map_address, picture_address
from segdemo.labs.lab import Bars, Block, Boxes, Curves, Formula, Lab, Maps, Outcome, Said, Table, Tree
from segdemo.rendering import encode_png

MOST_MAPS = 16
LONGEST = 60  # characters of a setting's value that are shown
STYLE = """
body { max-width: 960px; margin: 2em auto; padding: 0 1em; font: 16px/1.5 system-ui, sans-serif; color: #1a1f2b; }
h1 { font-size: 1.6em; } h2 { font-size: 1.15em; margin: 1.6em 0 .4em; }
table { border-collapse: collapse; font-size: .9em; }
th, td { padding: .2em .8em; border-bottom: 1px solid #ccd; text-align: start; }
pre { padding: 1em; overflow-x: auto; background: #f3f4f8; border-radius: 6px; font-size: .85em; }
figure { display: inline-block; margin: 0 .8em .6em 0; } figcaption { font-size: .8em; }
img { width: 260px; max-width: 100%; image-rendering: pixelated; } .many img { width: 130px; }
small { color: #555; }
"""


class Words:
    """The texts of one lab.

    Args:
        table: all texts of a language.
        lab: name of the lab.
    """

    def __init__(self, table: Mapping[str, str], lab: str) -> None:
        self.table, self.lab = table, lab

    def __call__(self, key: str, **values: Any) -> str:
        """Return a text of the lab, or the one that all labs share; "" where there is none."""
        text = self.table.get(f"labs.{self.lab}.{key}", self.table.get(f"labs.any.{key}", ""))
        return text.format(**values) if values else text

    def shared(self, key: str) -> str:
        """Return a text that belongs to no lab."""
        return self.table[f"labs.{key}"]


def page(lab: Lab, settings: Mapping[str, Any], outcome: Outcome, picture: Image.Image, words: Words) -> str:
    """Return a page of its own, which asks for nothing else.

    Args:
        lab: which.
        settings: all of them.
        outcome: what the lab found with them.
        picture: the small one, as the snippet reads it.
        words: texts in the language of the page.
    """
    title = html.escape(words.shared(words.lab))
    rows = "".join(_setting(name, control, settings, words) for name, control in lab.settings().items())
    tasks = "".join(
        f"<li>{_safe(words(f'task.{task.name}'))}<br><small>{_safe(words(f'task.{task.name}.hint'))}</small></li>"
        for task in lab.TASKS
    )
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>{_safe(words('intro'))}</p>"
        f'<p><img src="{address_of(picture)}" alt="picture.png"></p>'
        f"<h2>{_safe(words.shared('controls'))}</h2><table>{rows}</table>"
        + "".join(_block(block, words) for block in outcome.blocks)
        + f"<h2>{_safe(words.shared('snippet'))}</h2><p>{_safe(words.shared('snippet_why'))}</p>"
        f"<pre>{_safe(lab.snippet(**settings))}</pre>"
        f"<h2>{_safe(words.shared('try'))}</h2><ol>{tasks}</ol></body></html>\n"
    )


def notebook(lab: Lab, settings: Mapping[str, Any], picture: Image.Image, words: Words) -> str:
    """Return a Jupyter notebook, format 4.5: what the lab is about, its picture, its snippet, and what to try.

    Args:
        lab: which.
        settings: all of them.
        picture: the small one, as the snippet reads it.
        words: texts in the language of the notebook.
    """
    files = {"picture.png": encode_png(picture)}
    files |= {name: make() for name, make in files_of(lab, lab.snippet(**settings)).items()}
    coded = {name: base64.b64encode(content).decode() for name, content in files.items()}
    lines = [f'open("{name}", "wb").write(base64.b64decode("{code}"));' for name, code in coded.items()]
    saved = "import base64\n\n" + "\n".join(lines)
    tasks = "\n".join(f"1. {words(f'task.{task.name}')}" for task in lab.TASKS)
    cells = [
        _cell("about", "markdown", f"# {words.shared(words.lab)}\n\n{words('intro')}"),
        _cell("picture", "code", saved),
        _cell("snippet", "code", lab.snippet(**settings)),
        _cell("tasks", "markdown", f"## {words.shared('try')}\n\n{tasks}"),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    known = {"kernelspec": kernel, "language_info": {"name": "python"}}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": known, "cells": cells}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def files_of(lab: Lab, snippet: str) -> dict[str, Callable[[], bytes]]:
    """Return what a snippet reads besides the picture, by name: what makes the file."""
    every: dict[str, Callable[[], bytes]] = getattr(lab, "FILES", {})
    return {name: make for name, make in every.items() if f'"{name}"' in snippet}


def _cell(name: str, kind: str, source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"id": name, "cell_type": kind, "metadata": {}, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _setting(name: str, control: Control, settings: Mapping[str, Any], words: Words) -> str:
    """Return the row of a setting, if it counts."""
    if any(settings[other] not in values for other, values in control.when.items()):
        return ""
    value = control.write(settings[name])
    label, why = words(f"control.{name}") or name, words(f"control.{name}.why")
    shown = words(f"option.{value}") or value.replace("_", ", ")
    shown = shown if len(shown) <= LONGEST else shown[:LONGEST] + "…"
    return f"<tr><th>{_safe(label)}</th><td>{_safe(shown)}</td><td><small>{_safe(why)}</small></td></tr>"


def _block(block: Block, words: Words) -> str:
    """Return a block as HTML."""
    heading = words(f"block.{block.name}")
    head = f"<h2>{_safe(heading)}</h2>" if heading and not isinstance(block, Said) else ""
    if isinstance(block, Maps):
        return head + _maps(block)
    if isinstance(block, Formula):
        return head + "<pre>" + _safe("\n".join(block.lines)) + "</pre>"
    if isinstance(block, Said):
        return f"<p>{_safe(words(f'said.{block.name}', **block.values))}</p>"
    if isinstance(block, Table):
        columns = "".join(f"<th>{_safe(words(f'column.{key}') or key)}</th>" for key in block.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{_safe(_said(v, words))}</td>" for v in row) + "</tr>" for row in block.rows
        )
        return f"{head}<table><tr>{columns}</tr>{rows}</table>"
    if isinstance(block, Boxes):
        return head + _boxes(block)
    if isinstance(block, Tree):
        rows = "".join(
            f"<tr><th>{_safe(leaf.key)}</th><td>{leaf.shape}</td><td>{_safe(_said(leaf.fate, words))}</td></tr>"
            for leaf in block.leaves
        )
        return f"{head}<table>{rows}</table>"
    if isinstance(block, Bars):
        rows = "".join(f"<tr><th>{_safe(word)}</th><td>{100 * share:.1f} %</td></tr>" for word, share in block.bars)
        return f"{head}<table>{rows}</table>"
    assert isinstance(block, Curves)
    rows = "".join(
        f"<tr><th>{_safe(words(f'value.{name}') or name)}</th>"
        + "".join(f"<td>{value:.3g}</td>" for value in values)
        + "</tr>"
        for name, values in block.series.items()
    )
    return f"{head}<table>{rows}</table>"


def _maps(block: Maps) -> str:
    if block.picture:
        return f'<figure><img src="{picture_address(block.values)}" alt=""></figure>'
    figures = []
    for values in block.values[:MOST_MAPS]:
        url, low, high = map_address(values)
        figures.append(f'<figure><img src="{url}" alt=""><figcaption>{low:.3g} … {high:.3g}</figcaption></figure>')
    return f'<div class="{"many" if len(figures) > 1 else "one"}">{"".join(figures)}</div>'


def _boxes(block: Boxes) -> str:
    """Return the boxes in order, each with what feeds it."""
    figures = []
    for box in block.boxes:
        image = "" if box.picture is None else f'<img src="{address_of(Image.fromarray(box.picture))}" alt="">'
        came = " + ".join((*box.inputs, *box.skips)) or "input"
        shape = " × ".join(map(str, box.shape))
        figures.append(f"<figure>{image}<figcaption>{_safe(f'{came} → {box.label}: {shape}')}</figcaption></figure>")
    return f'<div class="many">{"".join(figures)}</div>'


def _said(value: Any, words: Words) -> str:
    if isinstance(value, bool):
        return words.shared("yes" if value else "no")
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None else words(f"value.{value}") or str(value)


def _safe(text: str) -> str:
    return html.escape(text)
