"""``segdemo lab``: a page that needs nothing else, and a notebook that runs."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import nbformat
import pytest

from segdemo.__main__ import main
from segdemo.labs import LABS
from segdemo.ui.texts import TEXTS


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("name", LABS)
def test_page_holds_the_lab_whole_and_asks_for_nothing(name: str, language: str, cat: Path, tmp_path: Path) -> None:
    file = tmp_path / "lesson.html"
    assert main(["lab", name, "--out", str(file), "--picture", str(cat), "--lang", language]) == 0
    page = file.read_text("utf-8")
    assert TEXTS[language][f"labs.{name}"] in unescape(page)
    assert "import torch" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "{" not in re.sub(r"<(style|pre)>.*?</\1>", "", page, flags=re.DOTALL)


def test_notebook_is_valid_and_its_cells_run_alone(cat: Path, tmp_path: Path) -> None:
    file = tmp_path / "lesson.ipynb"
    words = ["lab", "layers", "--out", str(file), "--picture", str(cat), "--set", "stride=2", "--notebook"]
    assert main(words) == 0
    book = nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(book)
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    assert "stride=2" in code
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "(1, 3, 43, 64) → (1, 1, 22, 32)" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "no lab called 'nothing'"),
        (["layers", "--set", "stride=0"], "a whole number from 1 to 8"),
        (["layers", "--set", "stride"], "NAME=VALUE"),
        (["layers", "--set", "groups=2"], "1 would be left over"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", *words, "--out", str(tmp_path / "lesson.html")]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
