"""What programs set in PyTorch, and forking, change no number and leave nobody waiting."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segdemo import NETWORKS, InputError, Segmenter, replace
from segdemo.results import Result

needs_fork = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 warns of every fork


@cache
def segmenter_of(network: str) -> Segmenter:
    """One for all tests; loading takes a while."""
    return Segmenter(network)


@contextmanager
def dtype(kind: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "float64": lambda: dtype(torch.float64),
    "bfloat16": lambda: dtype(torch.bfloat16),
    "meta": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no inference": torch.enable_grad,
    "inference": torch.inference_mode,
    "deterministic": deterministic,
}


def arrays_in(value: Any) -> Iterator[np.ndarray]:
    """Every array in an answer, however deep."""
    if isinstance(value, np.ndarray):
        yield value
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from arrays_in(getattr(value, name))
    elif hasattr(value, "values"):
        for one in value.values():
            yield from arrays_in(one)


@pytest.mark.parametrize("surrounding", SURROUNDINGS)
def test_a_segmenter_computes_the_same_whatever_surrounds_it(surrounding: str, picture: Image.Image) -> None:
    expected = segmenter_of("unet_narrow").run(picture)
    activation = segmenter_of("unet_narrow").activation(picture, "Encoder 1")
    before = torch.get_default_dtype()
    with SURROUNDINGS[surrounding]():
        for segmenter in (segmenter_of("unet_narrow"), Segmenter("unet_narrow")):
            segmenter.forget()
            result = segmenter.run(picture)
            assert result.logits.dtype == np.float32
            assert np.array_equal(result.logits, expected.logits)
            assert np.array_equal(result.mask, expected.mask)
            assert np.array_equal(result.confidence, expected.confidence)
            assert np.array_equal(segmenter.activation(picture, "Encoder 1"), activation)
            assert segmenter.layers()[0].shape == segmenter_of("unet_narrow").layers()[0].shape
            assert not any(parameter.is_inference() for parameter in segmenter.network.parameters())
    assert torch.get_default_dtype() == before
    assert np.array_equal(segmenter_of("unet_narrow").activation(picture, "Encoder 1"), activation)


def test_training_mode_and_gradients_stay_as_they_were_and_change_nothing(picture: Image.Image) -> None:
    segmenter = Segmenter("unet_narrow")
    expected = segmenter.run(picture).logits
    segmenter.network.train()
    segmenter.network.get_submodule("inc").eval()
    modes = [module.training for module in segmenter.network.modules()]
    segmenter.forget()
    assert np.array_equal(segmenter.run(picture).logits, expected)
    assert [module.training for module in segmenter.network.modules()] == modes
    assert all(parameter.requires_grad for parameter in segmenter.network.parameters())


def test_changed_weights_are_said_or_used_and_never_answered_from_memory(picture: Image.Image) -> None:
    segmenter, expected = Segmenter("unet_narrow"), segmenter_of("unet_narrow").run(picture)
    with torch.no_grad():
        segmenter.network.get_submodule("outc").get_parameter("conv.bias").add_(1)
    assert np.allclose(segmenter.run(picture).logits, expected.logits + 1, atol=1e-5)
    assert segmenter_of("unet_narrow").run(picture) is expected
    segmenter.network.half()
    with pytest.raises(InputError, match=r"inc\.double_conv\.0\.weight is float16, and float32.*network\.float\(\)"):
        segmenter.run(picture)
    with pytest.raises(InputError, match="on the meta device"):
        segmenter.network.to("meta")
        segmenter.run(picture)


def test_an_ablation_is_not_answered_from_memory_and_does_not_get_into_it(picture: Image.Image) -> None:
    segmenter = segmenter_of("unet_narrow")
    expected = segmenter.run(picture)
    with replace(segmenter.network, {"outc": torch.zeros_like}):
        assert not segmenter.run(picture).logits.any()
    assert segmenter.run(picture) is expected


def test_a_compiled_network_is_looked_into_as_it_was(picture: Image.Image) -> None:
    segmenter = Segmenter("unet_narrow")
    segmenter.network = torch.compile(segmenter.network, backend="eager")  # type: ignore[assignment]
    assert np.array_equal(segmenter.run(picture).logits, Segmenter("unet_narrow").run(picture).logits)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_specification_can_be_pickled(name: str) -> None:
    assert pickle.loads(pickle.dumps(NETWORKS[name])) == NETWORKS[name]


@pytest.mark.parametrize("travel", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_segmenter_travels_by_name_or_with_weights_somebody_changed(
    travel: Callable[[Segmenter], Segmenter], picture: Image.Image
) -> None:
    segmenter = Segmenter("unet_narrow", np.int64(29))  # type: ignore[arg-type]
    assert len(pickle.dumps(segmenter)) < 1000
    came = travel(segmenter)
    assert (came.spec.name, came.step) == ("unet_narrow", 29)
    assert np.array_equal(came.run(picture).logits, segmenter.run(picture).logits)
    with torch.no_grad():
        segmenter.network.get_submodule("outc").get_parameter("conv.bias").zero_()
    assert np.array_equal(travel(segmenter).run(picture).logits, segmenter.run(picture).logits)


def test_everything_that_is_remembered_is_read_only_also_after_a_journey(picture: Image.Image) -> None:
    segmenter = segmenter_of("unet_narrow")
    result = segmenter.run(picture)
    for one in (result, pickle.loads(pickle.dumps(result)), copy.deepcopy(result), result.at((7, 5))):
        arrays = [*arrays_in(one), one.mask]
        assert len(arrays) > 10 * len(one.layers)
        assert not any(array.flags.writeable for array in arrays)
        assert np.array_equal(one.logits, result.logits)
        with pytest.raises(TypeError):
            one.layers["x"] = None  # type: ignore[index]
        one.seen.paste("red", (0, 0, *one.seen.size))
        assert one.seen.tobytes() == result.seen.tobytes() != Image.new("RGB", one.seen.size, "red").tobytes()
    assert not any(array.flags.writeable for array in arrays_in(segmenter.summary(picture, "inc")))
    digit = segmenter_of("lenet").run(Image.new("L", (32, 32)))
    digit.answer.clear()
    assert sum(digit.answer.values()) == pytest.approx(1)


def test_an_array_handed_to_a_result_stays_writable_for_its_owner(picture: Image.Image) -> None:
    result = segmenter_of("unet_narrow").run(picture)
    logits = result.logits.copy()
    values = {name: getattr(result, name) for name in result.__dataclass_fields__}
    Result(**{**values, "logits": logits})
    assert logits.flags.writeable


made: Any = Segmenter  # takes anything, to be refused
ODD: list[tuple[Callable[[Any, Image.Image], Any], str]] = [
    (lambda s, p: s.run(p, 128.0), r"whole number of pixels, and 128\.0 came"),
    (lambda s, p: s.run(p, "128"), r"and '128' came"),
    (lambda s, p: s.run(p, (128, 128)), r"and \(128, 128\) came"),
    (lambda s, p: s.run(p, float("nan")), "and nan came"),
    (lambda s, p: s.run(p, True), "and True came"),
    (lambda s, p: s.activation(p, "inc", 1.0), r"inc has no channel 1\.0"),
    (lambda s, p: s.activation(p, "inc", "1"), "inc has no channel '1'"),
    (lambda s, p: s.activation(p, "inc", True), "inc has no channel True"),
    (lambda s, p: s.activation(p, "inc", -1), "inc has no channel -1"),
    (lambda s, p: s.activation(p, None), "no stage or layer called None"),
    (lambda s, p: s.activation(p, nn.ReLU()), "The ReLU given as a layer is no part of this network"),
    (lambda s, p: made(None), "None came where a network is needed"),
    (lambda s, p: made(["unet"]), "a list came where a network is needed"),
    (lambda s, p: made("UNet"), "Try unet"),
    (lambda s, p: made("unet_narrow", 29.0), r"no snapshot of unet_narrow at step 29\.0; there are"),
    (lambda s, p: made("unet_narrow", "29"), "at step 29; there are"),
    (lambda s, p: made("unet_narrow", True), "at step True"),
]


@pytest.mark.parametrize(("call", "words"), ODD)
def test_odd_arguments_get_a_sentence(
    call: Callable[[Any, Image.Image], Any], words: str, picture: Image.Image
) -> None:
    with pytest.raises(InputError, match=words):
        call(segmenter_of("unet_narrow"), picture)


def test_what_numpy_counts_with_and_modules_and_specifications_are_accepted(picture: Image.Image) -> None:
    segmenter = Segmenter(NETWORKS["unet_narrow"])
    assert segmenter.run(picture, np.int64(128)).input_size == 128  # type: ignore[arg-type]
    by_name = segmenter.activation(picture, "inc", 3)
    module = segmenter.network.get_submodule("inc")
    assert np.array_equal(segmenter.activation(picture, module, np.uint8(3)), by_name)  # type: ignore[arg-type]


def in_child(work: Callable[[], Any]) -> Any:
    """Do something in a forked child and return what it returned, or the text of its refusal."""

    def told() -> None:
        try:
            sender.send(work())
        except InputError as error:
            sender.send(str(error))

    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=told)
    child.start()
    try:
        assert receiver.poll(60), "the child does not answer"
        return receiver.recv()
    finally:
        child.kill()
        child.join()


@needs_fork
def test_a_forked_child_answers_as_its_parent_does(picture: Image.Image) -> None:
    segmenter = segmenter_of("unet_narrow")
    big = picture.resize((600, 400))
    expected = segmenter.run(big).mask
    segmenter.forget()
    found = in_child(lambda: (segmenter.run(big).mask, Segmenter("unet").run(picture).confidence.shape))
    assert (found[0] == expected).mean() > 0.999
    assert found[1] == (32, 48)


@needs_fork
def test_a_child_forked_in_the_middle_of_a_run_says_so(picture: Image.Image) -> None:
    segmenter = segmenter_of("unet_narrow")
    segmenter.forget()
    running, go_on = threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        running.set()
        go_on.wait(60)

    handle = segmenter.network.get_submodule("down1").register_forward_pre_hook(hold)
    thread = threading.Thread(target=segmenter.run, args=(picture,))
    thread.start()
    try:
        assert running.wait(60)

        def left_behind() -> tuple[int, str]:
            hooks = sum(len(module._forward_hooks) for module in segmenter.network.modules())
            try:
                segmenter.run(picture.rotate(90))
            except InputError as error:
                return hooks, str(error)
            return hooks, ""

        hooks, text = in_child(left_behind)
    finally:
        go_on.set()
        thread.join(60)
        handle.remove()
    assert hooks == 0
    assert "forked while a network was running in its parent" in text
