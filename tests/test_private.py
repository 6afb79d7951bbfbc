"""Networks that visitors brought: each its owner's alone, few, gone with their owner, and with them what they said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from segdemo import LocalEngine, own_weights
from segdemo.checkpoints import Report
from segdemo.errors import InputError
from segdemo.networks.unet import UNet
from segdemo.opened import Opened
from segdemo.private import Brought, PrivateNetworks, private_names
from segdemo.questions import Catalogue, RandomLayers, Run, facts_of

NOTHING = Report((), (), (), ())
OPENED = Opened(object(), None, torch.nn.Linear(25, 10, bias=False), True)  # type: ignore[arg-type]  # 1000 bytes


def of(owner: str) -> Brought:
    return Brought(owner, OPENED, NOTHING, "a.pth")


def code_of(networks: PrivateNetworks, name: str, asker: str) -> str:
    """What somebody hears who asks for a network; "" where they may."""
    try:
        networks.check(name, asker)
    except InputError as error:
        return error.code
    return ""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        torch.save(UNet(3, 3, bilinear=True, width=5).state_dict(), tmp_path / "a.pth")
    return tmp_path / "a.pth"


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine({}, private=PrivateNetworks(most=2, nbytes=10_000_000))
    yield engine
    engine.close()


def test_names_tell_nothing_and_cannot_be_guessed() -> None:
    networks = PrivateNetworks()
    first, second = networks.add(of("ann"))[0], networks.add(of("ann"))[0]
    assert first != second
    assert len(first) == len(second) == len("own-") + 32
    assert networks.of("ann") == (first, second) and networks.of("ben") == ()


def test_its_owner_alone_may_ask_and_others_do_not_learn_whether_there_is_one() -> None:
    networks = PrivateNetworks()
    name, _ = networks.add(of("ann"))
    assert [code_of(networks, name, asker) for asker in ("ann", "ben", "")] == [
        "",
        "weights_private",
        "weights_private",
    ]
    assert code_of(networks, "own-" + "0" * 32, "ann") == "weights_private"


def test_the_one_used_longest_ago_leaves_and_its_owner_hears_why() -> None:
    networks = PrivateNetworks(most=2)
    first, second = networks.add(of("ann"))[0], networks.add(of("ben"))[0]
    networks.get(first)
    _, left = networks.add(of("cleo"))
    assert left == [second]
    assert code_of(networks, first, "ann") == ""
    assert code_of(networks, second, "ben") == "weights_left"
    assert code_of(networks, second, "cleo") == "weights_private"


def test_bytes_of_all_owners_together_are_bounded() -> None:
    networks = PrivateNetworks(most=100, nbytes=3500)
    names = [networks.add(of(f"owner {number}"))[0] for number in range(7)]
    assert [networks.has(name) for name in names] == [False] * 4 + [True] * 3


def test_one_owner_drives_out_nobody_but_themselves() -> None:
    networks = PrivateNetworks(most=4, of_owner=2)
    other = networks.add(of("ben"))[0]
    mine = [networks.add(of("ann"))[0] for _ in range(9)]
    assert networks.has(other)
    assert networks.of("ann") == tuple(mine[-2:])


def test_names_are_found_wherever_they_stand_in_a_question() -> None:
    @dataclass(frozen=True)
    class Both:
        runs: tuple[Run, ...]
        more: dict[str, list[str]]

    asked = Both((Run("unet", "own picture"), Run("own-1", "p")), {"a": ["own-2", "no"]})
    assert [*private_names(asked)] == ["own-1", "own-2"]


def test_a_network_answers_as_long_as_its_owner_stays_and_then_nothing_is_remembered(
    engine: LocalEngine, checkpoint: Path, picture: Image.Image
) -> None:
    name = engine.keep_network(checkpoint, "ann", "mine.pth")
    facts = facts_of(engine, name)
    assert (facts.title, facts.trained, len(facts.classes)) == ("U-Net, bilinear, 5 channels (mine.pth)", True, 3)
    assert name not in {one.name for one in engine.answer(Catalogue())}
    question = Run(name, engine.keep(picture), 128)
    result = engine.answer(question)
    assert result is engine.answer(question)
    expected = own_weights.load(checkpoint).module
    with torch.no_grad():
        logits = expected(torch.zeros(1, 3, 96, 128))
    assert result.trained and result.logits.shape == (3, 85, 128) and logits.shape == (1, 3, 96, 128)
    engine.forget_networks("ann")
    with pytest.raises(InputError) as refusal:
        engine.answer(question)
    assert refusal.value.code == "weights_private"
    assert name not in str([*engine._answers._entries])


def test_a_network_that_had_to_leave_takes_its_answers_along(
    engine: LocalEngine, checkpoint: Path, picture: Image.Image
) -> None:
    first = engine.keep_network(checkpoint, "ann")
    engine.answer(Run(first, engine.keep(picture), 128))
    for owner in ("ben", "cleo"):
        engine.keep_network(checkpoint, owner)
    assert first not in str([*engine._answers._entries])


def test_a_network_larger_than_all_that_is_kept_is_refused_before_it_is_built(tmp_path: Path, checkpoint: Path) -> None:
    engine = LocalEngine({}, private=PrivateNetworks(nbytes=100_000))
    with pytest.raises(InputError, match=r"a\.pth describes takes \d+ MB") as refusal:
        engine.keep_network(checkpoint, "ann")
    assert refusal.value.code == "network_too_large"
    engine.close()


def test_sentences_name_the_file_as_its_owner_does(engine: LocalEngine, tmp_path: Path) -> None:
    (tmp_path / "secret place.pth").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"The file my \{model\}\.pth cannot be read as weights: it is empty"
    ) as refusal:
        engine.keep_network(tmp_path / "secret place.pth", "ann", "my {model}.pth")
    assert refusal.value.values["path"] == "my {model}.pth" and "secret" not in str(refusal.value)


def test_counts_of_batches_that_are_missing_leave_nothing_random(engine: LocalEngine, checkpoint: Path) -> None:
    state = {name: one for name, one in torch.load(checkpoint).items() if not name.endswith("num_batches_tracked")}
    torch.save(state, checkpoint)
    name = engine.keep_network(checkpoint, "ann")
    assert facts_of(engine, name).trained
    assert not engine.answer(RandomLayers(name)).all
