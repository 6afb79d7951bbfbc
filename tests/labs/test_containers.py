"""The lab of containers: what is registered, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.labs.question import run
from segdemo.labs.registers import LookAtRegisters

EACH = 10 * 10 + 10  # parameters of a linear layer


@pytest.mark.parametrize(
    ("container", "found", "there"),
    [
        ("sequential", 3, 3),
        ("ordered_dict", 3, 3),
        ("module_list", 3, 3),
        ("list", 0, 3),
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
    ],
)
def test_what_is_done_to_a_container_is_registered(given: dict[str, str], count: int, picture: Image.Image) -> None:
    outcome = run("containers", picture, {"count": 3, **given})
    assert outcome.facts["found"] == count * EACH


CONV = 3 * 4 * 9 + 4  # parameters of the one choice that has any; of the activations, PReLU has one


@pytest.mark.parametrize(
    ("given", "found", "there"),
    [
        ({"container": "module_dict"}, CONV + 1, CONV + 1),
        ({"container": "dict"}, 0, CONV + 1),
        ({"container": "module_dict", "change_dict": "keys"}, CONV + 1, CONV + 1),
        ({"container": "module_dict", "change_dict": "pop"}, 1, 1),
        ({"container": "module_dict", "change_dict": "clear"}, 1, 1),
    ],
)
def test_dictionary_of_choices_is_registered_if_it_is_pytorchs(
    given: dict[str, str], found: int, there: int, picture: Image.Image
) -> None:
    facts = run("containers", picture, given).facts
    assert (facts["found"], facts["there"]) == (found, there)


def test_choice_and_activation_are_picked_by_name(picture: Image.Image) -> None:
    def output(**given: str) -> Any:
        return run("containers", picture, {"container": "module_dict", **given}).values["output"]

    assert output().shape == (1, 4, 10, 14) and output().min() == 0
    assert output(act="prelu").min() < 0
    assert output(picked="pool").shape == (1, 3, 4, 5)
    assert output(change_dict="pop").shape == (1, 3, 12, 16)  # handed on


def test_dictionaries_of_an_open_network_are_those_of_its_modules() -> None:
    engine = LocalEngine()
    whole = engine.answer(LookAtRegisters("unet_narrow"))
    assert dict((name, count) for name, count, _ in whole.rows)["_modules"] == 10
    norm = engine.answer(LookAtRegisters("unet_narrow", None, "inc.double_conv.1"))
    held = {name: names for name, _, names in norm.rows}
    assert held["_parameters"] == "weight, bias"
    assert held["_buffers"] == "running_mean, running_var, num_batches_tracked"
    assert not any(count for name, count, _ in norm.rows if name.endswith("hooks"))  # segdemo leaves none behind
    with pytest.raises(InputError, match="no module called “nowhere”"):
        engine.answer(LookAtRegisters("unet_narrow", None, "nowhere"))


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
