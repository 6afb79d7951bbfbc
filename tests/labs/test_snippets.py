"""Each lab's snippet, run alone in a fresh process, gives what the lab shows."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdemo.errors import InputError
from segdemo.labs import LABS
from segdemo.labs.lab import Outcome
from segdemo.labs.question import run
from tests.labs.conftest import some

COUNT = 5  # random settings of each lab
MORE = 60  # of which so many can be had: a lab refuses some
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


def states(name: str, picture: Image.Image) -> list[tuple[dict[str, Any], Outcome]]:
    """Return the first state of a lab, one for each option, and random ones that it can do."""
    lab, chance = LABS[name], random.Random(name)
    controls = lab.settings()
    given: list[dict[str, Any]] = [{}]
    given += [{key: option} for key, control in controls.items() for option in getattr(control, "options", ())]
    given += [{key: some(control, chance) for key, control in controls.items()} for _ in range(MORE)]
    first = len(given) - MORE
    found: list[tuple[dict[str, Any], Outcome]] = []
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


@pytest.mark.parametrize("name", LABS)
def test_snippet_alone_gives_the_numbers_that_the_lab_shows(name: str, picture: Image.Image, tmp_path: Path) -> None:
    all_ = states(name, picture)
    assert len(all_) >= 5
    snippets = [(LABS[name].snippet(**settings), list(outcome.values)) for settings, outcome in all_]
    (tmp_path / "snippets.json").write_text(json.dumps(snippets), "utf-8")
    picture.save(tmp_path / "picture.png")
    for file, make in getattr(LABS[name], "FILES", {}).items():
        (tmp_path / file).write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.pickle", allow_pickle=True)
    for (settings, outcome), values in zip(all_, found, strict=True):
        for key, value in outcome.values.items():
            np.testing.assert_array_equal(values[key], value, f"{key} of {settings}")


@pytest.mark.parametrize("name", LABS)
def test_snippet_needs_nothing_but_torch_and_pillow(name: str) -> None:
    settings = {key: control.default for key, control in LABS[name].settings().items()}
    lines = [line.split() for line in LABS[name].snippet(**settings).splitlines()]
    imported = {words[1].partition(".")[0] for words in lines if words and words[0] in ("import", "from")}
    assert imported <= {"torch", "PIL", "collections", "typing", "math"}
