"""Requests to the running app, as scripts make them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from segdemo import Segmenter
from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.images import load_picture, to_batch
from segdemo.ui import build_app, launch


@pytest.fixture(scope="module")
def client(engine: LocalEngine) -> Iterator[Client]:
    page = build_app(engine)
    _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    client = Client(address, verbose=False)
    yield client
    client.close()
    page.close()


def test_segment_gives_shares_and_the_mask_in_the_pictures_size(client: Client) -> None:
    picture = example("chelsea")
    answer = client.predict(picture=handle_file(str(picture)), side=257, api_name="/segment")
    assert answer["trained"] is True
    assert answer["percent"]["cat"] > 70
    assert sum(answer["percent"].values()) == pytest.approx(100, abs=0.01)
    mask = Image.open(io.BytesIO(base64.b64decode(answer["mask_png"].partition(",")[2])))
    expected = Segmenter().run(load_picture(picture), 257).mask
    assert np.array_equal(np.array(mask), expected)
    assert (answer["width"], answer["height"]) == mask.size


def test_segment_gives_the_probabilities_of_a_classifier(client: Client) -> None:
    answer = client.predict(handle_file(example("digit")), "lenet", 0, api_name="/segment")
    with torch.no_grad():
        grey = torch.from_numpy(np.array(load_picture(example("digit")).convert("L"))).float()[None, None] / 255
        expected = Segmenter("lenet").network(grey).softmax(1)[0].tolist()
    assert list(answer["probability"]) == list("0123456789")
    assert list(answer["probability"].values()) == pytest.approx(expected, abs=1e-6)
    assert max(answer["probability"], key=answer["probability"].get) == "5"
    assert (answer["network"], answer["trained"], answer["side"]) == ("lenet", True, 32)
    assert (answer["width"], answer["height"]) == (32, 32)
    assert "mask_png" not in answer


def test_layers_describes_every_stage(client: Client) -> None:
    answer = client.predict(picture=handle_file(str(example("coffee"))), network="u2netp", side=192, api_name="/layers")
    segmenter = Segmenter("u2netp")
    batch, _ = to_batch(load_picture(example("coffee")), segmenter.spec.preprocessing, 192)
    exact: dict[str, np.ndarray] = {}
    with ExitStack() as hooks, torch.no_grad():
        for stage in segmenter.spec.stages:
            keep = partial(lambda layer, _, __, output: exact.update({layer: output[0].clone().numpy()}), stage.layer)
            hooks.enter_context(segmenter.network.get_submodule(stage.layer).register_forward_hook(keep))
        segmenter.network(batch)
    assert [(row["stage"], row["layer"]) for row in answer] == [
        (stage.label, stage.layer) for stage in segmenter.spec.stages
    ]
    for row in answer:
        values = exact[row["layer"]].astype(np.float64)
        assert row["trained"] is True
        assert row["shape"] == list(values.shape)
        assert (row["minimum"], row["maximum"]) == pytest.approx((values.min(), values.max()), rel=1e-4, abs=1e-5)
        assert (row["mean"], row["std"]) == pytest.approx((values.mean(), values.std()), rel=1e-4, abs=1e-5)
        assert row["zero_share"] == pytest.approx((values == 0).mean(), abs=1e-4)
        assert row["dead_channels"] == np.flatnonzero(~values.any(axis=(1, 2))).tolist()
        assert (row["nans"], row["infinities"]) == (0, 0)
        summary = segmenter.summary(load_picture(example("coffee")), row["stage"], 192)
        assert row["channels_by_variance"] == summary.channels.ranked("variance")[:16].tolist()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"network": "resnet"}, "There is no network called"), ({"side": 12}, "The working size 12 does not suit")],
)
def test_a_wrong_argument_is_answered_with_a_sentence(client: Client, wrong: dict[str, object], words: str) -> None:
    with pytest.raises(AppError, match=words):
        client.predict(picture=handle_file(str(example("coffee"))), api_name="/segment", **wrong)


def test_a_file_that_is_no_picture_is_answered_with_a_sentence_and_the_next_run_works(
    client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "holiday.png"
    path.write_text("no picture")
    with pytest.raises(AppError, match=r"holiday.png cannot be read as a picture"):
        client.predict(picture=handle_file(str(path)), api_name="/segment")
    answer = client.predict(picture=handle_file(str(example("coffee"))), side=257, api_name="/segment")
    assert answer["side"] == 257


def test_examples_work_wherever_scikit_image_lies(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # Gradio hands out files below the folder it runs in anyway
    page = build_app(engine)
    _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    try:
        call = f"{address}gradio_api/call/pick_example"
        answer = httpx.get(f"{call}/{httpx.post(call, json={'data': [None, 2]}).json()['event_id']}").text
        assert "event: complete" in answer
        assert "motorcycle_left.png" in answer
    finally:
        page.close()
