"""Reading along: every section of every tutorial has its lab, which opens without an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from segdemo.labs.question import run, settings_of
from segdemo.labs.reading import PATHS, readme_rows
from segdemo.ui.texts import TEXTS

# What each tutorial is divided into, under the headings that it has itself.
HEADINGS = {
    "own": ("1. nn.Module", "2. ConvBNReLU", "3. nn.Module, nn.Functional", "4. nn.Sequential", "5. LeNet"),
    "modules": ("一", "1.1", "二", "2.1", "2.2", "2.3", "三", "四", "4.1", "4.2", "五"),
    "alexnet": ("AlexNet", "nn.Sequential", "總結", "nn.ModuleList", "nn.ModuleDict", "容器總結", "AlexNet實現"),
    "blocks": ("本节目录", "U-Net 简介", "U-Net模型块分析", "U-Net模型块实现", "利用模型块组装U-Net"),
    "scratch": (
        "前言",
        "搭建CNN网络",
        "__init__函数",
        "forward函数",
        "初始化网络",
        "随机初始化",
        "加载预训练模型初始化",
    ),
}
EVERY = [(tutorial, section) for tutorial, sections in PATHS.items() for section in sections]


@pytest.mark.parametrize("tutorial", HEADINGS)
def test_every_section_of_a_tutorial_is_there(tutorial: str) -> None:
    found = [one for section in PATHS[tutorial] for one in section.heading.split(", ")]
    for heading in HEADINGS[tutorial]:
        assert heading in found or any(section.heading == heading for section in PATHS[tutorial]), heading
    names = [section.name for section in PATHS[tutorial]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("tutorial", "section"), EVERY, ids=lambda value: getattr(value, "name", value))
def test_link_of_a_section_opens_its_lab_without_an_error(tutorial: str, section: object, picture: Image.Image) -> None:
    words = dict(section.words)  # type: ignore[attr-defined]
    lab = section.lab  # type: ignore[attr-defined]
    settings = settings_of(lab, words)
    assert run(lab, picture, settings).blocks
    assert settings_of(lab, {}) != settings or not words, "a word says what is so at first"


@pytest.mark.parametrize("language", TEXTS)
def test_every_section_has_its_texts(language: str) -> None:
    for tutorial, section in EVERY:
        for key in (f"labs.read.{tutorial}", *(f"labs.read.{tutorial}.{section.name}{end}" for end in ("", ".say"))):
            assert TEXTS[language][key]


def test_table_of_the_readme_is_made_of_the_same() -> None:
    lines = (Path(__file__).parents[2] / "README.md").read_text("utf-8").splitlines()
    rows = readme_rows(TEXTS["en"])
    start = lines.index(rows[0])
    assert lines[start : start + len(rows)] == rows
    assert not lines[start + len(rows)].startswith("|")
