"""Our AlexNet against torchvision's, and what it says of the part that has no weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file

from segdemo import InputError, Segmenter, checkpoints
from segdemo.engine import LocalEngine
from segdemo.networks.alexnet import NETWORK, AlexNet
from segdemo.questions import facts_of, is_trained


def test_it_has_the_names_shapes_and_61_100_840_parameters_of_torchvision() -> None:
    with torch.device("meta"):
        ours, theirs = AlexNet(), torchvision.models.alexnet()
    shapes = [{name: tensor.shape for name, tensor in one.state_dict().items()} for one in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert sum(parameter.numel() for parameter in ours.parameters()) == 61_100_840


def test_a_state_dict_of_torchvision_loads_strictly_and_answers_bit_for_bit() -> None:
    theirs, ours = torchvision.models.alexnet(num_classes=5).eval(), AlexNet(5).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    batch = torch.rand(1, 3, 128, 160)
    with torch.inference_mode():
        assert torch.equal(ours(batch), theirs(batch))


def test_convolutions_are_embedded_and_full_layers_stay_random() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = AlexNet().eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert not checkpoints.load(network, NETWORK)  # not all of it
    same = {name for name, tensor in network.state_dict().items() if torch.equal(tensor, before[name])}
    assert same == {f"classifier.{number}.{part}" for number in (1, 4, 6) for part in ("weight", "bias")}
    kernels = network.state_dict()["features.0.weight"]
    assert kernels.std().item() == pytest.approx(0.117, abs=1e-3)  # a random start has 0.0742 = sqrt(2 / 363)
    assert checkpoints.path_of(NETWORK).stat().st_size < 10_000_000


def test_its_answer_is_untrained_and_its_convolutions_are_not(picture: Image.Image) -> None:
    segmenter = Segmenter("alexnet")
    result = segmenter.run(picture, 128)
    assert not segmenter.trained and not result.trained
    engine = LocalEngine()
    facts = facts_of(engine, "alexnet")
    assert not facts.trained and facts.random == ("classifier.",)
    layers = ("features.1", "features.12", "classifier", "classifier.2")
    assert [is_trained(engine, facts, layer, None) for layer in layers] == [True, True, False, False]
    engine.close()


def test_a_file_that_lacks_a_convolution_is_refused_though_full_layers_may_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = load_file(checkpoints.path_of(NETWORK))
    del state["features.3.bias"]
    save_file(state, tmp_path / "alexnet.safetensors")
    monkeypatch.setenv("SEGDEMO_CHECKPOINTS", str(tmp_path))
    checkpoints.ship(NETWORK)
    with pytest.raises(InputError, match=r"1 tensors are missing, 0 are not expected .* example features\.3\.bias"):
        checkpoints.load(AlexNet(), NETWORK)
