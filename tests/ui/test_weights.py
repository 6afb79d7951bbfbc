"""A checkpoint given to the running page: read, kept for its owner alone, bounded, and gone with the visit."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from gradio.utils import get_upload_folder

from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.networks.unet import UNet
from segdemo.private import PrivateNetworks
from segdemo.ui import build_app, folder, launch, uploads
from segdemo.ui.panels.weights import WeightsPanel
from segdemo.ui.texts import TEXTS
from tests.ui import stranger as strangers
from tests.ui.stranger import HTTP, Stranger

ENGINE = LocalEngine(private=PrivateNetworks(most=3, nbytes=50_000_000))
PAGE = build_app(ENGINE)
PANEL = next(number for number, block in PAGE.blocks.items() if isinstance(block, WeightsPanel))
SIZE = 128


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    _, address, _ = launch(PAGE, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield address
    PAGE.close()
    ENGINE.close()


@pytest.fixture
def ann(address: str, request: pytest.FixtureRequest) -> Iterator[Stranger]:
    visitor = Stranger(address, f"ann-{request.node.name}")
    yield visitor
    ENGINE.forget_networks(visitor.session)


@pytest.fixture
def ben(address: str, request: pytest.FixtureRequest) -> Iterator[Stranger]:
    visitor = Stranger(address, f"ben-{request.node.name}")
    yield visitor
    ENGINE.forget_networks(visitor.session)


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    """A U-Net of a width that no network of ours has."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return UNet(3, 4, bilinear=False, width=6).state_dict()


@pytest.fixture
def checkpoint(tmp_path: Path, state: dict[str, Any]) -> Path:
    torch.save(state, tmp_path / "mine.pth")
    return tmp_path / "mine.pth"


def bring(visitor: Stranger, path: Path) -> dict[str, Any]:
    """Give a checkpoint as the page's script does; what the server answers."""
    status, answer = visitor.panel(PANEL, "bring", {"path": visitor.upload(path), "name": path.name})
    assert status == 200
    return dict(answer)


def run(visitor: Stranger, network: str) -> str:
    """Run a network on an example; gives what is said where that is refused."""
    file = {"path": visitor.upload(example("digit")), "meta": {"_type": "gradio.FileData"}}
    number = strangers.number_of(PAGE, "segment")
    status, message = visitor.ask(number, [file, network, SIZE, 10**6, None])
    assert status == 200
    return "" if message["success"] else str(message["output"]["error"])


def codes_of(sentence: str) -> set[str]:
    """Return the codes of errors whose English sentence has the same beginning."""
    begins = {
        "weights_private": "These weights were uploaded by a visitor for themselves alone",
        "weights_left": "The weights that you uploaded are no longer kept",
    }
    return {code for code, begin in begins.items() if sentence.startswith(begin)}


def test_a_checkpoint_becomes_a_network_of_its_owner_and_the_report_tells_each_tensor(
    ann: Stranger, tmp_path: Path, state: dict[str, Any]
) -> None:
    changed = {**state, "outc.conv.bias": torch.zeros(9), "head.weight": torch.zeros(2), "mask_values": [0, 255]}
    del changed["down2.maxpool_conv.1.double_conv.0.weight"]
    torch.save({"model": {f"module.{name}": one for name, one in changed.items()}}, tmp_path / "part.ckpt")
    brought = bring(ann, tmp_path / "part.ckpt")
    assert brought["title"] == "U-Net, 6 channels (part.ckpt)"
    network = brought["network"]
    _, report = ann.panel(PANEL, "report", {"network": network})
    found = {one["fate"]: (one["count"], one["names"]) for one in report["fates"]}
    assert found["missing"] == (1, ["down2.maxpool_conv.1.double_conv.0.weight"])
    assert found["mismatched"] == (1, ["outc.conv.bias"])
    assert found["unexpected"] == (1, ["head.weight"])
    assert found["aside"] == (1, ["mask_values"])
    assert found["loaded"][0] == len(state) - 2
    assert (report["trained"], report["stages"]) == (False, ["Encoder 3", "Logits"])
    assert run(ann, network) == ""
    figure = next(number for number, block in PAGE.blocks.items() if type(block).__name__ == "FigurePanel")
    _, drawn = ann.panel(figure, "figure", {"network": network, "size": SIZE})
    flags = {box["label"]: box["flags"] for box in drawn["boxes"] if box["parent"] is None}
    assert (flags["Encoder 2"], flags["Encoder 3"], flags["Encoder 4"]) == ([], ["missing"], ["after"])
    assert drawn["untrained"] and drawn["partly"]


def test_a_stage_that_no_other_network_has_is_picked_by_its_owner_alone(
    ann: Stranger, ben: Stranger, tmp_path: Path
) -> None:
    from torchvision.models import squeezenet1_1

    torch.save(squeezenet1_1(num_classes=3).state_dict(), tmp_path / "a.pth")
    network = bring(ann, tmp_path / "a.pth")["network"]
    stage = ENGINE.private.get(network).opened.spec.stages[0].label
    number = strangers.number_of(PAGE, "remember")
    for visitor, succeeds in ((ann, True), (ben, False)):
        _, message = visitor.ask(number, [None] * len(PAGE.fns[number].inputs), {"index": stage, "value": stage})
        assert message["success"] is succeeds


def test_the_file_is_gone_as_soon_as_it_is_read_whatever_becomes_of_it(
    ann: Stranger, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.pth").write_bytes(b"nonsense")
    assert "network" in bring(ann, checkpoint) and "error" in bring(ann, tmp_path / "bad.pth")
    assert not [path for path in Path(get_upload_folder()).rglob("*") if path.suffix == ".pth"]


def test_nobody_else_can_ask_for_it_by_any_door(ann: Stranger, ben: Stranger, checkpoint: Path) -> None:
    network = bring(ann, checkpoint)["network"]
    assert run(ann, network) == ""
    picture = ENGINE.keep(example("digit"))
    asked = {"network": network, "picture": picture, "size": SIZE, "step": None}
    doors: list[dict[str, Any]] = [{"network": network, "size": SIZE, "run": asked, "layer": "inc", "point": [1, 1]}]
    refused: set[str] = set()
    for number, block in PAGE.blocks.items():
        for name in getattr(block, "server_fns", None) or []:
            for door in doors:
                word = name if isinstance(name, str) else name.__name__
                _, hers = ann.panel(number, word, door)
                _, his = ben.panel(number, word, door)
                if hers == his:  # it does not look at the network
                    assert network not in json.dumps(his)
                else:
                    assert "weights_private" in codes_of(his["error"]), word
                    refused.add(word)
    assert {"report", "figure", "segmentation", "channels"} <= refused
    assert "weights_private" in codes_of(run(ben, network))
    kind, said = ben.call(
        "segment", [{"path": ben.upload(example("digit")), "meta": {"_type": "gradio.FileData"}}, network, 0]
    )
    assert kind == "error" and "for themselves alone" in str(said)
    assert run(ann, network) == ""


def test_it_is_gone_with_the_visit(ann: Stranger, checkpoint: Path) -> None:
    network = bring(ann, checkpoint)["network"]
    with HTTP.stream("GET", f"{ann.address}gradio_api/heartbeat/{ann.session}") as beat:
        assert next(beat.iter_lines())
        assert ENGINE.private.has(network)
    while ENGINE.private.has(network):  # the server hears of it a little later
        HTTP.get(f"{ann.address}gradio_api/startup-events")
    assert "weights_private" in codes_of(run(ann, network))


def test_the_one_used_longest_ago_leaves_and_its_owner_alone_hears_why(
    ann: Stranger, ben: Stranger, checkpoint: Path, address: str
) -> None:
    first = bring(ann, checkpoint)["network"]
    others = [Stranger(address, f"other-{number}") for number in range(3)]
    for other in others:
        assert "network" in bring(other, checkpoint)
    assert "weights_left" in codes_of(run(ann, first)) and "weights_private" in codes_of(run(ben, first))
    for other in others:
        ENGINE.forget_networks(other.session)


def hostile_files(folder_: Path, state: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of files that are no checkpoints to load."""
    whole = folder_ / "whole.pth"
    torch.save(state, whole)
    yield "runs.pth", pickle.dumps(Touching(folder_ / "touched"), protocol=2)
    torch.save({"weight": torch.zeros(3), "x": Touching(folder_ / "touched")}, folder_ / "x")
    yield "runs too.pth", (folder_ / "x").read_bytes()
    torch.save(torch.nn.Linear(3, 3), folder_ / "x")
    yield "module.pt", (folder_ / "x").read_bytes()
    yield "cut.pth", whole.read_bytes()[:-5000]
    yield "empty.ckpt", b""
    yield "zip.pth", b"PK\x05\x06" + bytes(18)
    yield "no zip.pth", b"PK\x03\x04 and no more"
    yield "claims.safetensors", struct.pack("<Q", 2 << 30) + b"{}"
    header = b'{"a":{"dtype":"F32","shape":[536870912],"data_offsets":[0,2147483648]}}'
    yield "claims too.safetensors", struct.pack("<Q", len(header)) + header
    for name, tensor in (("nan", torch.full((6, 3, 3, 3), float("nan"))), ("words", torch.zeros(6, 3, 3, 3).int())):
        torch.save({**state, "inc.double_conv.0.weight": tensor}, folder_ / "x")
        yield f"{name}.pth", (folder_ / "x").read_bytes()
    torch.save([1, 2, 3], folder_ / "x")
    yield "list.pth", (folder_ / "x").read_bytes()
    torch.save({"strange": torch.zeros(3)}, folder_ / "x")
    yield "strange.pth", (folder_ / "x").read_bytes()


class Touching:
    """Unpickling this creates a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_files_end_in_one_sentence_about_the_file_and_nothing_runs(
    ann: Stranger, tmp_path: Path, state: dict[str, Any], language: str, caplog: pytest.LogCaptureFixture
) -> None:
    HTTP.cookies.set("segdemo_language", language)
    try:
        for name, content in hostile_files(tmp_path, state):
            (tmp_path / name).write_bytes(content)
            said = bring(ann, tmp_path / name)
            assert list(said) == ["error"], name
            sentence = said["error"]
            assert name in sentence and get_upload_folder() not in sentence, sentence
            assert sentence != TEXTS[language]["page.failed"]
            assert (language == "zh") == any("\u4e00" <= letter <= "\u9fff" for letter in sentence), sentence
    finally:
        HTTP.cookies.clear()
    assert not (tmp_path / "touched").exists()
    assert ENGINE.private.of(ann.session) == ()
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", None, 7, "picture", "/proc/self/environ"],
    ids=["password", "none", "number", "picture", "process"],
)
def test_only_a_checkpoint_that_was_uploaded_is_read(ann: Stranger, path: Any) -> None:
    path = ann.upload(example("digit")) if path == "picture" else path
    _, said = ann.panel(PANEL, "bring", {"path": path, "name": "a.pth"})
    assert "was not uploaded" in said["error"] or "is no checkpoint by its name" in said["error"]


def test_a_checkpoint_may_be_larger_than_a_picture_and_a_picture_may_not(
    ann: Stranger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PAGE, "max_file_size", 1000)
    monkeypatch.setattr(uploads, "MOST_BYTES_OF_WEIGHTS", 5000)
    url = f"{ann.address}gradio_api/upload"

    def status(**files: tuple[str, bytes]) -> int:
        return HTTP.post(url, files=[("files", file) for file in files.values()]).status_code

    assert status(one=("a.png", bytes(900))) == 200
    assert status(one=("a.png", bytes(1100))) == 413
    assert status(one=("a.PTH", bytes(4900))) == 200
    assert status(one=("a.pth", bytes(5100))) == 413
    assert status(one=("a.pth", bytes(900)), two=("b.png", bytes(1100))) == 413
    left = [path for path in Path(get_upload_folder()).iterdir() if path.is_file() and path.name != folder.LOCK]
    assert not left


def test_a_large_file_named_as_a_checkpoint_is_taken_for_no_picture(ann: Stranger, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(example("digit").read_bytes())
    file = {"path": ann.upload(tmp_path / "a.pth"), "meta": {"_type": "gradio.FileData"}}
    kind, said = ann.call("segment", [file, "unet", 0])
    assert kind == "error" and "checkpoint where a picture is needed" in str(said)


def test_few_checkpoints_wait_at_once_and_pictures_keep_their_room(tmp_path: Path, checkpoint: Path) -> None:
    held = folder.Folder(tmp_path / "..", most=8000)
    picture = Path(held.keep(b"picture" * 100, "picture.png"))
    parts = [held.path / f"part-{number}" for number in range(folder.MOST_WEIGHTS + 1)]
    for part in parts[:-1]:
        held.begin_weights(part)
        part.write_bytes(bytes(100_000))
    assert held.tidy(8000) < 8000 and picture.exists() and parts[0].exists()
    with pytest.raises(ValueError, match="checkpoints are being uploaded") as refusal:
        held.begin_weights(parts[-1])
    assert getattr(refusal.value, "code", "") == "weights_arriving"
    held.end_weights(parts[0])
    parts[0].unlink()
    held.begin_weights(parts[-1])
    held.remove()


def test_an_engine_that_keeps_no_checkpoints_says_so(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from segdemo.errors import InputError
    from segdemo.ui.wanted import WantedEngine, asked_by

    class Other:
        """Keeps none."""

    take: Callable[..., str] = WantedEngine(Other()).keep_network  # type: ignore[arg-type]
    with asked_by("ann"), pytest.raises(InputError) as refusal:
        take(str(checkpoint), "a.pth")
    assert refusal.value.code == "weights_not_taken"
