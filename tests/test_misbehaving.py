"""Networks that misbehave: each gets a sentence, before the page opens or on it, and the page lives on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from torch import Tensor, nn

from segdemo import InputError, exploring, needs
from segdemo.sources import network_of
from segdemo.ui import launch


class Odd(nn.Module):
    """Two layers, and between them whatever a test wants."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.near, self.far = nn.Conv2d(channels, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, batch: Tensor) -> Any:
        return self.far(self.between(self.near(batch)))

    def between(self, maps: Tensor) -> Tensor:
        return maps


class Raises(Odd):
    def between(self, maps: Tensor) -> Tensor:
        raise RuntimeError("the tide is\nout")


class Leaves(Odd):
    def between(self, maps: Tensor) -> Tensor:
        raise SystemExit(3)


class Recurses(Odd):
    def between(self, maps: Tensor) -> Tensor:
        return self.between(maps)


class TwoInputs(Odd):
    def forward(self, batch: Tensor, depth: Tensor) -> Any:  # type: ignore[override]
        return super().forward(batch + depth)


class ByName(Odd):
    def forward(self, *, pixels: Tensor) -> Any:  # type: ignore[override]
        return super().forward(pixels)


class Nothing(Odd):
    def forward(self, batch: Tensor) -> Any:
        super().forward(batch)


class Words(Odd):
    def forward(self, batch: Tensor) -> Any:
        return {"says": "a cat", "found": [1, 2]}


class Huge(Odd):
    """Takes 8 GB for a picture of 320 × 256; counts how often it really runs."""

    runs = 0

    def between(self, maps: Tensor) -> Tensor:
        type(self).runs += not maps.is_meta
        wide = maps.repeat(1, math.ceil(8e9 / maps.nbytes), 1, 1)
        return wide[:, :4] + 1


class OnlyTwenty(Odd):
    """Takes pictures of one odd size alone."""

    def forward(self, batch: Tensor) -> Any:
        if tuple(batch.shape[2:]) != (20, 20):
            raise ValueError("20 by 20, please")
        return super().forward(batch)


@pytest.mark.parametrize(
    ("network", "code", "said"),
    [
        (Raises(), "network_failed", "RuntimeError: the tide is out"),
        (Leaves(), "network_failed", "SystemExit: 3"),
        (Recurses(), "network_failed", "RecursionError"),
        (TwoInputs(), "network_inputs", "takes 2 inputs, batch, depth"),
        (ByName(), "network_failed", "takes 1 positional argument"),
        (Nothing(), "output_unusable", "returned None"),
        (Words(), "output_unusable", "a dict of none"),
        (Odd(channels=5), "network_channels", "takes pictures of 5 channels"),
        (OnlyTwenty(), "network_failed", "20 by 20, please"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_before_the_page_opens_a_sentence_says_what_is_wrong(network: nn.Module, code: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        exploring.page_of(network)
    assert refused.value.code == code and said in str(refused.value) and "\n" not in str(refused.value)


def test_a_network_that_would_take_more_memory_than_there_is_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Huge()
    assert 8e9 < (needs.needed(network, (1, 3, 256, 320)) or 0) < 9e9
    monkeypatch.setattr(needs, "available", lambda: 4_000_000_000)
    with pytest.raises(InputError) as refused:
        network_of(network)
    assert refused.value.code == "network_memory" and Huge.runs == 0


def test_what_a_pass_needs_is_what_lies_there_at_a_time() -> None:
    network = nn.Sequential(*[nn.Conv2d(8, 8, 1) for _ in range(9)])
    one = 8 * 64 * 64 * 4  # bytes of each map; two are there at a time, and the batch
    assert 2 * one <= (needs.needed(network, (1, 8, 64, 64)) or 0) <= 3 * one
    assert (needs.available() or 1) > 0


def test_one_that_takes_one_channel_or_another_size_is_given_that() -> None:
    assert network_of(Odd(channels=1)).preprocessing.channels == 1
    assert (
        network_of(OnlyTwenty(), preprocessing={"mean": [0] * 3, "std": [1] * 3, "size": 20}).preprocessing.size == 20
    )


class Moody(Odd):
    """Well while it is looked at first; then it does what the size of the batch says."""

    def between(self, maps: Tensor) -> Tensor:
        side = max(maps.shape[2:])
        if side == 128:
            raise ValueError("not today")
        if side == 192:
            return maps * math.nan
        if side == 512:
            return maps.repeat(1, math.ceil(8e9 / maps.nbytes), 1, 1)[:, :4] + 1
        return maps


def test_a_page_lives_on_whatever_its_network_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "a.png")
    file = handle_file(tmp_path / "a.png")
    monkeypatch.setattr(needs, "available", lambda: 4_000_000_000)
    page = exploring.page_of(Moody())
    try:
        _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
        client = Client(address, verbose=False)

        def segment(side: int, network: str = "moody") -> Any:
            return client.predict(picture=file, network=network, side=side, api_name="/segment")

        for side, said in ((128, "ValueError: not today"), (512, "more memory than there is")):
            with pytest.raises(AppError, match=said):
                segment(side)
            assert sum(segment(320)["percent"].values()) == pytest.approx(100)
        assert segment(192)["width"] == 64  # NaN is shown, and said on the page
        layers = client.predict(picture=file, network="moody", side=192, api_name="/layers")
        assert any(layer["nans"] for layer in layers)
        for network, said in (
            ("moody?size=0", "no input size"),
            ("timm:nix", "no network called"),
            ("unet?x=1", "says nothing"),
            ("resnet18?weights=official", "fetched only when asked for"),
        ):
            with pytest.raises(AppError, match=said):
                segment(0, network)
        assert segment(0, "moody?size=64&classes=sea,land")["percent"].keys() == {"sea", "land"}
    finally:
        page.close()
        page.engine.close()
