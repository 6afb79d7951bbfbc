"""What README.md shows runs as it stands there, and gives what it says."""

from __future__ import annotations

import json
import os
import pickle
import re
import shlex
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from segdemo import NETWORKS, checkpoints
from segdemo.engine import Progress
from segdemo.examples import example
from segdemo.images import load_picture, to_batch
from segdemo.results import Result
from segdemo.segmenter import Segmenter

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
CLASSES = ["background", "cat"]
# Runs a listing as a file would run, and keeps the value of every line that is an expression alone.
KEEPER = """
import ast, copyreg, pickle, sys, types
copyreg.pickle(types.MappingProxyType, lambda mapping: (dict, (dict(mapping),)))  # result.layers on its own
values, names = {}, {}
for statement in ast.parse(open(sys.argv[1], encoding="utf-8").read()).body:
    if isinstance(statement, ast.Expr):
        values[ast.unparse(statement)] = eval(compile(ast.Expression(statement.value), sys.argv[1], "eval"), names)
    else:
        exec(compile(ast.Module([statement], []), sys.argv[1], "exec"), names)
names = {name: names[name] for name in ("batch", "state", "events", "stopped") if name in names}
pickle.dump((values, names), open(sys.argv[2], "wb"))
"""


def fenced(heading: str, language: str) -> str:
    """Return the code blocks of a language under a heading, one after the other."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))


def process(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run this Python in a folder, with the package of this repository on its path."""
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    return subprocess.run([sys.executable, *words], cwd=folder, env=settings, capture_output=True, text=True)


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What the Python listing prints, what its lines are worth, and the variables the checks need."""
    folder = tmp_path_factory.mktemp("listing")
    load_picture(example("chelsea")).save(folder / "cat.jpg", quality=95)
    load_picture(example("digit")).save(folder / "digit.png")
    more = "\nstate = network.state_dict()\n"
    (folder / "listing.py").write_text(fenced("In Python", "python") + more, "utf-8")
    ended = process("-c", KEEPER, "listing.py", "values.pickle", folder=folder)
    assert ended.returncode == 0, ended.stderr
    values, names = pickle.loads((folder / "values.pickle").read_bytes())
    return ended.stdout, values, {**names, "cat": load_picture(folder / "cat.jpg")}


@pytest.fixture(scope="module")
def probabilities(listing: tuple[str, dict[str, Any], dict[str, Any]]) -> np.ndarray:
    """(K, H, W) float32, from the bare network and one interpolation of the whole."""
    cat = listing[2]["cat"]
    segmenter = Segmenter("deeplabv3_mobilenet_v2")
    batch, placement = to_batch(cat, segmenter.spec.preprocessing, 513)
    width, height = placement.resized
    with torch.no_grad():
        logits = segmenter.network(batch)[:, :, :height, :width]
        whole = F.interpolate(logits, cat.size[::-1], mode="bilinear", align_corners=False)
    return whole[0].softmax(0).numpy()


def test_the_python_listing_names_every_network(listing: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
    assert set(listing[0].split()) == {
        file.stem for file in (ROOT / "segdemo/networks").glob("*.py") if "NETWORK = " in file.read_text("utf-8")
    }


def test_the_maps_of_the_python_listing_are_those_of_the_bare_network(
    listing: tuple[str, dict[str, Any], dict[str, Any]], probabilities: np.ndarray
) -> None:
    values = listing[1]
    mask, (confidence, entropy) = values["result.mask"], values["(result.confidence, result.entropy)"]
    ordered = np.sort(probabilities, 0)
    sure = ordered[-1] - ordered[-2] > 1e-3
    assert sure.mean() > 0.99
    assert mask.dtype == np.uint8 and mask.shape == probabilities.shape[1:]
    assert np.array_equal(mask[sure], probabilities.argmax(0)[sure])
    assert values["result.probability('cat')"] == pytest.approx(probabilities[8], abs=1e-4)
    assert confidence == pytest.approx(probabilities.max(0), abs=1e-4)
    logs = np.log2(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    assert entropy == pytest.approx(-(probabilities * logs).sum(0), abs=1e-3)
    for index, share in enumerate(values["result.classes"]):
        assert (share.index, share.name) == (index, Segmenter().classes[index])
        assert share.percent == pytest.approx(100 * (mask == index).mean())
    assert len(values["result.classes"]) == 21


def test_the_engine_of_the_python_listing_answers_what_the_segmenter_does(
    listing: tuple[str, dict[str, Any], dict[str, Any]],
) -> None:
    values = listing[1]
    assert np.array_equal(values["engine.answer(question).mask"], values["result.mask"])
    channel = values["engine.answer(Activation('deeplabv3_mobilenet_v2', cat, stage, channel=17))"]
    assert np.array_equal(channel, values["segmenter.activation(picture, stage, channel=17)"])
    titles = values["[network.title for network in engine.answer(Catalogue())]"]
    assert titles == [spec.title for spec in NETWORKS.values()]
    first, *_, last = listing[2]["events"]
    assert isinstance(first, Progress) and isinstance(last, Result) and listing[2]["stopped"]


@torch.no_grad()
def test_the_layers_of_the_python_listing_are_those_of_the_bare_network(
    listing: tuple[str, dict[str, Any], dict[str, Any]],
) -> None:
    _, values, names = listing
    segmenter = Segmenter("deeplabv3_mobilenet_v2")
    first = segmenter.spec.stages[0]
    module = segmenter.network.get_submodule(first.layer)
    own_size, asked = (to_batch(names["cat"], segmenter.spec.preprocessing, side)[0] for side in (None, 513))
    assert np.array_equal(values["segmenter.activation(picture, stage, channel=17)"], module(own_size)[0, 17].numpy())
    exact = module(asked)[0].double()
    summary = values["result.layers"][first.label]
    assert list(values["result.layers"]) == [stage.label for stage in segmenter.spec.stages]
    assert (summary.minimum, summary.maximum) == (exact.min(), exact.max())
    assert (summary.mean, summary.std) == pytest.approx((exact.mean().item(), exact.std(correction=0).item()), rel=1e-4)
    assert summary.counts.sum() == exact.flatten(1)[:, :: summary.counted_step].numel()
    assert summary.thumbnails.shape[0] == len(exact)
    listed = {(layer.name, layer.type) for layer in values["segmenter.layers()"]}
    assert listed == {(name, type(one).__name__) for name, one in segmenter.network.named_modules() if name}


@torch.no_grad()
def test_the_classifiers_answer_in_the_python_listing_is_that_of_the_bare_network(
    listing: tuple[str, dict[str, Any], dict[str, Any]],
) -> None:
    answer = listing[1]["Segmenter('lenet').run(digit).answer"]
    grey = torch.from_numpy(np.array(load_picture(example("digit")).convert("L"))).float()[None, None] / 255
    expected = Segmenter("lenet").network(grey).softmax(1)[0].tolist()
    assert list(answer) == list("0123456789")
    assert list(answer.values()) == pytest.approx(expected, abs=1e-6)
    assert round(answer["0"], 3) == 0.006  # as its comment says


@torch.no_grad()
def test_the_record_in_the_python_listing_is_what_the_second_call_put_out(
    listing: tuple[str, dict[str, Any], dict[str, Any]],
) -> None:
    from torchvision.models import resnet18

    _, values, names = listing
    network = resnet18().eval()
    network.load_state_dict(names["state"])
    block = network.layer1[0]
    start = network.maxpool(F.relu(network.bn1(network.conv1(names["batch"]))))
    expected = F.relu(block.bn2(block.conv2(F.relu(block.bn1(block.conv1(start.clone()))))) + start)
    (record,) = (value for line, value in values.items() if line.startswith("seen["))
    assert torch.equal(record, expected)


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """A folder that holds what the command-line listing names."""
    with Image.open(example("chelsea")) as cat:
        small = cat.convert("RGB").resize((90, 60))
    small.save(tmp_path / "cat.jpg", quality=95)
    (tmp_path / "photos").mkdir()
    small.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "photos" / "mirrored.png")
    truth = Image.fromarray(np.pad(np.ones((30, 50), np.uint8), ((15, 15), (20, 20))))
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name, picture in (("images", small), ("masks", truth)):
            picture.save(tmp_path / "one.png")
            archive.write(tmp_path / "one.png", f"{name}/one.png")
    words = {"classes": CLASSES, "map": {"cat": "cat"}}
    (tmp_path / "classes.json").write_text(json.dumps(words), "utf-8")
    return tmp_path


def command(name: str) -> list[str]:
    """Return the arguments of the listed command that begins with these words."""
    lines = [line for line in fenced("On the command line", "").splitlines() if line.startswith(f"segdemo {name}")]
    assert len(lines) == 1, lines
    return shlex.split(re.split(r"\s{2,}", lines[0])[0])[1:]


def test_the_listing_shows_every_command_there_is() -> None:
    listed = re.findall(r"^segdemo (\w+)", fenced("On the command line", ""), re.MULTILINE)
    ended = process("-m", "segdemo", "--help", folder=ROOT)
    assert set(listed) == set(re.findall(r"^ {4}(\w+) {2,}", ended.stdout, re.MULTILINE))


def test_the_listed_segment_and_layers_write_what_the_package_computes(studio: Path) -> None:
    ended = process("-m", "segdemo", *command("segment cat.jpg"), folder=studio)
    assert ended.returncode == 0, ended.stderr
    segmenter = Segmenter("u2netp")
    for name, source in (("cat", "cat.jpg"), ("mirrored", "photos/mirrored.png")):
        batch, _ = to_batch(load_picture(studio / source), segmenter.spec.preprocessing)
        with torch.no_grad():
            whole = F.interpolate(segmenter.network(batch), (60, 90), mode="bilinear", align_corners=False)[0]
        margin = (whole[1] - whole[0]).numpy()
        with Image.open(studio / "masks" / f"{name}-mask.png") as mask:
            found = np.array(mask)
        assert np.array_equal(found[abs(margin) > 1e-3], (margin > 0)[abs(margin) > 1e-3])
        facts = json.loads((studio / "masks" / f"{name}.json").read_text("utf-8"))
        assert facts["shares"]["foreground"] == pytest.approx(100 * (found == 1).mean())
        assert (studio / "masks" / f"{name}-overlay.png").is_file()
    ended = process("-m", "segdemo", *command("layers"), folder=studio)
    assert ended.returncode == 0, ended.stderr
    segmenter = Segmenter()
    with np.load(studio / "seen" / "cat-block-0.npz") as seen:
        exact = segmenter.activation(load_picture(studio / "cat.jpg"), "Block 0")
        assert np.array_equal(seen["activation"], exact)
    assert (studio / "seen" / "cat-block-0.png").is_file()


def test_the_listed_networks_evaluate_and_train_do_what_their_lines_say(studio: Path) -> None:
    ended = process("-m", "segdemo", *command("networks"), folder=studio)
    assert ended.returncode == 0 and all(name in ended.stdout for name in NETWORKS), ended.stderr
    ended = process("-m", "segdemo", *command("evaluate"), folder=studio)
    assert ended.returncode == 0, ended.stderr
    scores = json.loads(ended.stdout)
    with zipfile.ZipFile(studio / "set.zip") as archive, archive.open("images/one.png") as file:
        found = Segmenter().run(load_picture(file.read())).mask == 8
    truth = np.pad(np.ones((30, 50), bool), ((15, 15), (20, 20)))
    cat = (found & truth).sum() / (found | truth).sum()
    background = (~found & ~truth).sum() / (~found | ~truth).sum()
    assert (scores["miou"], scores["pictures"]) == (pytest.approx((cat + background) / 2, abs=1e-6), 1)
    ended = process("-m", "segdemo", *command("train"), "--epochs", "1", folder=studio)
    assert ended.returncode == 0, ended.stderr
    assert {"weights.safetensors", "curves.csv", "curves.png"} <= {one.name for one in (studio / "runs/unet").iterdir()}


def test_the_listed_app_serves_the_page_and_the_weights_that_are_here(studio: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-u", "-m", "segdemo", *command("app")]
    with subprocess.Popen(words, cwd=studio, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True) as app:
        try:
            assert app.stdout is not None
            address = next(found[0] for line in app.stdout if (found := re.search(r"http://\S+", line)))
            assert httpx.get(address, timeout=60).status_code == 200
            assert address.startswith(f"http://127.0.0.1:{port}")
        finally:
            app.terminate()


def test_the_table_of_networks_says_what_is_true_of_each() -> None:
    table = README.split("<!-- scores -->")[1].split("<!-- end of scores -->")[0].strip().splitlines()[2:]
    rows = {cells[1].strip("` "): [cell.strip() for cell in cells] for cells in (line.split("|") for line in table)}
    assert set(rows) == set(NETWORKS)
    for name, spec in NETWORKS.items():
        _, _, _, parameters, file, _, _, side, *_ = rows[name]
        with torch.device("meta"):
            network = spec.build(len(spec.classes))
        assert parameters == f"{sum(parameter.numel() for parameter in network.parameters()):,}"
        path = checkpoints.path_of(spec)
        assert file == (f"{path.stat().st_size / 1e6:.1f} MB" if path.exists() else "–")
        assert side == f"{spec.preprocessing.size} px"


def listed_files() -> list[Path]:
    """Return the paths that "Where things are" names; two more spaces stand before what is in a folder."""
    paths: list[Path] = []
    above: list[str] = []
    for line in fenced("Where things are", "").splitlines():
        if found := re.match(r"( *)([\w./]+)(?= {2,}|$)", line):
            above[len(found[1]) // 2 :] = [found[2]]
            paths.append(ROOT.joinpath(*above))
    return paths


def test_every_file_and_make_target_that_is_named_exists() -> None:
    assert [path for path in listed_files() if not path.exists()] == []
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:`|^)make ([\w-]+)", README, re.MULTILINE)) <= set(targets)


def test_every_module_is_named_once() -> None:
    listed = listed_files()
    assert len(listed) == len(set(listed))
    for folder in ("segdemo", "segdemo/ui"):
        files = {path for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"}
        assert files - set(listed) == set()
