"""A menu and a slider that hand over what they are given."""

from __future__ import annotations

import pytest

from segdemo.ui.panels.menu import Menu, PlainSlider


@pytest.mark.parametrize("value", ["En_3", 513, None, ["odd"]])
def test_a_menu_takes_and_shows_what_is_not_among_its_choices(value: object) -> None:
    menu = Menu(choices=[("Stem", "Stem")])
    assert menu.preprocess(value) == value
    assert menu.postprocess(value) == value  # and warns of nothing


@pytest.mark.parametrize("value", [-1, 10**9, "odd", None])
def test_a_slider_takes_what_is_beyond_its_ends(value: object) -> None:
    assert PlainSlider(0, 9).preprocess(value) == value
