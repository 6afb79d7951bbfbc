"""A module that nobody has described: what is guessed, what is said to be guessed, what is left as it is."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from segdemo import InputError, LocalEngine, Preprocessing, Segmenter
from segdemo.questions import Activation, Catalogue, Layers, LayerSummary, Run
from segdemo.sources import OFFERED, network_of
from tests.sources.conftest import made


class Small(nn.Module):
    """An encoder, a decoder, a skip."""

    def __init__(self, channels: int = 3, classes: int = 4) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(channels, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.head = nn.ConvTranspose2d(16, classes, 2, stride=2)

    def forward(self, batch: Tensor) -> Tensor:
        high = self.down(batch)
        return self.head(torch.cat([high, self.up(self.deep(high))], 1))


class OnlySquares(Small):
    def forward(self, batch: Tensor) -> Tensor:
        if tuple(batch.shape[2:]) != (256, 256):
            raise ValueError("Input size doesn't match (256, 256)")
        return super().forward(batch)


def test_what_nobody_told_is_guessed_and_said_to_be() -> None:
    network = network_of(made(Small))
    rule = network.preprocessing
    assert network.guesses == ("classes", "normalisation", "size")
    assert network.names == ("class 0", "class 1", "class 2", "class 3")
    assert (rule.mean, rule.std, rule.channels) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 3)


def test_what_is_told_is_not_guessed() -> None:
    rule = Preprocessing(size=64, sizes=(64, 96), stride=4, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    network = network_of(made(Small), ["sky", "road", "car", "tree"], rule)
    assert network.guesses == () and network.names == ("sky", "road", "car", "tree") and network.preprocessing is rule


def test_a_network_for_grey_pictures_is_given_grey_pictures(noise: Image.Image) -> None:
    segmenter = Segmenter(made(Small, channels=1))
    assert segmenter.spec.preprocessing.channels == 1
    assert segmenter.run(noise, 64).mask.shape == (50, 70)


def test_a_network_that_takes_one_square_alone_is_given_that(noise: Image.Image) -> None:
    segmenter = Segmenter(made(OnlySquares))
    assert segmenter.spec.preprocessing.sizes == (256,) and "size" in segmenter.spec.guesses
    assert segmenter.run(noise).mask.shape == (50, 70)


def test_the_module_is_left_as_it_came() -> None:
    module = Small().train()
    down: Any = module.down
    deep: Any = module.deep
    hooked: list[int] = []
    down.register_forward_hook(lambda *_: hooked.append(1))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    segmenter = Segmenter(module)
    segmenter.run(Image.new("RGB", (40, 30)), 64)
    assert segmenter.network is module and module.training and down.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert len(down._forward_hooks) == 1 and not deep._forward_hooks and hooked


def test_answers_of_a_network_with_hooks_of_its_authors_own_are_remembered(noise: Image.Image) -> None:
    module: Any = made(Small)
    passes: list[int] = []
    module.register_forward_hook(lambda *_: passes.append(1))
    segmenter = Segmenter(module)
    first = segmenter.run(noise, 64)
    count = len(passes)
    assert segmenter.run(noise, 64) is first and len(passes) == count
    module.down.register_forward_hook(lambda *_: None)  # one that may change anything
    assert segmenter.run(noise, 64) is not first


def test_every_stage_is_what_its_layer_puts_out(noise: Image.Image) -> None:
    module = made(Small)
    segmenter = Segmenter(module)
    result = segmenter.run(noise, 64)
    assert set(result.layers) == {stage.label for stage in segmenter.spec.stages}
    kept: dict[str, Tensor] = {}
    for name, part in module.named_modules():
        part.register_forward_hook(lambda _, __, output, name=name: kept.__setitem__(name, output.detach().clone()))
    from segdemo.images import to_batch

    with torch.no_grad():
        module(to_batch(noise, segmenter.spec.preprocessing, 64)[0])
    for stage in segmenter.spec.stages:
        if stage.kind == "module":
            shown = segmenter.activation(noise, stage.label, size=64)
            assert np.allclose(shown, kept[stage.layer][0].numpy(), atol=1e-6)


def test_the_skip_of_a_small_u_lands_where_it_is_joined() -> None:
    stages = {stage.layer: stage for stage in network_of(made(Small)).stages}
    joined = [stage for stage in stages.values() if stage.kind == "operation" or "cat" in stage.layer]
    assert joined and all(len(stage.inputs) + len(stage.skips) == 2 for stage in joined)


def test_an_engine_answers_every_question_about_such_a_network(noise: Image.Image) -> None:
    network = network_of(made(Small))
    engine = LocalEngine({network.name: network})
    try:
        picture = engine.keep(noise)
        (facts,) = engine.answer(Catalogue())
        assert facts.guesses == network.guesses and facts.trained and facts.steps == () and facts.card == ""
        result = engine.answer(Run(network.name, picture, 64))
        assert result.trained and result.names == network.names
        layers = engine.answer(Layers(network.name, 64, noise.size))
        assert {info.name for info in layers} >= {stage.layer for stage in network.stages}
        for info in layers:
            assert engine.answer(Activation(network.name, picture, info.name, size=64)).shape == info.shape
            assert engine.answer(LayerSummary(network.name, picture, info.name, 64)).shape
    finally:
        engine.close()


def test_a_segmenter_of_a_module_survives_pickling(noise: Image.Image) -> None:
    segmenter = Segmenter(made(Small), classes=["a", "b", "c", "d"])
    again = pickle.loads(pickle.dumps(segmenter))
    assert again.spec.names == segmenter.spec.names
    assert np.array_equal(again.run(noise, 64).mask, segmenter.run(noise, 64).mask)


class Two(Small):
    def forward(self, batch: Tensor, prompt: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(batch)


class Broken(Small):
    def forward(self, batch: Tensor) -> Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


class Silent(Small):
    def forward(self, batch: Tensor) -> None:  # type: ignore[override]
        super().forward(batch)


def scripted() -> Any:
    with pytest.warns(FutureWarning):
        return torch.jit.script(nn.Sequential(nn.Conv2d(3, 2, 1)))


@pytest.mark.parametrize(
    ("module", "code"),
    [
        (Two, "network_inputs"),
        (Broken, "network_failed"),
        (Silent, "output_unusable"),
        (lambda: Small(channels=5), "network_channels"),
        (lambda: nn.Conv2d(3, 2, 1), "network_empty"),
        (nn.Sequential, "network_empty"),
        (nn.Identity, "network_empty"),
        (lambda: Small, "network_class"),
        (lambda: [Small()], "network_kind"),
        (lambda: "resnet", "unknown_network"),
        (lambda: Small().half(), "weights_changed"),
        (lambda: Small().to("meta"), "weights_changed"),
    ],
)
def test_a_network_that_cannot_be_looked_into_is_refused_in_one_sentence(module: Any, code: str) -> None:
    with pytest.raises(InputError) as caught:
        Segmenter(module())
    assert caught.value.code == code and "\n" not in str(caught.value)


def test_a_scripted_network_is_refused() -> None:
    with pytest.raises(InputError, match="TorchScript"):
        Segmenter(scripted())


def test_a_compiled_network_is_looked_into_as_it_was_before(noise: Image.Image) -> None:
    module = made(Small)
    compiled: Any = torch.compile(module)
    assert np.array_equal(Segmenter(compiled).run(noise, 64).mask, Segmenter(module).run(noise, 64).mask)


def test_a_network_without_parameters_is_one_too(noise: Image.Image) -> None:
    assert Segmenter(nn.Sequential(nn.AvgPool2d(2), nn.ReLU())).run(noise, 64).mask.shape == (50, 70)


def test_an_engine_lives_on_after_a_network_that_fails(noise: Image.Image) -> None:
    class Moody(Small):
        angry = False

        def forward(self, batch: Tensor) -> Tensor:
            if self.angry:
                raise RuntimeError("no more")
            return super().forward(batch)

    module = Moody().eval()
    network, other = network_of(module), network_of(made(Small), title="Other")
    engine = LocalEngine({network.name: network, other.name: other})
    try:
        picture = engine.keep(noise)
        module.angry = True
        for question in (Run(network.name, picture, 64), Activation(network.name, picture, "down", size=64)):
            with pytest.raises(InputError, match="no more"):
                engine.answer(question)
        assert engine.answer(Run(other.name, picture, 64)).mask.shape == (50, 70)
        module.angry = False
        assert engine.answer(Run(network.name, picture, 64)).mask.shape == (50, 70)
    finally:
        engine.close()


def test_classes_that_come_twice_are_told_apart() -> None:
    assert network_of(made(Small), ["crane", "crane", "cat", "crane"]).names == (
        "crane",
        "crane (2)",
        "cat",
        "crane (3)",
    )


def test_too_few_names_are_refused() -> None:
    with pytest.raises(InputError, match="tells 4 classes apart, and 2 were named"):
        Segmenter(made(Small), classes=["a", "b"])


def test_a_name_with_classes_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Segmenter("unet", classes=["a", "b"])
    assert caught.value.code == "network_described"


def test_no_foreign_network_takes_the_name_of_one_that_is_offered() -> None:
    assert network_of(made(Small), title="U-Net").name not in OFFERED
    assert network_of(made(Small), title="unet").name == "unet_given"


@pytest.mark.parametrize(
    "given",
    [
        {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "input_size": (3, 64, 64)},
        {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "size": {"height": 64, "width": 64}},
    ],
    ids=["timm", "processor"],
)
def test_preprocessing_is_understood_as_libraries_write_it(given: dict[str, Any]) -> None:
    rule = network_of(made(Small), preprocessing=given).preprocessing
    assert (rule.mean, rule.std, rule.size) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 64)


def test_preprocessing_that_says_nothing_of_colours_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Segmenter(made(Small), preprocessing=len)
    assert caught.value.code == "preprocessing_kind"
