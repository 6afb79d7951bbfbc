"""What all tabs share: the inputs, the question on show, the course of a visit. Tabs subscribe to what happens.

What the page shows is the answer to a :class:`Run`. The page keeps the question alone: whoever shows something of the
answer asks the engine, which remembers it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import gradio as gr
from gradio.context import LocalContext

from segdemo.engine import Cancelled, Engine, Progress
from segdemo.errors import InputError
from segdemo.examples import EXAMPLES, FIRST, example
from segdemo.questions import Catalogue, Run, facts_of
from segdemo.results import NetworkFacts, Result
from segdemo.ui import address, checks, visits
from segdemo.ui.checks import SHOWN
from segdemo.ui.files import uploaded
from segdemo.ui.javascript import calling
from segdemo.ui.messages import note_text, polite, text, warn
from segdemo.ui.panels.bar import Bar
from segdemo.ui.panels.choosing import ChoosingPanel
from segdemo.ui.panels.header import Header, Tidy
from segdemo.ui.panels.menu import Menu, PlainSlider
from segdemo.ui.panels.picture import Fingerprints, Picture, original_of, shown_as, thumbnail
from segdemo.ui.panels.present import Present
from segdemo.ui.queue import RUNS
from segdemo.ui.texts import TEXTS

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "multiple"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
PROGRESS = gr.Progress()  # as a default it makes Gradio hand in one for each run
SHOW_CHOICE = "(picture, network, size) => ({picture: picture?.url ?? null, network, size})"
SKIP = (gr.skip(), gr.skip())
# What the visitor does is numbered where it is done: a run may come here after what has stopped it.
NUMBERS = "static/runs.js"
BEGIN = calling(NUMBERS, "(runs, number, ...values) => [runs.begin(), ...values]")
BEGUN = calling(NUMBERS, "(runs, ...values) => [...values.slice(0, -1), runs.begin()]")
GOING_ON = calling(NUMBERS, "(runs, ...values) => [...values.slice(0, -1), runs.newest()]")
KEPT_PHOTO = calling("static/address.js", "(address) => [address.photo()?.path ?? '']")

LONGEST_ADDRESS = 8000  # characters

Kind = Literal["network", "result", "stage", "layer", "pixel", "channel"]
Handler = Callable[..., Any]


class Page:
    """The page under construction: its shared inputs, named for what they hold, and who listens to what.

    Args:
        blocks: the Gradio page.
        engine: whom everything is asked.
        i18n: the page's texts.
        pictures: names of the pictures that are offered; the first of a person's own, or ``FIRST``, is shown first.
    """

    def __init__(self, blocks: gr.Blocks, engine: Engine, i18n: gr.I18n, pictures: Sequence[str] = EXAMPLES) -> None:
        self.blocks, self.engine, self.i18n = blocks, engine, i18n
        self.pictures, self.first = tuple(pictures), FIRST if FIRST in pictures else pictures[0]
        self.question = gr.State(None, time_to_live=3600)  # the Run on show, None before the first
        self.view = gr.State(None, time_to_live=3600)  # the address.View that the page was opened with, or walked to
        self.applied = gr.State(
            None, time_to_live=3600
        )  # network and size that the menus had when they were last heeded
        self.chosen: dict[str, Callable[..., Any]] = {}  # what is to follow a choice, by what was chosen
        self.switch: gr.Tabs  # from tab to tab
        self.shows_progress: list[Any] = []  # components that a run is going to fill
        self._fingerprints = Fingerprints(engine)
        self._listeners: dict[Kind, list[tuple[Handler, Any, Sequence[Any]]]] = {}
        self._sources: dict[Kind, list[Callable[..., Any]]] = {}
        self._build()

    def on(self, kind: Kind, handler: Handler, outputs: Any, inputs: Sequence[Any] = ()) -> None:
        """Call a handler whenever something happens.

        Args:
            kind: ``"network"``: another was chosen, and not yet run; ``"result"``: a run is complete, and no newer one
                under way; ``"stage"``, ``"layer"``, ``"pixel"``, ``"channel"``: one was picked.
            handler: takes, of ``"network"``, the network's name, its input size and the step of its training; of all
                others, the :class:`Run` on show or None; then the values of ``inputs``, and ``request``. A pick comes
                with ``event``, whose ``value`` is the stage's label, [x, y] in the picture's pixels, or the channel.
                Gives the values of ``outputs``.
            outputs: components.
            inputs: components.
        """
        if kind == "result":
            handler = of_newest(handler, len(outputs) if isinstance(outputs, list | tuple) else 1)
        self._listeners.setdefault(kind, []).append((polite(handler), outputs, inputs))

    def picks(self, kind: Kind, event: Callable[..., Any]) -> None:
        """Name an event of a panel by which something is picked; a network that is picked is opened."""
        self._sources.setdefault(kind, []).append(event)

    def facts(self, network: str) -> NetworkFacts:
        """Return what is known of a network.

        Raises:
            InputError: there is no such network.
        """
        return facts_of(self.engine, network)

    def connect(self, header: Header) -> None:
        """Connect the inputs, and all who listen, once every tab is built.

        Args:
            header: tells of steps back and forward, and of pictures dropped or pasted anywhere.
        """
        view = [self.picture, self.network, self.size, self.step, self.about, self.applied, self.view]
        settings = [self.network, self.size, self.step, self.about, self.applied, self.view]
        opened = self.blocks.load(polite(self.open), self.photo, [*view, header], js=KEPT_PHOTO, **QUIET)
        walked = self._choice(header.select, self.walk, [], [*view, header])
        chosen = self._choice(self.network.input, self.choose, [self.network, self.applied], settings)
        sized = self._choice(self.size.input, self.resize, [self.size, self.applied], self.applied)
        example_picked = self._choice(self.examples.click, self.pick_example, [self.examples], self.picture)
        given = self._choice(header.give, self.give, [], self.picture)
        received = self._choice(self.picture.input, self.receive, [self.picture], self.picture)
        self.chosen |= {"network": chosen.success, "size": sized.success, "example": example_picked.success}
        self.chosen |= {"picture": received.success, "given": given.success}
        opening = [opened, walked, chosen]
        for asked in self._sources.pop("network", []):
            opening.append(self._choice(asked, self.open_network, [], settings))
        for event in opening:
            self._tell("network", event.success, [self.network, self.size, self.step])
        for event in (*opening, sized, example_picked, given):
            self._run_after(event.success, self.segment)
        for start in (self.run.click, self.step.input):
            self._run_after(start, self.segment, BEGUN)
        self._run_after(received.success, self.segment_if_given)
        received.failure(polite(self.mark), self._marked_by, self.former, **AT_ONCE)
        stopped = self.stop.click(stop, self.number, self.status, js=GOING_ON, **AT_ONCE)
        stopped.then(polite(self.mark), self._marked_by, self.former, **AT_ONCE)
        self.step.change(polite(self.say_step), [self.network, self.step], self.reached, **AT_ONCE)
        for kind, events in self._sources.items():
            for picked in events:
                self._tell(kind, picked, [self.question])
        self.blocks.unload(forget)
        shown: list[Any] = [self.picture, self.network, self.size]
        for changed in shown:
            changed.change(None, shown, self.bar, js=SHOW_CHOICE, api_visibility="private")
        address.write_from(self)

    @property
    def _marked_by(self) -> list[Any]:
        return [self.question, self.picture, self.network, self.size, self.step]

    def _choice(self, event: Callable[..., Any], handler: Handler, given: Sequence[Any], outputs: Any) -> Any:
        """Answer what the visitor chooses, unless something newer was chosen meanwhile."""
        return event(polite(numbered(handler)), [self.number, *given], outputs, js=BEGIN, **QUIET)

    def _tell(self, kind: Kind, event: Callable[..., Any], first: Sequence[Any]) -> None:
        for handler, outputs, inputs in self._listeners.get(kind, []):
            event(handler, [*first, *inputs], outputs, **AT_ONCE)

    def _run_after(self, start: Callable[..., Any], handler: Handler, number: str = GOING_ON) -> None:
        """Run the network on the picture after an event; ``number`` numbers it, as what the visitor did last."""
        segmented = start(
            polite(handler),
            [self.picture, self.network, self.size, self.step, self.number],
            [self.question, self.status],
            js=number,
            show_progress_on=self.shows_progress,
            trigger_mode="multiple",
            api_visibility="private",
            **RUNS,
        )
        over = calling("static/picks.js", "(picks) => picks.tell('over')")
        # Also after a run that was given up, or failed: the one before it may not be shown yet. Gradio's ``then``
        # follows no failure.
        for end in (segmented.success, segmented.failure):
            self._tell("result", end, [self.question])
            end(polite(self.mark), self._marked_by, self.former, **AT_ONCE)
            end(None, None, None, js=over, api_visibility="private")

    # ---- what the page answers

    def open(self, photo: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Restore the view that the page's address names, and say what it names wrongly.

        Args:
            photo: path of a picture of the visitor's own that the page had before it was loaded anew, or "".
            request: has the address.
        """
        return self._opened(dict(request.query_params), photo, request)

    def walk(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """Restore the view to which the visitor went back or forward."""
        words = urlsplit(checks.text("address", checks.field(event, "value"), longest=LONGEST_ADDRESS)).query
        return self._opened(dict(parse_qsl(words)), checks.field(event, "photo"), request)

    def _opened(self, query: dict[str, str], photo: Any, request: gr.Request) -> tuple[Any, ...]:
        view = address.read(self.engine, query, self.first)
        for trouble in view.troubles:
            warn(trouble, request)
        return (
            self._own(photo, request) if photo and "example" not in query else str(example(view.example)),
            self._menu(view.facts),
            gr.Dropdown(choices=size_choices(view.facts), value=view.size),
            gr.Slider(**step_range(view.facts, view.step)),
            describe(view.facts, request),
            (view.facts.name, view.size),
            view,
            Tidy(view.strays),
        )

    def _own(self, photo: Any, request: gr.Request) -> str:
        """Return what is shown of a picture of the visitor's own, or the first example where it is kept no longer."""
        try:
            return self._shown(uploaded(photo))
        except InputError as error:
            warn(error, request)
            return str(example(self.first))

    def _shown(self, path: str) -> str:
        fingerprint = self._fingerprints.of(original_of(path))
        return shown_as(original_of(path), lambda: self.engine.picture(fingerprint).picture)

    def pick_example(self, index: int) -> str:
        """Return the file of a picture by its place in the row of those offered."""
        return pick_example(index, self.pictures)

    def receive(self, picture: str | None, request: gr.Request) -> Any:
        """Read a picture that was given, and show it as a browser can.

        Raises:
            InputError: it cannot be used.
        """
        shown = None if picture is None else self._shown(picture)
        return gr.skip() if shown == picture else shown

    def give(self, event: gr.EventData, request: gr.Request) -> str:
        """Take a picture that was dropped or pasted somewhere on the page, and say what is not taken.

        Raises:
            InputError: it is none.
        """
        name = checks.or_none(checks.text)("name", checks.field(event, "name")) or ""
        path = checks.field(event, "value")
        if path is None and checks.field(event, "failed") is True:
            raise InputError(
                "upload_failed",
                "“{name}” did not reach the server: it is too large, or the connection broke. Try again, or give a "
                "smaller picture.",
                name=name[:SHOWN],
            )
        if path is None:
            raise InputError(
                "only_pictures",
                "“{name}” is no picture. Drop or paste a picture: PNG, JPEG, WebP, TIFF or another kind.",
                name=name[:SHOWN],
            )
        if checks.whole("count", checks.field(event, "count")) > 1:
            warn(
                InputError(
                    "one_picture",
                    "Several files came at once; “{name}” is taken. Give one picture at a time.",
                    name=name[:SHOWN],
                ),
                request,
            )
        return self._shown(uploaded(path))

    def choose(self, network: str, applied: tuple[str, int] | None, request: gr.Request) -> tuple[Any, ...]:
        """Offer the input sizes and training steps of a network that was chosen."""
        if applied is not None and applied[0] == network:
            raise unchanged()
        return self._settings(network, request)

    def open_network(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """Choose the network that somewhere else on the page is asked for."""
        return self._settings(checks.network("network", checks.field(event, "value")), request)

    def _menu(self, facts: NetworkFacts) -> gr.Dropdown:
        """Offer the networks that there are, and one that stands open beside them."""
        offered = {one.name: one.title for one in self.engine.answer(Catalogue())}
        offered.setdefault(facts.name, facts.title)
        return gr.Dropdown(choices=[(title, name) for name, title in offered.items()], value=facts.name)

    def _settings(self, network: str, request: gr.Request) -> tuple[Any, ...]:
        facts = self.facts(network)
        menu = gr.Dropdown(choices=size_choices(facts), value=facts.size)
        about = describe(facts, request)
        listed = any(one.name == network for one in self.engine.answer(Catalogue()))
        return (
            network if listed else self._menu(facts),
            menu,
            gr.Slider(**step_range(facts)),
            about,
            (network, facts.size),
            None,
        )

    def resize(self, side: int | None, applied: tuple[str, int] | None, request: gr.Request) -> Any:
        """Heed another input size."""
        if side is None or (applied is not None and applied[1] == side):
            raise unchanged()
        return (None if applied is None else applied[0], side)

    def say_step(self, network: str, place: int, request: gr.Request) -> str:
        """Say at which step of the training the slider stands."""
        facts = self.facts(network)
        if not facts.steps:
            return ""
        step = facts.step_at(place)
        return text(request, "page.step_end") if step is None else text(request, "page.step_now", step=f"{step:,}")

    def mark(
        self,
        question: Run | None,
        picture: str | None,
        network: str,
        side: int | None,
        place: int,
        request: gr.Request,
    ) -> Any:
        """Say that what is shown belongs to another picture, or other settings, than the page has now, if it does."""
        if question is None or visits.is_under_way(request.session_hash or ""):
            return gr.skip()
        if question == self._question_of(picture, network, side, place):
            return gr.Markdown("", visible=False)
        facts = self.facts(question.network)
        words = text(request, "page.former", network=facts.title, side=question.size or facts.size)
        return gr.Markdown(words, visible=True)

    def _question_of(self, picture: str | None, network: str, side: int | None, place: int) -> Run | None:
        """Return what a run would ask now; None where it could not."""
        try:
            facts = self.facts(network)
            fingerprint = "" if picture is None else self._fingerprints.of(picture)
            return Run(network, fingerprint, facts.suitable_size(side), facts.step_at(place))
        except (InputError, OSError):
            return None

    def segment(
        self,
        picture: str | None,
        network: str,
        side: int | None,
        place: int,
        number: int | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[Any, ...]:
        """Run the network on the picture, as the newest run of this visitor."""
        session = request.session_hash or ""
        wanted = visits.begin(session, number)
        try:
            question, result, facts = self._run(picture, network, side, place, wanted, request, progress)
            if not wanted():
                return SKIP
            visits.complete(session, question)
        except Cancelled:
            return SKIP
        finally:
            visits.end(session, wanted)
        remarks = (*self.engine.picture(question.picture).notes, *result.notes)
        notes = [note_text(note, request) for note in remarks]
        return question, "\n\n".join([done(result, facts, request), *notes])

    def _run(
        self,
        picture: str | None,
        network: str,
        side: int | None,
        place: int,
        wanted: Callable[[], bool],
        request: gr.Request,
        progress: gr.Progress,
    ) -> tuple[Run, Result, NetworkFacts]:
        """Ask for a run as long as it is wanted, and tell how far it is."""
        if picture is None:
            raise InputError(
                "no_picture_yet",
                "There is no picture yet. Upload or paste one, use the camera, or pick an example, then press Run.",
            )
        progress(0, desc=text(request, "page.reading"))
        facts = self.facts(network)
        size = facts.suitable_size(side)  # the menu may still be the one of another network
        question = Run(network, self._fingerprints.of(picture), size, facts.step_at(place))
        words = text(request, "page.running", network=facts.title)
        for event in self.engine.ask(question, wanted):
            if isinstance(event, Progress):
                progress(event.done / max(event.total, 1), desc=words)
        return question, event, facts

    def segment_if_given(
        self,
        picture: str | None,
        network: str,
        side: int | None,
        place: int,
        number: int | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[Any, ...]:
        """Run as :meth:`segment` does, but take a cleared picture for no mistake."""
        return SKIP if picture is None else self.segment(picture, network, side, place, number, request, progress)

    def _build(self) -> None:
        """Lay out the bar with what is always in sight, then the inputs that it opens."""
        i18n, networks = self.i18n, self.engine.answer(Catalogue())
        with gr.Row(elem_id="bar"):
            self.bar = Bar({facts.name: facts.title for facts in networks}, EXAMPLES, elem_id="chosen")
            self.run = gr.Button(i18n("page.run"), variant="primary", elem_id="run", min_width=64)
            self.stop = gr.Button(i18n("page.stop"), elem_id="stop", min_width=64)
            Present(elem_id="present")
            self.status = gr.Markdown(i18n("page.opening"), elem_id="status")
        with gr.Row(elem_id="inputs"):
            with gr.Column(min_width=240):
                self._build_pictures()
            with gr.Column(min_width=240):
                self._build_networks(networks)

    def _build_pictures(self) -> None:
        """Lay out what chooses a picture."""
        self.picture = Picture(
            label=self.i18n("page.picture"),
            placeholder=self.i18n("page.picture_hint"),  # type: ignore[arg-type]  # as for a label
            sources=["upload", "clipboard", "webcam"],
            height=230,
            elem_id="picture",
            buttons=["fullscreen"],
        )
        self.examples = gr.Dataset(
            label=self.i18n("page.examples"),
            components=[gr.Image(visible=False, type="filepath")],
            samples=[[thumbnail(example(name))] for name in self.pictures],
            type="index",
            samples_per_page=len(self.pictures),
            elem_id="examples",
        )

    def _build_networks(self, networks: Sequence[NetworkFacts]) -> None:
        """Lay out what chooses a network, its working size and a step of its training."""
        i18n, first = self.i18n, networks[0]
        self.network = Menu(
            label=i18n("page.network"),
            choices=[(facts.title, facts.name) for facts in networks],
            value=first.name,
            elem_id="network",
        )
        self.about = gr.Markdown(elem_id="about")
        self.size = Menu(
            label=i18n("page.side"),
            info=i18n("page.side_info"),
            choices=size_choices(first),
            value=first.size,
            elem_id="side",
        )
        self.step = PlainSlider(
            label=i18n("page.step"), info=i18n("page.step_info"), elem_id="step", **step_range(first)
        )
        self.reached = gr.Markdown(elem_id="step-reached")
        choosing = ChoosingPanel(self.engine, elem_id="choosing")
        self.on("network", named, choosing)
        self.picks("network", choosing.open)
        self.number = gr.Number(0, visible=False, precision=0)  # of what the visitor did last, as ``runs.js`` counts
        self.photo = gr.Textbox(visible=False)  # path of a picture of the visitor's own
        self.former = gr.Markdown(elem_id="former", visible=False, render=False)  # tabs place it beside results


def of_newest(handler: Handler, count: int) -> Handler:
    """Let a handler of runs change nothing when the run is not, or no longer, the newest of its visitor.

    Args:
        handler: takes the run first.
        count: how many values it gives.
    """
    nothing = gr.skip() if count == 1 else (gr.skip(),) * count

    @functools.wraps(handler)
    def wrapped(run: Run | None, *arguments: Any, **keywords: Any) -> Any:
        given = (value for value in (*arguments, *keywords.values()) if isinstance(value, gr.Request))
        request = next(given, None) or LocalContext.request.get(None)  # a handler need not take it
        session = (request.session_hash if request else None) or ""
        if run is None or not visits.is_to_be_shown(session, run):
            return nothing
        values = handler(run, *arguments, **keywords)
        return values if visits.is_to_be_shown(session, run) else nothing

    return wrapped


def numbered(handler: Handler) -> Handler:
    """Let a choice change nothing once a newer one has come: their answers may arrive in another order.

    Args:
        handler: of the choice. The one returned takes, before all else, the number that ``runs.js`` gave to it.
    """

    @functools.wraps(handler)
    def wrapped(number: int | None, *arguments: Any, **keywords: Any) -> Any:
        given = (value for value in (*arguments, *keywords.values()) if isinstance(value, gr.Request))
        request = next(given, None) or LocalContext.request.get(None)  # a handler need not take it
        is_newest = visits.choose((request.session_hash if request else None) or "", number)
        values = handler(*arguments, **keywords)
        if not is_newest():
            raise unchanged()
        return values

    first = inspect.Parameter("number", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.signature(handler)
    wrapped.__signature__ = signature.replace(parameters=[first, *signature.parameters.values()])  # type: ignore[attr-defined]
    return wrapped


def named(network: str, side: int | None, place: int, request: gr.Request) -> str:
    """Return the name of the network that was chosen."""
    return network


def size_choices(facts: NetworkFacts) -> list[tuple[Any, Any]]:
    """Return the input sizes offered for a network, as (what is read, pixels)."""
    return [(f"{size} px", size) for size in facts.sizes]


def step_range(facts: NetworkFacts, step: int | None = None) -> dict[str, Any]:
    """Return the settings of the slider over a network's training: hidden where there are no snapshots.

    Args:
        facts: of the network.
        step: the one to stand at; None is the end of the training.
    """
    last = len(facts.steps)
    value = last if step is None else facts.steps.index(step)
    return {"minimum": 0, "maximum": max(last, 1), "step": 1, "value": value, "visible": last > 0}


def describe(facts: NetworkFacts, request: gr.Request | None) -> str:
    """Say in a sentence or two what a network is good for, if the texts of the page do, and what of it was guessed."""
    key = f"about.{facts.name}"
    words = [text(request, key)] if key in TEXTS["en"] else []
    if not words and not facts.trained:
        words.append(text(request, "page.random"))
    if facts.guesses:
        comma = text(request, "page.guess_comma")
        guessed = comma.join(text(request, f"page.guess_{guess}") for guess in facts.guesses)
        words.append(text(request, "page.guessed", guesses=guessed))
    return "\n\n".join(words)


def done(result: Result, facts: NetworkFacts, request: gr.Request | None) -> str:
    """Say that a run is complete, and of what."""
    words = text(request, "page.done", network=facts.title, seconds=f"{result.seconds:.2f}", side=result.input_size)
    return words if result.step is None else words + text(request, "page.at_step", step=f"{result.step:,}")


def unchanged() -> gr.Error:
    """End, without a word on the page, what follows an event by which nothing was chosen: menus may be left so."""
    return gr.Error("Nothing else was chosen.", visible=False, print_exception=False)


def pick_example(index: int, names: Sequence[str] = EXAMPLES) -> str:
    """Return the file of an example by its place in the row."""
    return str(example(names[min(index, len(names) - 1)]))


def stop(number: int | None, request: gr.Request) -> str:
    """End the visitor's run within one layer, and what was started before; what is on the page stays."""
    visits.stop(request.session_hash or "", number)
    return text(request, "page.stopped")


def forget(request: gr.Request) -> None:
    """End the run of a visitor who left."""
    visits.end(request.session_hash or "")
