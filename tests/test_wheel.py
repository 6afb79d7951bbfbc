"""The wheel that `pip install .` builds: the weights are inside, and it works without the repository."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest

from segdemo import NETWORKS, checkpoints
from segdemo.examples import example
from segdemo.images import load_picture
from segdemo.segmenter import Segmenter

ROOT = Path(__file__).parents[1]
ASK = """
import json, sys
from segdemo import Segmenter, checkpoints
from segdemo.examples import example
from segdemo.images import load_picture
result = Segmenter("unet_narrow").run(load_picture(example("digit")), 128)
print(json.dumps([str(checkpoints.folder()), result.trained, result.mask.tolist()]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the backend that pyproject.toml names, without another environment and without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (built,) = folder.glob("*.whl")
    return built


def test_every_checkpoint_is_inside_and_has_the_checksum_that_the_manifest_declares(wheel: Path) -> None:
    expected = {}
    for spec in NETWORKS.values():
        shipped = checkpoints.shipped(spec)
        if shipped.sha256:
            expected[f"{spec.name}.safetensors"] = shipped.sha256
        expected |= {f"{spec.name}-step-{step}.safetensors": checksum for step, checksum in shipped.snapshots.items()}
    with zipfile.ZipFile(wheel) as files:
        assert "segdemo/weights/manifest.json" in files.namelist()
        weights = [name for name in files.namelist() if name.endswith(".safetensors")]
        found = {name: hashlib.sha256(files.read(name)).hexdigest() for name in weights}
    assert found == {f"segdemo/weights/{name}": checksum for name, checksum in expected.items()}


def test_cards_licences_texts_scripts_and_pictures_are_inside(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "segdemo", "checkpoints"], cwd=ROOT, capture_output=True, text=True)
    wanted = tracked.stdout.split() or [
        str(path.relative_to(ROOT))
        for path in (ROOT / "segdemo").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
    assert {name.replace("checkpoints/", "segdemo/weights/", 1) for name in wanted} <= names
    licences = {name.rpartition("licenses/")[2] for name in names if "dist-info/licenses/" in name}
    assert licences == {"LICENSE", *(f"checkpoints/{one.name}" for one in (ROOT / "checkpoints").glob("*[LN]*ICE*"))}
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "benchmarks/"))]


def test_it_brings_the_command_and_asks_for_what_requirements_txt_lists(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        folder = next(name for name in files.namelist() if name.endswith("dist-info/METADATA")).rpartition("/")[0]
        about = Parser().parsestr(files.read(f"{folder}/METADATA").decode("utf-8"))
        commands = files.read(f"{folder}/entry_points.txt").decode("utf-8")
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines()]
    asked = about.get_all("Requires-Dist", [])
    plain = {"".join(sorted(line.replace(" ", ""))) for line in asked if "extra ==" not in line}
    assert plain == {"".join(sorted(line.replace(" ", ""))) for line in lines if line and not line.startswith("-")}
    assert "segdemo = segdemo.__main__:main" in commands


def test_unpacked_far_from_the_repository_it_segments_with_its_own_weights(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path / "installed")
    settings = {name: value for name, value in os.environ.items() if name != "SEGDEMO_CHECKPOINTS"}
    settings["PYTHONPATH"] = str(tmp_path / "installed")
    ended = subprocess.run([sys.executable, "-c", ASK], cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    folder, trained, mask = json.loads(ended.stdout)
    assert Path(folder) == (tmp_path / "installed/segdemo/weights").resolve()
    assert trained is True
    assert np.array_equal(mask, Segmenter("unet_narrow").run(load_picture(example("digit")), 128).mask)
