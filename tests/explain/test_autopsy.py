"""A pixel taken apart: numbers by hand, and the same answer as the run's own maps."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.explain.autopsy import Autopsy, PixelAutopsy, Push, bulk_of, recorded
from segdemo.explain.python import as_python
from segdemo.opened import Opened
from segdemo.questions import Run
from segdemo.results import Result
from tests.explain.conftest import SIZE, SKIPPING


@pytest.fixture(scope="module")
def red(engine: LocalEngine) -> str:
    """A picture, 255 red and 51 green everywhere: 1.0 and 0.2."""
    return engine.keep(Image.new("RGB", (SIZE, SIZE), (255, 51, 0)))


class Unhurried:
    """A bench whose asker always waits."""

    def check(self) -> None:
        """Go on."""


def pushes(found: tuple[Push, ...]) -> list[tuple[int, float]]:
    """Channel and push of each, rounded."""
    return [(one.channel, round(one.push, 6)) for one in found]


def test_a_linear_network_gives_the_numbers_worked_out_by_hand(engine: LocalEngine, red: str) -> None:
    found: Autopsy = engine.answer(PixelAutopsy("linear", red, (3, 5)))
    assert [one.index for one in found.candidates] == [0, 1]
    assert [one.logit for one in found.candidates] == pytest.approx([3 * 1 + 0.2, 1 + 2 * 0.2])
    assert found.margin == pytest.approx(1.8)
    first, second = found.stages
    # the margin is 2 red - 1 green: channel 0 pushes by 2 × 1, channel 1 by -1 × 0.2
    assert pushes(first.channels) == [(0, 2.0)]
    assert pushes(first.against) == [(1, -0.2)]
    assert first.channels[0].map[5, 3] == pytest.approx(2.0) and np.count_nonzero(first.channels[0].map) == 1
    assert first.total == pytest.approx(found.margin) == pytest.approx(second.total)
    assert first.box == (3, 5, 4, 6) and first.largest == (1, 1) and not first.reaches_border
    assert found.effective_box == (3, 5, 4, 6)
    assert found.effective[5, 3] == pytest.approx(3.0)  # |2| + |-1|


def test_a_layer_that_is_overwritten_in_place_counts_with_what_it_put_out(engine: LocalEngine, red: str) -> None:
    found: Autopsy = engine.answer(PixelAutopsy("skipping", red, (0, 0)))
    stages = {stage.label: stage for stage in found.stages}
    # logits: 2 × 1 + 1 = 3, and max(0, -0.4) - 0.2 = -0.2; double put out 2 and -0.4, which ReLU cuts to 0
    assert found.margin == pytest.approx(3.2)
    assert pushes(stages["Double"].channels) == [(0, 2.0)]
    assert stages["Double"].against == ()  # no gradient comes through what was cut off
    assert stages["Entrance"].total == pytest.approx(3.0 + 0.2)


def test_what_is_recorded_is_no_view_of_what_a_later_layer_overwrites() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.LeakyReLU(0.5, inplace=True))
    nn.init.constant_(network.get_parameter("0.weight"), -4.0)
    with recorded(network, ["0"], Unhurried()) as record:
        network(torch.ones(1, 1, 1, 1)).sum().backward()
    assert record.values["0"].item() == -4 and record.gradients["0"].item() == 0.5


@pytest.mark.parametrize("name", ["unet_mobilenet_v2", "fcn_alexnet", "lenet", "unet_narrow"])
def test_the_classes_are_those_of_the_run(engine: LocalEngine, name: str) -> None:
    picture = engine.keep(example("digit" if name == "lenet" else "chelsea"))
    result: Result = engine.answer(Run(name, picture))
    for point in ((0, 0), (result.size[0] - 1, result.size[1] - 1), (result.size[0] // 2, result.size[1] // 3)):
        found: Autopsy = engine.answer(PixelAutopsy(name, picture, point))
        odds = {one.index: one.probability for one in found.candidates}
        np.testing.assert_allclose([odds[index] for index in sorted(odds)], result.probabilities_at(point), atol=1e-5)
        assert found.winner.index == result.class_at(point)
        assert found.whole == (name == "lenet")
        assert found.stages[-1].total == pytest.approx(found.margin, rel=1e-3)


def test_without_biases_behind_a_stage_the_pushes_add_up_to_the_margin(engine: LocalEngine) -> None:
    picture = engine.keep(example("chelsea"))
    found: Autopsy = engine.answer(PixelAutopsy("unet_mobilenet_v2", picture, (200, 150)))
    decoder = next(stage for stage in found.stages if stage.label == "Decoder 1")
    bias = engine.open("unet_mobilenet_v2").module.get_parameter("outc.bias").detach()
    between = float(bias[found.winner.index] - bias[found.runner_up.index])
    assert decoder.total + between == pytest.approx(found.margin, rel=1e-3)


def test_an_autopsy_leaves_the_network_as_it_was(engine: LocalEngine, red: str) -> None:
    opened = engine.open("skipping")
    engine.answer(PixelAutopsy("skipping", red, (1, 1)))
    assert not opened.changed
    assert not any(module._forward_hooks for module in opened.module.modules())
    assert all(parameter.grad is None for parameter in opened.module.parameters())


def test_a_point_outside_is_refused(engine: LocalEngine, red: str) -> None:
    for point in ((SIZE, 0), (0, SIZE), (-1, 0)):
        with pytest.raises(InputError, match="There is no pixel") as refused:
            engine.answer(PixelAutopsy("linear", red, point))
        assert refused.value.code == "point_outside"


class Deaf(nn.Module):
    """Hands back no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.entrance, self.doubled, self.join = nn.Conv2d(3, 2, 1), nn.Identity(), nn.Identity()

    def forward(self, batch: Tensor) -> Tensor:
        return self.join(self.doubled(self.entrance(batch).detach()))


def test_a_network_without_gradient_is_refused_in_a_sentence() -> None:
    with closing(LocalEngine({"skipping": SKIPPING})) as own:
        own.adopt(Opened(SKIPPING, None, Deaf().eval(), True))
        picture = own.keep(Image.new("RGB", (SIZE, SIZE)))
        with pytest.raises(InputError, match="hands back no gradient") as refused:
            own.answer(PixelAutopsy("skipping", picture, (0, 0)))
    assert refused.value.code == "no_gradient"


def test_the_bulk_of_weights_leaves_the_tails_out() -> None:
    weights = np.zeros((10, 100))
    weights[4] = 1.0
    assert bulk_of(weights) == (2, 4, 98, 5)  # 2.5 of 100 lie in columns 0 to 2
    assert bulk_of(np.zeros((3, 3))) == (0, 0, 0, 0)


def test_a_question_is_written_as_the_python_that_asks_it() -> None:
    code = as_python(PixelAutopsy("linear", "0123", (3, 5), size=32))
    assert "from segdemo.explain.autopsy import PixelAutopsy" in code
    assert "PixelAutopsy(network='linear', picture=picture, point=(3, 5), size=32)" in code
    compile(code, "copied", "exec")
