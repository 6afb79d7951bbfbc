"""A person's own checkpoint: recognised, loaded as far as it fits, reported; and whatever else a file may be."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save, save_file
from torch import nn

from segdemo import InputError, Segmenter, own_weights
from segdemo.__main__ import main
from segdemo.networks import NETWORKS
from segdemo.networks.unet import UNet

State = dict[str, Any]


def random_unet(classes: int, *, bilinear: bool = False, width: int = 4, channels: int = 3) -> UNet:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return UNet(channels, classes, bilinear=bilinear, width=width).eval()


def saved(path: Path, state: Any) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize(("width", "classes"), [(4, 2), (6, 5), (10, 300)])
def test_a_unet_of_any_width_classes_and_decoder_is_recognised_and_answers_as_it_did(
    tmp_path: Path, picture: Image.Image, width: int, classes: int, bilinear: bool
) -> None:
    network = random_unet(classes, bilinear=bilinear, width=width)
    segmenter = Segmenter.from_checkpoint(saved(tmp_path / "a.pth", network.state_dict()))
    assert segmenter.trained and segmenter.report is not None and segmenter.report.complete
    assert set(segmenter.report.loaded) == set(network.state_dict())
    assert len(segmenter.classes) == classes
    result = segmenter.run(picture, 128)
    batch = torch.zeros(1, 3, 96, 128)  # 48 × 32 becomes 128 × 85, padded to 96
    seen = np.asarray(result.seen)
    batch = torch.from_numpy(seen.copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = network(batch)[0, :, :85, :128]
    assert result.logits.shape == (classes, 85, 128)
    assert np.abs(result.logits - expected.numpy()).max() < 0.05  # what the network saw is shown in 8 bits


def test_one_output_is_a_foreground_against_a_background_of_0(tmp_path: Path, picture: Image.Image) -> None:
    network = random_unet(1)
    segmenter = Segmenter.from_checkpoint(saved(tmp_path / "a.pth", network.state_dict()))
    result = segmenter.run(picture, 128)
    assert segmenter.classes == ("background", "foreground")
    assert not result.logits[0].any() and result.logits[1].any()


def test_convolutions_with_a_bias_and_a_grey_input_are_recognised(tmp_path: Path, picture: Image.Image) -> None:
    state = random_unet(2, channels=1).state_dict()
    biases = {
        name.replace("weight", "bias"): torch.rand(len(tensor))
        for name, tensor in state.items()
        if name.endswith(("double_conv.0.weight", "double_conv.3.weight"))
    }
    assert len(biases) == 18
    segmenter = Segmenter.from_checkpoint(saved(tmp_path / "a.pth", {**state, **biases}))
    assert segmenter.report is not None and set(biases) <= set(segmenter.report.loaded)
    assert segmenter.spec.preprocessing.channels == 1
    assert segmenter.run(picture, 128).trained


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_networks_of_torchvision_are_told_apart_though_one_holds_the_names_of_another(
    tmp_path: Path, name: str
) -> None:
    theirs = getattr(torchvision.models, name)(num_classes=7)
    loaded = own_weights.load(saved(tmp_path / "a.pth", theirs.state_dict()))
    assert loaded.spec.title == NETWORKS[name].title
    assert len(loaded.spec.classes) == 7
    batch = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(batch), theirs.eval()(batch), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings"), [("lraspp_mobilenet_v3_large", {}), ("fcn_resnet50", {"aux_loss": True})]
)
def test_torchvisions_networks_for_segmentation_answer_as_they_do_there(
    tmp_path: Path, name: str, settings: dict[str, bool]
) -> None:
    build = getattr(torchvision.models.segmentation, name)
    theirs = build(weights=None, weights_backbone=None, num_classes=3, **settings).eval()
    loaded = own_weights.load(saved(tmp_path / "a.pth", theirs.state_dict()))
    assert name in loaded.spec.title and len(loaded.spec.classes) == 3 and loaded.report.complete
    # A second classifier helps to train, and answers nothing.
    assert {key.split(".")[0] for key in loaded.report.aside} == ({"aux_classifier"} if settings else set())
    assert not loaded.report.unexpected
    batch = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(batch), theirs(batch)["out"], rtol=1e-4, atol=1e-4)
    for stage in loaded.spec.stages:
        loaded.module.get_submodule(stage.layer)


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1"])
def test_commoner_classifiers_of_torchvision_are_recognised_and_their_stages_run(
    tmp_path: Path, picture: Image.Image, name: str
) -> None:
    theirs = getattr(torchvision.models, name)(num_classes=1000).eval()
    segmenter = Segmenter.from_checkpoint(saved(tmp_path / "a.pth", theirs.state_dict()))
    assert segmenter.spec.title == f"torchvision's {name}" and segmenter.trained
    result = segmenter.run(picture, 160)
    assert len(result.answer) == 1000
    assert list(result.layers) == [stage.label for stage in segmenter.spec.stages]
    batch = torch.rand(1, 3, 160, 160)
    with torch.inference_mode():
        torch.testing.assert_close(segmenter.network(batch), theirs(batch), rtol=1e-4, atol=1e-4)


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "optimizer": {"state": {}, "lr": 0.1}},
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": 0.5},
    "net": lambda state: {"net": state},
    "ema": lambda state: {"ema": state},
    "nested": lambda state: {"model": {"state_dict": {f"module.{name}": one for name, one in state.items()}}},
    "compiled": lambda state: {f"_orig_mod.module.{name}": one for name, one in state.items()},
    "lightning": lambda state: {"state_dict": {f"model.{name}": one for name, one in state.items()}},
    "mask values": lambda state: {**state, "mask_values": [0, 255]},
    "half": lambda state: {name: one.half() if one.is_floating_point() else one for name, one in state.items()},
    "bfloat16": lambda state: {name: one.bfloat16() if one.is_floating_point() else one for name, one in state.items()},
}


@pytest.mark.parametrize("how", WRAPPINGS)
def test_wrappers_prefixes_extras_and_half_precision_are_seen_through(tmp_path: Path, how: str) -> None:
    network = random_unet(3)
    loaded = own_weights.load(saved(tmp_path / "a.ckpt", WRAPPINGS[how](network.state_dict())))
    assert loaded.report.complete and not loaded.report.unexpected
    assert loaded.report.aside == (("mask_values",) if how == "mask values" else ())
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(loaded.module.state_dict()[name], tensor, rtol=0.01, atol=1e-4)


def test_tensors_saved_on_a_graphics_card_are_read_without_one(tmp_path: Path) -> None:
    state = random_unet(2).state_dict()
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(buffer) as given, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        for member in given.infolist():
            content = given.read(member)
            if member.filename.endswith("data.pkl"):
                assert content.count(b"X\x03\x00\x00\x00cpu") == 1  # the others refer to it
                content = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            out.writestr(member.filename, content)
    assert own_weights.load(path).report.complete


def test_a_report_names_what_is_missing_unexpected_and_of_another_shape(tmp_path: Path) -> None:
    state = random_unet(2).state_dict()
    del state["up4.conv.double_conv.0.weight"]
    state["head.weight"] = torch.zeros(3)
    state["down2.maxpool_conv.1.double_conv.1.bias"] = torch.zeros(99)
    path = saved(tmp_path / "a.pth", state)
    segmenter = Segmenter.from_checkpoint(path)
    report = segmenter.report
    assert report is not None and not report.complete and not segmenter.trained
    assert report.missing == ("up4.conv.double_conv.0.weight",)
    assert report.unexpected == ("head.weight",)
    assert report.mismatched == ("down2.maxpool_conv.1.double_conv.1.bias",)
    assert len(report.loaded) == len(random_unet(2).state_dict()) - 2
    assert not segmenter.run(torch.rand(3, 40, 40), 128).trained
    # Batch normalisation within Encoder 3 stayed random: what comes before it is trained.
    trained = {label: segmenter.trained_layer(label) for label in ("Encoder 1", "Encoder 2", "Encoder 3", "Logits")}
    assert trained == {"Encoder 1": True, "Encoder 2": True, "Encoder 3": False, "Logits": False}


def test_what_stays_random_is_the_same_for_everybody(tmp_path: Path) -> None:
    state = random_unet(2).state_dict()
    del state["outc.conv.bias"]
    path = saved(tmp_path / "a.pth", state)
    one, other = (own_weights.load(path).module.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_our_own_checkpoints_keep_their_classes(tmp_path: Path) -> None:
    from segdemo import checkpoints

    for name in ("unet", "unet_bilinear", "unet_narrow", "lenet", "selfie", "fcn_alexnet"):
        loaded = own_weights.load(checkpoints.path_of(NETWORKS[name]))
        assert loaded.spec.classes == NETWORKS[name].classes
        assert loaded.spec.title == NETWORKS[name].title
        assert loaded.report.complete


def test_convolutions_alone_load_in_part_and_the_rest_is_said_to_be_random(tmp_path: Path) -> None:
    from segdemo import checkpoints

    segmenter = Segmenter.from_checkpoint(checkpoints.path_of(NETWORKS["alexnet"]))
    assert segmenter.report is not None and len(segmenter.report.loaded) == 10
    assert [name.split(".")[0] for name in segmenter.report.missing] == ["classifier"] * 6
    assert not segmenter.trained
    assert segmenter.trained_layer("Conv 5") and not segmenter.trained_layer("Full 6")


def test_a_network_that_is_named_is_not_looked_for(tmp_path: Path) -> None:
    state = torchvision.models.resnet18(num_classes=3).state_dict()
    path = saved(tmp_path / "a.pth", {name: one for name, one in state.items() if name.startswith("layer1")})
    with pytest.raises(InputError, match=r"fit no network known here") as refusal:
        Segmenter.from_checkpoint(path)
    assert refusal.value.code == "checkpoint_unknown"
    segmenter = Segmenter.from_checkpoint(path, "resnet18")
    assert segmenter.report is not None and len(segmenter.report.loaded) == 24


def test_a_checkpoint_of_a_person_is_used_by_the_command_line_and_its_report_is_printed(
    tmp_path: Path, picture: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = saved(tmp_path / "a.pth", {**random_unet(2, width=5).state_dict(), "mask_values": [0, 1]})
    picture.save(tmp_path / "cat.png")
    asked = [str(tmp_path / "cat.png"), "--weights", str(weights), "--side", "128", "--out", str(tmp_path / "out")]
    assert main(["segment", *asked]) == 0
    said = capsys.readouterr()
    assert "U-Net, 5 channels: 118 loaded, 1 set aside" in said.err and "set aside: mask_values" in said.err
    assert "untrained" not in said.out
    facts = json.loads((tmp_path / "out" / "cat.json").read_text("utf-8"))
    assert facts["trained"] is True and set(facts["shares"]) == {"class 0", "class 1"}
    assert main(["layers", *asked, "--stage", "Encoder 2"]) == 0
    assert (tmp_path / "out" / "cat-encoder-2.png").is_file()
    assert main(["segment", *asked[:1], "--weights", str(tmp_path / "none.pth"), "--out", str(tmp_path)]) == 2
    assert "there is no such file" in capsys.readouterr().err


class Hostile:
    """Unpickling this creates a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.victim,)


class Call:
    """Unpickling this calls a function."""

    def __init__(self, function: Callable[..., Any], argument: str) -> None:
        self.called = function, (argument,)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.called


def torch_bytes(value: Any, **settings: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **settings)
    return file.getvalue()


def zip_bytes(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def claiming(header: State) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(64)


def scripted() -> bytes:
    """What a TorchScript program's archive looks like."""
    return zip_bytes("net/constants.pkl", b"x")


def grown(width: int) -> State:
    """The tensors of a U-Net of any size that take four bytes each, for their values are one and the same."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in UNet(3, 2, width=width).state_dict().items()}
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


STATE = random_unet(2).state_dict()
FILES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "code": (lambda victim: pickle.dumps(Hostile(victim)), "making that would run code, so nothing was made"),
    "a call of the system": (lambda _: torch_bytes({**STATE, "x": Call(os.system, "true")}), "it holds posix.system"),
    "a call of eval": (
        lambda _: pickle.dumps(Call(eval, "1"), 2),
        "it holds builtins.eval|it holds __builtin__.eval|it holds eval",
    ),
    "a pickle of plain values": (lambda _: pickle.dumps({"a": 1}), "a pickle that torch.save did not write"),
    "code beside weights": (lambda victim: torch_bytes({**STATE, "x": Hostile(victim)}), "making that would run code"),
    "code in an old file": (
        lambda victim: torch_bytes({**STATE, "x": Hostile(victim)}, _use_new_zipfile_serialization=False),
        "making that would run code",
    ),
    "whole network": (
        lambda _: torch_bytes(nn.Sequential(nn.Conv2d(3, 4, 3))),
        "torch.nn.modules.container.Sequential",
    ),
    "empty": (lambda _: b"", "it is empty"),
    "cut off": (lambda _: torch_bytes(STATE)[:-1000], "it is damaged or cut off"),
    "cut off safetensors": (lambda _: save(STATE)[:-1000], "cannot be read as weights"),
    "another zip": (lambda _: zip_bytes("notes.txt", b"hello"), "a zip archive, but not one of torch.save"),
    "no zip": (lambda _: b"PK\x03\x04" + bytes(100), "it is damaged or cut off"),
    "scripted": (lambda _: scripted(), "TorchScript program"),
    "header of 2 GB": (
        lambda _: struct.pack("<Q", 2 << 30) + b'{"a":' + bytes(50),
        "header would have 2147483648 bytes",
    ),
    "tensor of 2 GB": (
        lambda _: claiming({"a": {"dtype": "F32", "shape": [1 << 29], "data_offsets": [0, 2 << 30]}}),
        "cannot be read as weights",
    ),
    "not finite": (lambda _: torch_bytes({**STATE, "outc.conv.bias": torch.tensor([1.0, torch.nan])}), "1 values"),
    "whole numbers": (
        lambda _: torch_bytes({**STATE, "outc.conv.weight": torch.zeros(2, 4, 1, 1, dtype=torch.int8)}),
        "of int8 numbers",
    ),
    "a list": (lambda _: torch_bytes([1, 2, 3]), "a state dict was expected"),
    "words": (lambda _: torch_bytes({"inc.double_conv.0.weight": "words"}), "fit no network known here"),
    "a picture": (lambda _: b"\x89PNG\r\n\x1a\n" + bytes(50), "it is a picture"),
    "large by words": (
        lambda _: torch_bytes(grown(400)),
        "It does not hold the weights that it names",
    ),
    "one tensor of 8 GB by words": (
        lambda _: torch_bytes({**STATE, "inc.double_conv.0.weight": torch.zeros(1).expand(80_000_000, 3, 3, 3)}),
        "fit no network known here|It does not hold",
    ),
    "dimensions": (
        lambda _: torch_bytes({name: torch.zeros(()) for name in STATE}),
        "fit no network known here",
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_checkpoint_gets_one_sentence_and_nothing_in_it_runs(tmp_path: Path, kind: str) -> None:
    content, words = FILES[kind]
    victim, path = tmp_path / "victim", tmp_path / "given.pth"
    path.write_bytes(content(victim))
    with pytest.raises(InputError, match=words) as refusal:
        own_weights.load(path)
    assert not victim.exists()
    assert "given.pth" in str(refusal.value) and len(str(refusal.value)) < 500 and "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", FILES)
def test_what_is_wrong_with_a_file_is_said_in_chinese_too(tmp_path: Path, kind: str) -> None:
    import gradio as gr

    from segdemo.ui.messages import sentence_of

    path = tmp_path / "given.pth"
    path.write_bytes(FILES[kind][0](tmp_path / "victim"))
    with pytest.raises(InputError) as refusal:
        own_weights.load(path)
    error = pickle.loads(pickle.dumps(refusal.value))
    said = sentence_of(error, gr.Request(headers={"accept-language": "zh-CN"}, cookies={}))
    assert "given.pth" in said and not said.isascii()
    if kind != "cut off safetensors" and kind != "tensor of 2 GB":  # in the words of another library
        assert " it " not in said and "damaged" not in said


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "large.pth"
    with path.open("wb") as file:
        file.truncate(own_weights.MOST + 1)
    with pytest.raises(InputError, match=r"it has 0\.4 GB, and at most 0\.4 GB are read"):
        own_weights.load(path)


MEASURE = """
import resource, sys
from pathlib import Path
from segdemo import own_weights
from segdemo.errors import InputError
def reached():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    own_weights.load(sys.argv[1])
except InputError:
    pass
before = reached()
for path in sys.argv[2:]:
    try:
        own_weights.load(path)
    except InputError:
        pass
print(reached() - before)
"""


def test_hostile_files_take_no_more_memory_than_a_small_network(tmp_path: Path) -> None:
    first = saved(tmp_path / "first.pth", STATE)
    paths = []
    for number, kind in enumerate(
        ("header of 2 GB", "tensor of 2 GB", "large by words", "one tensor of 8 GB by words", "no zip", "cut off")
    ):
        paths.append(tmp_path / f"{number}.pth")
        paths[-1].write_bytes(FILES[kind][0](tmp_path / "victim"))
    words = [sys.executable, "-c", MEASURE, str(first), *map(str, paths)]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 100_000  # kilobytes


def test_safetensors_load_as_what_torch_save_wrote(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    assert own_weights.load(tmp_path / "a.safetensors").report.complete


def test_a_network_of_smp_answers_as_it_does_there(tmp_path: Path) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    theirs = smp.Unet("resnet18", encoder_weights=None, classes=3).eval()
    state = {f"module.{name}": one for name, one in theirs.state_dict().items()}
    loaded = own_weights.load(saved(tmp_path / "a.pth", {"state_dict": state}))
    assert loaded.spec.title == "Unet · resnet18" and not loaded.others
    assert loaded.trained and loaded.report.complete and len(loaded.spec.classes) == 3
    assert len(loaded.spec.stages) > 4
    batch = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(batch), theirs(batch), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("library", "build", "title", "others"),
    [
        (
            "segmentation_models_pytorch",
            lambda smp: smp.FPN("mobilenet_v2", encoder_weights=None, in_channels=1),
            "FPN · mobilenet_v2",
            (),
        ),
        (
            "segmentation_models_pytorch",
            lambda smp: smp.Segformer("mit_b0", encoder_weights=None),
            "Segformer · mit_b0",
            (),
        ),
        ("timm", lambda timm: timm.create_model("mobilenetv3_small_100"), "timm's mobilenetv3_small_100", ()),
        (
            "timm",
            lambda timm: timm.create_model("deit_tiny_patch16_224", num_classes=10),
            "timm's vit_tiny_patch16_224",
            ("timm's deit_tiny_patch16_224",),
        ),
        ("timm", lambda timm: timm.create_model("resnet18"), "ResNet-18", ("timm's resnet18",)),
    ],
    ids=["fpn", "segformer", "mobilenet", "deit", "resnet"],
)
def test_networks_of_libraries_are_recognised_and_those_of_the_same_tensors_are_named(
    library: str, build: Callable[[Any], nn.Module], title: str, others: tuple[str, ...]
) -> None:
    network = build(pytest.importorskip(library))
    spec, found = own_weights.match(network.state_dict(), Path("a.pth"))
    assert (spec.title, found) == (title, others)
    with torch.device("cpu"):
        built = spec.build(len(spec.classes)).state_dict()
    assert {name: one.shape for name, one in built.items()} == {
        name: one.shape for name, one in network.state_dict().items()
    }


def test_a_network_of_another_width_than_any_that_is_known_is_refused() -> None:
    timm = pytest.importorskip("timm")
    with pytest.raises(InputError, match="fit no network known here"):
        own_weights.match(timm.create_model("mobilenetv3_small_050").state_dict(), Path("a.pth"))
