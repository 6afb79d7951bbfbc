"""Each lab's snippet, run alone in a fresh process, gives what the lab shows."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo import checkpoints
from segdemo.errors import InputError
from segdemo.labs import LABS
from segdemo.labs.controls import Control, Whole
from segdemo.labs.lab import Outcome
from segdemo.labs.question import run
from tests.labs.conftest import some

COUNT = 4  # random settings of each lab
MORE = 60  # of which so many can be had: a lab refuses some
LIGHT = {"size": 48, "width": 16}  # at most, where settings are random: large ones only take longer
BESIDE = ("alexnet",)  # trained weights that a snippet may read from a file beside it
ALONE = """
import json, pickle, sys, torch
found = []
for code, names in json.load(open("snippets.json")):
    space = {"__name__": "__main__"}
    exec(compile(code, "snippet.py", "exec"), space)
    found.append({name: torch.as_tensor(space[name]).detach().numpy() for name in names})
assert not [name for name in sys.modules if name.startswith("segdemo")]
pickle.dump(found, open("found.pickle", "wb"))
"""
State = tuple[dict[str, Any], Outcome]


def drawn(key: str, control: Control, chance: random.Random) -> Any:
    """Return something that a control takes, and that does not take long."""
    value = some(control, chance)
    return max(min(value, LIGHT[key]), control.least) if key in LIGHT and isinstance(control, Whole) else value


def states(name: str, picture: Image.Image) -> list[State]:
    """Return the first state of a lab, one for each option, and random ones that it can do."""
    lab, chance = LABS[name], random.Random(name)
    controls = lab.settings()
    given: list[dict[str, Any]] = [{}]
    given += [
        {key: option}
        for key, control in controls.items()
        for option in getattr(control, "options", ())
        if option != control.default
    ]
    given += [{key: drawn(key, control, chance) for key, control in controls.items()} for _ in range(MORE)]
    first = len(given) - MORE
    found: list[State] = []
    random_ones = 0
    for index, settings in enumerate(given):
        try:
            outcome = run(name, picture, settings)
        except InputError:
            continue
        found.append(({key: settings.get(key, control.default) for key, control in controls.items()}, outcome))
        random_ones += index >= first
        if random_ones == COUNT:
            break
    return found


@pytest.fixture(scope="module")
def alone(picture: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[State, Any]]]:
    """States of each lab, each with what its snippet computes: all in one fresh process, each in names of its own."""
    folder = tmp_path_factory.mktemp("alone")
    all_ = [(name, state) for name in LABS for state in states(name, picture)]
    snippets = [(LABS[name].snippet(**settings), list(outcome.values)) for name, (settings, outcome) in all_]
    (folder / "snippets.json").write_text(json.dumps(snippets), "utf-8")
    picture.save(folder / "picture.png")
    for lab in LABS.values():
        for file, make in getattr(lab, "FILES", {}).items():
            (folder / file).write_bytes(make())
    for name in BESIDE:
        (folder / f"{name}.safetensors").symlink_to((checkpoints.folder() / f"{name}.safetensors").resolve())
    command = [sys.executable, "-c", ALONE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    values = np.load(folder / "found.pickle", allow_pickle=True)
    found: dict[str, list[tuple[State, Any]]] = {name: [] for name in LABS}
    for (name, state), each in zip(all_, values, strict=True):
        found[name].append((state, each))
    return found


@pytest.mark.parametrize("name", LABS)
def test_snippet_alone_gives_the_numbers_that_the_lab_shows(
    name: str, alone: dict[str, list[tuple[State, Any]]]
) -> None:
    assert len(alone[name]) >= 5
    for (settings, outcome), values in alone[name]:
        for key, value in outcome.values.items():
            np.testing.assert_array_equal(values[key], value, f"{key} of {settings}")


@pytest.mark.parametrize("name", LABS)
def test_snippet_needs_nothing_but_torch_and_pillow(name: str) -> None:
    settings = {key: control.default for key, control in LABS[name].settings().items()}
    lines = [line.split() for line in LABS[name].snippet(**settings).splitlines()]
    imported = {words[1].partition(".")[0] for words in lines if words and words[0] in ("import", "from")}
    assert imported <= {"torch", "PIL", "collections", "typing", "math"}
