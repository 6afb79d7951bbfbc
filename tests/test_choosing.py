"""Choosing a network: any name of a library, what is said in place of a guess, official weights, how large it is."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from segdemo import InputError, LocalEngine, official
from segdemo.choosing import Official, Parameters, Said, Search
from segdemo.images import to_batch
from segdemo.networks.network import Network
from segdemo.questions import Catalogue, Run, facts_of
from segdemo.sources import OFFERED, Offered, libraries, network_of

FORTH = "forth?"


class Two(nn.Module):
    """Returns three maps between 0 and 1, and two at half the size beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 2, 1, stride=2)

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        return {"fine": self.near(batch).tanh() / 2 + 0.5, "coarse": self.far(batch)}  # who knows whether it is shares


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    """Ours, torchvision's, and a network that somebody gave."""
    torch.manual_seed(0)
    given = network_of(Two(), title="Forth")
    engine = LocalEngine(Offered({given.name: given, **dict(OFFERED.items())}))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def noise(engine: LocalEngine) -> tuple[Image.Image, str]:
    """A picture, 64 × 64, and its fingerprint."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    return picture, engine.keep(picture)


def test_every_guess_stands_there_and_can_be_said_otherwise(engine: LocalEngine) -> None:
    before = engine.answer(Said("forth"))
    assert before.guesses == ("classes", "normalisation", "size", "output", "ending")
    assert before.keys == ("output", "ending", "classes", "size", "mean", "std")
    assert [(leaf, shape[1]) for leaf, shape, _ in before.outputs] == [("[fine]", 3), ("[coarse]", 2)]
    words = "size=64&mean=0.5&std=0.5,0.25,1&classes=road,+sky,car&ending=shares&output=[fine]"
    after = engine.answer(Said(FORTH + words))
    assert after.guesses == () and after.size == 64 and after.classes == ("road", "sky", "car")
    assert after.mean == (0.5, 0.5, 0.5) and after.std == (0.5, 0.25, 1.0)
    assert after.ending == "shares" and after.output == "[fine]"
    assert dict(after.said)["classes"] == "road, sky,car"


def test_what_is_said_is_what_the_network_runs_with(engine: LocalEngine, noise: tuple[Image.Image, str]) -> None:
    picture, kept = noise
    result = engine.answer(Run(FORTH + "size=50&mean=0.1,0.2,0.3&std=2&output=[coarse]&classes=a,b", kept))
    module = engine.open("forth").module
    rule = engine.networks[FORTH + "size=50&mean=0.1,0.2,0.3&std=2&output=[coarse]&classes=a,b"].preprocessing
    given, _ = to_batch(picture, rule, 50)
    grey = float(np.asarray(picture)[..., 1].mean()) / 255  # resizing leaves the mean nearly as it is
    assert given.shape == (1, 3, 50, 50) and abs(float(given[0, 1].mean()) - (grey - 0.2) / 2) < 0.01
    with torch.no_grad():
        assert np.allclose(result.logits, module(given)["coarse"][0].numpy(), atol=1e-6)
    assert result.names == ("a", "b") and result.input_size == 50


def test_another_output_brings_its_own_number_of_classes(engine: LocalEngine) -> None:
    facts = facts_of(engine, FORTH + "output=[coarse]")
    assert facts.names == ("class 0", "class 1") and "output" not in facts.guesses and "classes" in facts.guesses


def test_however_much_is_said_of_it_a_network_is_open_once(
    engine: LocalEngine,
) -> None:
    one, other = engine.open(FORTH + "size=64"), engine.open("forth")
    assert one.module is other.module and one.spec.preprocessing.size == 64


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("size=0", "change_size"),
        ("size=1025", "change_size"),
        ("size=12.5", "change_size"),
        ("size=²", "change_size"),
        ("mean=1,2", "change_numbers"),
        ("mean=a", "change_numbers"),
        ("mean=nan", "change_numbers"),
        ("std=0,1,1", "change_std"),
        ("std=-1", "change_std"),
        ("std=inf", "change_numbers"),
        ("classes=a,b", "output_classes"),
        ("classes=", "output_classes"),
        ("classes=a,a,b", "change_classes"),
        ("classes=a,,b", "change_classes"),
        ("ending=maybe", "change_ending"),
        ("output=[nix]", "change_output"),
        ("weights=official", "change_fixed"),
        ("path=/etc/passwd", "change_unknown"),
        ("size=64&size=65", "change_unknown"),
        ("", "change_unknown"),
        ("classes=" + "a" * 2000, "change_unknown"),
    ],
)
def test_what_cannot_be_said_gets_a_sentence(engine: LocalEngine, words: str, code: str) -> None:
    with pytest.raises(InputError) as refused:
        facts_of(engine, FORTH + words)
    assert refused.value.code == code


def test_what_our_own_networks_say_of_themselves_stays(engine: LocalEngine) -> None:
    with pytest.raises(InputError, match="says itself"):
        facts_of(engine, "unet?size=64")
    assert engine.answer(Said("unet")).keys == ()


# ---- names of libraries


def test_any_network_of_a_library_is_looked_into_by_its_name(
    engine: LocalEngine, noise: tuple[Image.Image, str]
) -> None:
    name = "smp:unet:resnet18"
    facts = facts_of(engine, name)
    assert not facts.trained and facts.names == ("class 0", "class 1", "class 2") and len(facts.stages) > 4
    result = engine.answer(Run(name, noise[1], 128))
    assert not result.trained and set(result.layers) == {stage.label for stage in facts.stages}
    assert name not in [one.name for one in engine.answer(Catalogue())]
    assert engine.answer(Parameters(name)) == sum(p.numel() for p in engine.open(name).module.parameters())


def test_names_are_found_by_words_in_any_order(engine: LocalEngine) -> None:
    found = engine.answer(Search("resnet34 UNET"))
    assert found.names[0] == "smp:unet:resnet34" and "timm" in found.libraries
    assert engine.answer(Search("convnext_atto")).names[:2] == ("timm:convnext_atto", "smp:dpt:tu-convnext_atto")
    assert "transformers:SegformerForSemanticSegmentation" in engine.answer(Search("segformer")).names
    tutorial = engine.answer(Search("")).names
    assert len(tutorial) == 27 and "torchvision:vit_l_32" in tutorial
    assert {one.partition(":")[2] for one in tutorial} <= set(torchvision.models.list_models())
    assert engine.answer(Search("no such network")).names == ()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("timm:hf-hub:somebody/network", "library_unknown"),
        ("timm:local-dir:/etc", "library_unknown"),
        ("timm:../../etc/passwd", "library_unknown"),
        ("smp:unet:os.system", "library_unknown"),
        ("transformers:PreTrainedModel", "library_unknown"),
        ("torchvision:get_model", "library_unknown"),
        ("os:system", "library_missing"),
        ("smp:linknet:mit_b0", "library_failed"),
        ("transformers:ShieldGemma2ForImageClassification", "library_network_too_large"),
    ],
)
def test_only_what_a_library_lists_can_be_named_and_not_everything_is_taken(
    engine: LocalEngine, name: str, code: str
) -> None:
    with pytest.raises(InputError) as refused:
        facts_of(engine, name)
    assert refused.value.code == code and len(str(refused.value)) < 500


def test_a_network_that_cannot_be_measured_beforehand_is_stopped_while_it_grows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    class Values(nn.Module):  # computes on values while it is made, as some of libraries do
        def __init__(self) -> None:
            super().__init__()
            made.append(float(torch.ones(1)))
            self.parts = nn.ModuleList(nn.Linear(100, 100) for _ in range(1000))

    build: Any = SimpleNamespace(names=lambda: ("values",), build=lambda name, classes=0: Values())
    monkeypatch.setitem(libraries.LIBRARIES, "timm", ("timm", build))
    monkeypatch.setenv("SEGDEMO_MOST_PARAMETERS", "1000000")
    libraries._names.cache_clear()
    try:
        with pytest.raises(InputError, match="at most 1 million"):
            libraries.network("timm:values")
    finally:
        libraries._names.cache_clear()
    assert made and not nn.modules.module._global_parameter_registration_hooks


def test_no_address_is_asked_while_a_network_of_a_library_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    asked: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: asked.append(address))
    for name in ("transformers:MobileViTV2ForSemanticSegmentation", "timm:mobilenetv4_conv_small"):
        assert libraries.network(name).traced
    assert not asked


def test_the_parameters_of_networks_without_weights_are_counted(engine: LocalEngine) -> None:
    # of torchvision's documentation; those of its networks for segmentation are without the auxiliary classifier
    assert engine.answer(Parameters("resnet18")) == 11_689_512
    assert engine.answer(Parameters("alexnet")) == 61_100_840
    assert engine.answer(Parameters("lraspp_mobilenet_v3_large")) == 3_221_538
    assert engine.answer(Parameters("forth")) == 3 * 3 + 3 + 3 * 2 + 2


# ---- official weights


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PyTorch's cache, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(official, "_FETCHING", official._Fetching())
    return tmp_path / "torch" / "hub" / "checkpoints"


Serve = Callable[..., list[str]]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Stands in for the host of the weights; gives the paths that were asked for."""
    servers: list[ThreadingHTTPServer] = []

    def start(content: bytes = b"", status: int = 200, length: int | None = None, hold: Any = None) -> list[str]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content) if length is None else length))
                self.end_headers()
                with suppress(ConnectionError):  # who asked may have heard enough
                    self.wfile.write(content[:100])
                    self.wfile.flush()
                    if hold is not None:
                        hold.wait()
                    self.wfile.write(content[100:])

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("SEGDEMO_MIRROR", f"http://127.0.0.1:{server.server_port}/models")
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def weights_of(network: nn.Module, tmp_path: Path) -> bytes:
    torch.save(network.state_dict(), tmp_path / "made.pth")
    return (tmp_path / "made.pth").read_bytes()


def say_hash(monkeypatch: pytest.MonkeyPatch, content: bytes, spec: Network) -> official.Source:
    """Let torchvision's name of the file speak of this content."""
    true = official.source_of(spec)
    file = true.file.replace(true.hash, hashlib.sha256(content).hexdigest()[:8])
    faked = SimpleNamespace(DEFAULT=SimpleNamespace(url=f"{official.HOST}/{file}", meta={"_file_size": 5.0}))
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: faked)
    return official.source_of(spec)


def until_over(engine: LocalEngine, network: str) -> Any:
    for thread in threading.enumerate():
        if thread.name == "segdemo-official":
            thread.join(60)
    return official.state_of(engine.networks[network])


NAME = "torchvision:squeezenet1_1"


def test_official_weights_are_fetched_when_asked_for_and_then_used(
    engine: LocalEngine, noise: tuple[Image.Image, str], cache: Path, host: Serve, monkeypatch: Any, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    made = torchvision.models.squeezenet1_1(weights=None).eval()
    content = weights_of(made, tmp_path)
    source = say_hash(monkeypatch, content, engine.networks[NAME])
    hold = threading.Event()
    asked = host(content, hold=hold)
    assert not engine.answer(Official(NAME, look=1)).there and asked == []
    with pytest.raises(InputError) as refused:
        engine.answer(Run(f"{NAME}?weights=official", noise[1]))
    assert refused.value.code == "official_missing" and asked == []  # nothing is fetched unasked
    assert engine.answer(Official(NAME, fetch=True, look=2)).running
    with monkeypatch.context() as patch, pytest.raises(InputError, match="one file at a time"):
        say_hash(patch, b"another", engine.networks[NAME])
        official.fetch(engine.networks[NAME])
    hold.set()
    assert until_over(engine, NAME).there and asked == [f"/models/{source.file}"]
    assert [path.name for path in cache.iterdir()] == [source.file]
    result = engine.answer(Run(f"{NAME}?weights=official", noise[1], 128))
    with torch.no_grad():
        expected = made(to_batch(noise[0], engine.networks[NAME].preprocessing, 128)[0])[0]
    assert result.trained and np.allclose(result.logits.ravel(), expected.numpy(), atol=1e-4)
    assert not engine.answer(Run(NAME, noise[1], 128)).trained


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ({"content": b"x" * 500}, "official_broken", "500 bytes"),
        ({"content": b"x" * 500, "length": 900}, "official_broken", "500 bytes"),
        ({"content": b"gone", "status": 404}, "official_unreachable", "it answered 404"),
    ],
)
def test_what_is_not_the_file_is_not_kept(
    cache: Path, host: Serve, answer: dict[str, Any], code: str, said: str, engine: LocalEngine
) -> None:
    host(**answer)
    official.fetch(engine.networks["resnet18"])
    state = until_over(engine, "resnet18")
    assert state.error is not None and state.error.code == code and said in str(state.error)
    assert not state.there and not list(cache.iterdir())


def test_without_internet_or_room_or_leave_a_sentence_says_so(
    cache: Path, host: Serve, monkeypatch: pytest.MonkeyPatch, engine: LocalEngine
) -> None:
    monkeypatch.setenv("SEGDEMO_MIRROR", "http://127.0.0.1:9/models")
    official.fetch(engine.networks["resnet18"])
    error = until_over(engine, "resnet18").error
    assert error is not None and error.code == "official_unreachable" and "Connection refused" in str(error)
    host(b"x" * 200)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    official.fetch(engine.networks["resnet18"])
    error = until_over(engine, "resnet18").error
    assert error is not None and error.code == "official_no_room"
    monkeypatch.setenv("SEGDEMO_DOWNLOADS", "0")
    with pytest.raises(InputError, match="nothing is fetched"):
        official.fetch(engine.networks["resnet18"])


def test_a_file_put_there_by_hand_is_used_if_it_is_what_its_name_says(
    engine: LocalEngine, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = torchvision.models.resnet18(weights=None).eval()
    content = weights_of(made, tmp_path)
    spec = engine.networks["resnet18?weights=official"]
    source = say_hash(monkeypatch, content, spec)
    cache.mkdir(parents=True)
    (cache / source.file).write_bytes(content)
    opened = engine.open("resnet18?weights=official")
    wanted = made.state_dict()
    assert opened.trained and all(
        torch.equal(value, wanted[name]) for name, value in opened.module.state_dict().items()
    )
    facts = facts_of(engine, "alexnet?weights=official")  # of which the embedded weights are a part
    assert facts.trained and facts.random == () and not facts_of(engine, "alexnet").trained
    engine.forget()
    (cache / source.file).write_bytes(content[:-1] + b"\1")
    with pytest.raises(InputError) as refused:
        engine.open("resnet18?weights=official")
    assert refused.value.code == "official_altered"


def test_every_network_that_is_offered_official_weights_has_a_file_with_a_hash() -> None:
    from segdemo.sources.torchvision import LISTED, SEGMENTATION

    for name in (*LISTED, *SEGMENTATION, "resnet34", "resnet50", "resnet101", "resnet152"):
        source = official.source_of(SimpleNamespace(official=name, title=name))  # type: ignore[arg-type]
        assert source.address == f"{official.HOST}/{source.file}" and len(source.hash) >= 8 and source.megabytes > 1


def test_what_only_training_needs_in_a_file_is_left_out(tmp_path: Path, cache: Path, monkeypatch: Any) -> None:
    for name, given in (
        ("lraspp_mobilenet_v3_large", {"aux_classifier.0.weight": torch.zeros(1)}),
        ("lraspp_mobilenet_v3_large", {"stray": torch.zeros(1)}),
    ):
        spec = OFFERED[f"{name}?weights=official"]
        state = spec.build(21).state_dict() | given
        torch.save(state, tmp_path / "made.pth")
        content = (tmp_path / "made.pth").read_bytes()
        with monkeypatch.context() as patch:
            source = say_hash(patch, content, spec)
            cache.mkdir(parents=True, exist_ok=True)
            (cache / source.file).write_bytes(content)
            if "stray" in given:
                with pytest.raises(InputError, match="1 are not expected"):
                    official.load(spec.build(21), spec)
            else:
                network = spec.build(21)
                official.load(network, spec)
                assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
