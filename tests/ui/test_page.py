"""The page: what every tab promises, what the shared inputs answer, and what every visitor's browser is told of it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from segdemo import checkpoints
from segdemo.engine import Cancelled, LocalEngine, Progress, Question, ShouldContinue, always
from segdemo.errors import InputError
from segdemo.examples import EXAMPLES, example
from segdemo.images import load_picture
from segdemo.networks import DEFAULT, NETWORKS
from segdemo.questions import Run
from segdemo.ui import TABS, build_app, page, tabs, visits
from segdemo.ui.messages import polite
from segdemo.ui.page import SKIP, Page, numbered
from segdemo.ui.texts import TEXTS
from tests.ui.conftest import RUN, Table, made_up, visitor


def page_of(engine: Any) -> Page:
    """Lay out the shared inputs."""
    with gr.Blocks() as blocks:
        return Page(blocks, engine, gr.I18n(**TEXTS))


@pytest.fixture(scope="module")
def real(engine: LocalEngine) -> Page:
    """A page with the networks as they are."""
    return page_of(engine)


@pytest.fixture
def nobody() -> Iterator[None]:
    """Leave no run behind."""
    yield
    visits.end_all()


@pytest.fixture
def photo(tmp_path: Path, picture: Image.Image) -> str:
    """The small picture as a file."""
    picture.save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.__name__)
def test_a_tab_has_a_title_in_both_languages_and_a_builder(tab: Any) -> None:
    assert tab.TITLE in TEXTS["en"]
    assert tab.TITLE in TEXTS["zh"]
    assert callable(tab.build)


def test_the_files_of_the_tabs_are_in_the_table() -> None:
    folder = Path(str(tabs.__file__)).parent
    assert {tab.__name__.rpartition(".")[2] for tab in TABS} == {
        path.stem for path in folder.glob("*.py") if path.stem != "__init__"
    }


def test_only_the_two_endpoints_are_public(engine: LocalEngine) -> None:
    public = {fn.api_name for fn in build_app(engine).fns.values() if fn.api_visibility == "public"}
    assert public == {"segment", "layers", "autopsy", "compare"}


def test_every_network_is_described_in_both_languages() -> None:
    for name in NETWORKS:
        assert f"about.{name}" in TEXTS["en"]
        assert f"about.{name}" in TEXTS["zh"]


def every_value(node: Any) -> Iterator[Any]:
    """Yield what is nowhere divided further."""
    if isinstance(node, dict):
        for value in node.values():
            yield from every_value(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from every_value(value)
    else:
        yield node


def test_its_description_refers_to_no_live_object(engine: LocalEngine) -> None:
    # gr.HTML takes every word quoted in a component's script for an event. If the word is also the name of one of the
    # component's arguments, its listener, and with it the app, is copied for each visitor.
    described = build_app(engine).config["components"]
    assert not [value for value in every_value(described) if isinstance(value, partial)]


def test_the_address_brings_the_view_back(real: Page) -> None:
    request = visitor(network="u2netp", example="coffee", side="192", stage="En_2", channel="5")
    picture, network, size, step, about, applied, view, tidy = real.open(None, request)
    assert (Path(picture), network.value, size.value) == (example("coffee"), "u2netp", 192)
    assert [name for _, name in network.choices] == list(NETWORKS)
    assert [pixels for _, pixels in size.choices] == list(NETWORKS["u2netp"].preprocessing.sizes)
    assert step["visible"] is False if isinstance(step, dict) else not step.visible
    assert about == TEXTS["en"]["about.u2netp"]
    assert (view.stage, view.channel) == ("En_2", 5)
    assert (applied, tidy.strays) == (("u2netp", 192), ())


def test_an_address_that_names_nonsense_opens_the_first_visit_and_says_so(real: Page) -> None:
    request = visitor(network="../etc", example="<b>", side="9e9", stage="Encoder 99", channel="-1")
    with pytest.warns(UserWarning) as warned:  # on a page, these are messages
        picture, network, size, _, _, _, view, tidy = real.open(None, request)
    said = [str(warning.message) for warning in warned]
    assert [sentence.split()[0] for sentence in said] == ["There", "There", "The", "DeepLabv3", "The"]
    assert tidy.strays == ("network", "example", "side", "stage", "channel")
    assert "&lt;b&gt;" in said[1]
    assert (Path(picture), network.value, size.value) == (
        example("chelsea"),
        DEFAULT,
        NETWORKS[DEFAULT].preprocessing.size,
    )
    assert (view.stage, view.channel) == ("", None)


def test_another_network_offers_its_own_sizes_and_steps_and_forgets_the_address(real: Page) -> None:
    network, size, step, about, applied, view = real.choose("unet_narrow", (DEFAULT, 513), visitor(language="zh"))
    spec = NETWORKS["unet_narrow"]
    assert [pixels for _, pixels in size.choices] == list(spec.preprocessing.sizes)
    assert size.value == spec.preprocessing.size
    steps = len(checkpoints.shipped(spec).snapshots)
    assert (step.minimum, step.maximum, step.value, step.visible) == (0, steps, steps, True)
    assert about == TEXTS["zh"]["about.unet_narrow"]
    assert (network, applied) == ("unet_narrow", ("unet_narrow", spec.preprocessing.size))
    assert view is None


def test_a_run_names_its_question_and_says_how_long_it_took(real: Page, engine: LocalEngine) -> None:
    question, status = real.segment(str(example("chelsea")), DEFAULT, 257, 0, None, visitor())
    assert question == Run(DEFAULT, engine.keep(example("chelsea")), 257, None)
    assert {share.name: share.percent for share in engine.answer(question).classes}["cat"] > 70
    assert status.startswith(f"{NETWORKS[DEFAULT].title} at 257 px: ")


def test_a_working_size_of_another_network_is_replaced_by_the_networks_own(real: Page) -> None:
    question, _ = real.segment(str(example("coffee")), "u2netp", 513, 0, None, visitor())
    assert question.size == NETWORKS["u2netp"].preprocessing.size


@pytest.mark.parametrize(
    ("place", "step", "trained"), [(0, 0, False), (1, 29, True), (9, None, True), (10**6, None, True)]
)
def test_a_place_of_the_slider_is_a_step_of_the_training(
    real: Page, engine: LocalEngine, place: int, step: int | None, trained: bool
) -> None:
    question, status = real.segment(str(example("digit")), "unet_narrow", 128, place, None, visitor())
    assert question.step == step
    assert ("steps of training" in status) == (step is not None)
    assert engine.answer(question).trained is trained


def test_a_picture_is_read_once_however_often_it_runs(
    photo: str, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Any] = []

    def keep(source: str) -> str:
        reads.append(source)
        table.pictures[RUN.picture] = load_picture(source)
        return RUN.picture

    monkeypatch.setattr(table, "keep", keep)
    shared = page_of(table)
    for _ in range(3):
        assert shared.segment(photo, "made_up", 24, 2, None, visitor())[0] == RUN
    assert reads == [photo]
    table.pictures.clear()  # as if others had come since
    shared.segment(photo, "made_up", 24, 2, None, visitor())
    assert reads == [photo, photo]


def test_how_a_picture_was_read_stands_beside_the_result(real: Page, tmp_path: Path) -> None:
    Image.fromarray(np.linspace(-7, 7000, 64 * 64, dtype=np.float32).reshape(64, 64)).save(tmp_path / "deep.tif")
    _, status = real.segment(str(tmp_path / "deep.tif"), "unet_narrow", 128, 9, None, visitor())
    assert len(status.split("\n\n")) == 2


@pytest.mark.parametrize(
    ("language", "words"), [("en", "There is no picture yet"), ("zh", "还没有图片")], ids=["en", "zh"]
)
def test_no_picture_at_all_is_said_in_the_visitors_language(real: Page, language: str, words: str) -> None:
    with pytest.raises(gr.Error, match=words):
        polite(real.segment)(None, DEFAULT, 257, 0, None, visitor(language=language))


def test_an_error_quotes_what_somebody_typed_without_letting_it_act(real: Page, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)>.png"
    path.write_text("no picture")
    with pytest.raises(gr.Error) as error:
        polite(real.segment)(str(path), DEFAULT, 257, 0, None, visitor())
    assert "&lt;img" in error.value.message
    assert "<img" not in error.value.message
    assert real.segment(str(example("coffee")), DEFAULT, 257, 0, None, visitor())[0].size == 257


def test_clearing_the_picture_is_no_mistake(real: Page) -> None:
    assert real.segment_if_given(None, DEFAULT, 257, 0, None, visitor()) == SKIP


class Slow(Table):
    """An engine during whose work something happens."""

    def ask(self, question: Question, should_continue: ShouldContinue = always) -> Generator[Any, None, None]:
        """Yield how far the work is, let it happen, and yield the answer if it is still wanted."""
        yield Progress(1, 2)
        self.happens()
        if not should_continue():
            raise Cancelled
        yield self.answer(question)
        self.happens_at_last()

    def happens(self) -> None:
        """Let it happen before the end."""

    def happens_at_last(self) -> None:
        """Let it happen just after the end."""


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("moment", ["happens", "happens_at_last"])
@pytest.mark.parametrize("name", ["visitor", "another"])
def test_a_run_is_given_up_for_a_newer_one_of_the_same_visitor_and_for_no_other(
    table: Table, photo: str, moment: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(table.answers, table.pictures)
    newer: list[Any] = []
    monkeypatch.setattr(slow, moment, lambda: newer.append(visits.begin(name)))
    answer = page_of(slow).segment(photo, "made_up", 24, 2, None, visitor())
    assert (answer == SKIP) is (name == "visitor")
    assert newer[0]()  # and nobody ended the newer one


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("end", [partial(page.stop, None), page.forget], ids=["stop", "forget"])
def test_stop_and_leaving_end_ones_own_run_alone(table: Table, photo: str, end: Any) -> None:
    slow = Slow(table.answers, table.pictures)
    slow.happens = lambda: end(visitor("other"))  # type: ignore[method-assign]
    assert page_of(slow).segment(photo, "made_up", 24, 2, None, visitor())[0] == RUN
    slow.happens = lambda: end(visitor())  # type: ignore[method-assign]
    assert page_of(slow).segment(photo, "made_up", 24, 2, None, visitor()) == SKIP


@pytest.mark.usefixtures("nobody")
def test_a_run_that_failed_is_under_way_no_longer(table: Table, photo: str) -> None:
    shared = page_of(table)
    assert shared.segment(photo, "made_up", 24, 2, None, visitor())[0] == RUN
    with pytest.raises(InputError):
        shared.segment(None, "made_up", 24, 2, None, visitor())
    assert visits.is_to_be_shown("visitor", RUN)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("count", [1, 3])
def test_what_shows_runs_changes_nothing_for_one_that_is_not_or_no_longer_the_newest(count: int) -> None:
    other = replace(RUN, size=48)
    values: Any = "shown" if count == 1 else ("shown",) * count
    nothing: Any = gr.skip() if count == 1 else (gr.skip(),) * count
    called: list[Run] = []

    def show(run: Run, request: gr.Request) -> Any:
        called.append(run)
        if run == other:  # a newer one is complete before this is done
            visits.complete("visitor", RUN)
        return values

    guarded = page.of_newest(show, count)
    assert guarded(None, visitor()) == nothing
    visits.complete("visitor", RUN)
    assert guarded(RUN, visitor()) == values
    assert guarded(other, visitor()) == nothing
    assert called == [RUN]
    visits.complete("visitor", other)
    assert guarded(other, visitor()) == nothing
    assert called == [RUN, other]
    visits.begin("visitor")
    assert guarded(RUN, visitor()) == nothing
    assert called == [RUN, other]


def test_stop_is_said_in_the_visitors_language() -> None:
    assert page.stop(1, visitor(language="zh")) == TEXTS["zh"]["page.stopped"]


def test_the_result_on_show_says_which_step_of_the_training_it_is_from(table: Table, picture: Image.Image) -> None:
    facts = page_of(table).facts("made_up")
    assert page.done(made_up(picture), facts, None) == "Made up at 24 px: 0.12 s"
    assert page.done(made_up(picture, step=1061), facts, None).endswith("1,061 steps of training")


def test_the_examples_exist() -> None:
    assert [page.pick_example(index) for index in range(len(EXAMPLES))] == [str(example(name)) for name in EXAMPLES]
    assert all(load_picture(page.pick_example(index)).size[0] > 0 for index in range(len(EXAMPLES)))


def test_menus_come_from_the_engine(table: Table) -> None:
    built = page_of(table)
    assert built.network.choices == [("Made up", "made_up")]
    assert built.size.choices == [("24 px", 24), ("48 px", 48)]


def test_a_menu_left_as_it_was_ends_what_would_follow_without_a_word(real: Page) -> None:
    for act in (
        lambda: real.choose(DEFAULT, (DEFAULT, 257), visitor()),
        lambda: real.resize(257, (DEFAULT, 257), visitor()),
        lambda: real.resize(None, (DEFAULT, 257), visitor()),
    ):
        with pytest.raises(gr.Error) as error:
            act()
        assert not error.value.visible
    assert real.resize(513, (DEFAULT, 257), visitor()) == (DEFAULT, 513)


@pytest.mark.usefixtures("nobody")
def test_a_result_is_marked_where_picture_or_settings_are_not_its_own(real: Page, engine: LocalEngine) -> None:
    cat = str(example("chelsea"))
    shown = Run(DEFAULT, engine.keep(cat), 257)
    assert real.mark(shown, cat, DEFAULT, 257, 0, visitor()).visible is False
    for picture, network, side in ((None, DEFAULT, 257), (cat, "u2netp", 257), (cat, DEFAULT, 513)):
        marked = real.mark(shown, picture, network, side, 0, visitor())
        assert marked.visible is True
        assert "DeepLabv3 · MobileNetV2 at 257 px" in marked.value
    visits.begin("visitor")
    assert real.mark(shown, None, DEFAULT, 257, 0, visitor()) == gr.skip()


@pytest.mark.usefixtures("nobody")
def test_a_run_that_comes_after_its_stop_changes_nothing(photo: str, table: Table) -> None:
    page.stop(1, visitor())
    shared = page_of(table)
    assert shared.segment(photo, "made_up", 24, 2, 1, visitor()) == SKIP
    assert shared.segment(photo, "made_up", 24, 2, 2, visitor())[0] == RUN


def test_a_choice_that_a_newer_one_overtook_changes_nothing() -> None:
    def slow(value: str, request: gr.Request) -> str:
        assert newer(7, "new", request) == "new"  # it comes, and is answered, meanwhile
        return value

    def quick(value: str, request: gr.Request) -> str:
        return value

    newer = numbered(quick)
    with pytest.raises(gr.Error):
        numbered(slow)(6, "old", visitor("overtaken"))
    with pytest.raises(gr.Error):
        newer(6, "late", visitor("overtaken"))
    assert newer(7, "again", visitor("overtaken")) == "again"
    assert newer(1, "of another", visitor("somebody else")) == "of another"
