"""What the page says in two languages: what can be given to it, and values inside of sentences."""

from __future__ import annotations

from unittest.mock import Mock

import gradio as gr
import pytest

from segdemo import encoded
from segdemo.errors import InputError
from segdemo.ui.messages import sentence_of
from segdemo.ui.texts import TEXTS


def visitor(language: str) -> gr.Request:
    return Mock(spec=gr.Request, cookies={"segdemo_language": language}, headers={})


@pytest.mark.parametrize("language", TEXTS)
def test_hint_names_every_format_and_both_bounds(language: str) -> None:
    hint = TEXTS[language]["page.picture_hint"]
    assert [name for kind, (name, _) in encoded.KINDS.items() if kind != "HEIF" and name not in hint] == []
    assert f"{encoded.MAX_PIXELS // 1_000_000} " in hint and "40 MB" in hint


def test_picture_without_a_name_is_called_so_in_the_language_of_the_sentence() -> None:
    with pytest.raises(InputError) as caught:
        encoded.check_size(0, 5)
    assert sentence_of(caught.value, visitor("en")).startswith("The picture has 0 × 5 pixels.")
    assert sentence_of(caught.value, visitor("zh")).startswith("该图片 为 0 × 5 像素。")
