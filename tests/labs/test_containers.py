"""The lab of containers: what is registered, and what is not."""

from __future__ import annotations

import pytest
from PIL import Image

from segdemo.labs.question import run

EACH = 10 * 10 + 10  # parameters of a linear layer


@pytest.mark.parametrize(
    ("container", "found", "there"),
    [
        ("sequential", 3, 3),
        ("ordered_dict", 3, 3),
        ("module_list", 3, 3),
        ("list", 0, 3),
        ("module_dict", 2, 2),
        ("dict", 0, 2),
    ],
)
def test_only_containers_of_pytorch_are_seen(container: str, found: int, there: int, picture: Image.Image) -> None:
    outcome = run("containers", picture, {"container": container, "count": 3})
    assert {name: int(outcome.values[name]) for name in ("found", "there", "moved")} == {
        "found": found * EACH,
        "there": there * EACH,
        "moved": found * EACH,
    }


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"change_list": "append"}, 4),
        ({"change_list": "extend"}, 5),
        ({"change_list": "insert"}, 3),
        ({"container": "module_dict", "change_dict": "pop"}, 1),
        ({"container": "module_dict", "change_dict": "clear"}, 0),
    ],
)
def test_what_is_done_to_a_container_is_registered(given: dict[str, str], count: int, picture: Image.Image) -> None:
    outcome = run("containers", picture, {"count": 3, **given})
    assert outcome.facts["found"] == count * EACH


def test_a_hook_and_a_buffer_stand_in_the_dictionaries_of_the_module(picture: Image.Image) -> None:
    def entries(**given: bool) -> dict[str, int]:
        table = next(b for b in run("containers", picture, given).blocks if b.name == "dictionaries")
        return {row[0]: row[1] for row in table.rows}  # type: ignore[union-attr]

    bare, full = entries(), entries(buffer=True, hook=True)
    assert {name: full[name] - bare[name] for name in bare if full[name] != bare[name]} == {
        "_buffers": 1,
        "_forward_hooks": 1,
    }
    assert len(bare) >= 8
