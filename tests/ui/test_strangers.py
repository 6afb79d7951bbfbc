"""What strangers send to the running page: every way in, every function, values that no page sends."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import httpx
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from segdemo.examples import example
from segdemo.ui import answers, build_app, launch
from segdemo.ui.texts import TEXTS

NETWORK, SIDE = "unet_narrow", 128
NOT_UPLOADED = "names a file that was not uploaded"
PAGE = build_app()
HTTP = httpx.Client(verify=False, timeout=60)  # without it, each request reads the certificates anew
FUNCTIONS = {number: fn for number, fn in PAGE.fns.items() if fn.fn is not None}
DISTINCT = list({(fn.fn, *(block._id for block in fn.inputs)): number for number, fn in FUNCTIONS.items()}.values())
WRONG: list[Any] = [
    None,
    True,
    -1,
    3,
    1.5,
    10**30,
    float("nan"),
    float("-inf"),
    "",
    "128",
    "Encoder 99",
    "/etc/passwd",
    "\ud800\0<b>",
    "a" * 10_000,
    [],
    [None, {"path": "/etc/passwd"}],
    {},
    {"path": None},
    {"path": 7, "meta": 3},
    {"path": "/etc/passwd"},
    {"value": None, "__type__": "update"},
    json.loads("[" * 100 + "]" * 100),
]


class Stranger(NamedTuple):
    """Somebody who speaks to the running page without a browser."""

    address: str
    session: str

    def ask(self, number: int, data: list[Any], event: Any = None) -> tuple[int, Any]:
        """Call a function by its number, as the page's script does; gives the HTTP status and the last message."""
        body = {"data": data, "fn_index": number, "session_hash": self.session, "event_data": event}
        joined = HTTP.post(
            f"{self.address}gradio_api/queue/join",
            content=json.dumps(body),
            headers={"content-type": "application/json"},
        )
        if joined.status_code != 200:
            return joined.status_code, joined.json()
        data_stream = f"{self.address}gradio_api/queue/data?session_hash={self.session}"
        with HTTP.stream("GET", data_stream) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    return 200, message
        raise AssertionError("the stream ended without an answer")

    def upload(self, path: Path) -> str:
        with path.open("rb") as file:
            answer = HTTP.post(f"{self.address}gradio_api/upload", files={"files": (path.name, file)})
        return str(answer.json()[0])

    def call(self, name: str, data: list[Any]) -> tuple[str, Any]:
        """Call a function by its name, as a script does; gives the kind of event and what came with it."""
        url = f"{self.address}gradio_api/call/{name}"
        posted = HTTP.post(url, content=json.dumps({"data": data}), headers={"content-type": "application/json"})
        lines = HTTP.get(f"{url}/{posted.json()['event_id']}").text.splitlines()
        kind = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")][-1]
        return kind, json.loads([line.removeprefix("data: ") for line in lines if line.startswith("data: ")][-1])


@pytest.fixture(scope="module", autouse=True)
def connections() -> Iterator[None]:
    yield
    HTTP.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    _, address, _ = launch(PAGE, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield address
    PAGE.close()


@pytest.fixture
def stranger(address: str, request: pytest.FixtureRequest) -> Stranger:
    return Stranger(address, f"stranger-{request.node.name}")


@pytest.fixture
def settled(stranger: Stranger) -> Stranger:
    """One whose page shows a run, drawn to its end."""
    file = {"path": stranger.upload(example("digit")), "meta": {"_type": "gradio.FileData"}}
    run = number_of("segment")
    assert said(stranger.ask(run, [file, NETWORK, SIDE, 10**6])) == ""
    for name in ("draw_network", "draw_sheet"):
        number = number_of(name)
        assert said(stranger.ask(number, [None] * len(FUNCTIONS[number].inputs))) == ""
    return stranger


@pytest.fixture
def private() -> Iterator[Path]:
    """A picture of the server's that nobody uploaded, outside every folder that is served."""
    folder = Path(tempfile.mkdtemp(prefix="private-", dir=Path.home()))
    Image.new("RGB", (48, 32), "teal").save(folder / "private.png")
    yield folder / "private.png"
    shutil.rmtree(folder)


def number_of(name: str) -> int:
    """The number of a function that the page itself calls."""
    return next(
        number
        for number, fn in FUNCTIONS.items()
        if fn.api_visibility == "private" and getattr(fn.fn, "__name__", "") == name
    )


def said(answer: tuple[int, Any]) -> str:
    """What an answer says where it is an error; it must be a sentence."""
    status, message = answer
    assert status < 500
    if status == 200 and message["success"]:
        return ""
    sentence = message["output"]["error"] if status == 200 else message["detail"]
    assert isinstance(sentence, str) and len(sentence.split()) > 3
    assert sentence not in (TEXTS["en"]["page.failed"], TEXTS["zh"]["page.failed"])
    return sentence


def name_of(number: int) -> str:
    return f"{number}-{getattr(FUNCTIONS[number].fn, '__name__', 'nameless')}"


def expect_calm(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    output = capfd.readouterr()
    assert "Traceback" not in output.err + output.out
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


@pytest.mark.parametrize("number", DISTINCT, ids=name_of)
def test_wrong_values_for_any_function_are_answered_with_a_sentence(
    number: int, stranger: Stranger, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    count = len(FUNCTIONS[number].inputs)
    for wrong in WRONG if count else WRONG[:1]:
        said(stranger.ask(number, [wrong] * count, event=wrong))
    assert "values" in said(stranger.ask(number, [None] * (count + 1)))
    if count:
        assert "values" in said(stranger.ask(number, []))
    expect_calm(capfd, caplog)


EVENTS: dict[str, dict[str, Any]] = {
    "pick_stage": {"index": "Encoder 1", "value": "Encoder 1"},
    "pick_channel": {"index": 1, "value": 1},
    "change_view": {"ranking": "variance", "scope": "layer", "page": 0, "channel": None},
    "show_probability": {"index": 1},
    "hand_over": {"kind": "overlay", "opacity": 0.5, "hidden": [0]},
}


@pytest.mark.parametrize("name", EVENTS)
def test_wrong_events_after_a_run_are_answered_with_a_sentence(
    name: str, settled: Stranger, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    number, right = number_of(name), EVENTS[name]
    inputs: list[Any] = [None] * len(FUNCTIONS[number].inputs)
    assert said(settled.ask(number, inputs, right)) == ""
    for event in [*WRONG, *({**right, key: wrong} for key in right for wrong in WRONG)]:
        said(settled.ask(number, inputs, event))
    assert said(settled.ask(number, inputs, right)) == ""
    expect_calm(capfd, caplog)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("pick_channel", {"index": -1}),
        ("pick_channel", {"index": 10**9}),
        ("pick_channel", {"index": 5000}),
        ("pick_stage", {"value": 3}),
        ("pick_stage", {"value": "Encoder 99"}),
        ("change_view", EVENTS["change_view"] | {"ranking": "luck"}),
        ("change_view", EVENTS["change_view"] | {"scope": None}),
        ("change_view", EVENTS["change_view"] | {"page": -1}),
        ("change_view", EVENTS["change_view"] | {"channel": "1"}),
        ("show_probability", {"index": -1}),
        ("show_probability", {"index": 2}),
        ("hand_over", EVENTS["hand_over"] | {"kind": "weights"}),
        ("hand_over", EVENTS["hand_over"] | {"opacity": float("nan")}),
        ("hand_over", EVENTS["hand_over"] | {"hidden": [2]}),
    ],
)
def test_an_event_that_is_nearly_right_is_refused(name: str, event: Any, settled: Stranger) -> None:
    assert said(settled.ask(number_of(name), [None] * len(FUNCTIONS[number_of(name)].inputs), event))


@pytest.mark.parametrize("name", ["mark_stage", "show_probability", "hand_over"])
def test_without_a_run_one_is_asked_for(name: str, stranger: Stranger) -> None:
    count = len(FUNCTIONS[number_of(name)].inputs)
    assert "Press Run once more" in said(stranger.ask(number_of(name), [None] * count, EVENTS.get(name)))


def test_a_state_sent_along_is_not_taken_and_another_visitors_is_not_shown(settled: Stranger) -> None:
    other = Stranger(settled.address, "another visitor")
    forged = {"network": NETWORK, "side": SIDE, "picture": {"path": "/etc/passwd"}, "layer": "Encoder 1"}
    for name in ("draw_network", "draw_sheet", "pick_stage", "pick_channel", "change_view"):
        count = len(FUNCTIONS[number_of(name)].inputs)
        status, message = other.ask(number_of(name), ["Stem"] + [None] * (count - 1), EVENTS.get(name))
        assert status == 200 and "sprite" not in json.dumps(message)
    for name in ("show_probability", "hand_over"):
        assert "path" not in said(other.ask(number_of(name), ["Stem", "Stem"], EVENTS[name]))
    assert NOT_UPLOADED in said(other.ask(number_of("draw_sheet"), [forged, forged]))


def disguises(path: Path) -> Iterator[dict[str, Any]]:
    """Ways to name a file of the server's."""
    inside = Path(get_upload_folder())
    marked: dict[str, Any] = {"meta": {"_type": "gradio.FileData"}}
    for place in (
        path,
        inside / os.path.relpath(path, inside),
        f"/proc/self/cwd/{os.path.relpath(path)}",
        str(path)[1:],
    ):
        for meta in (marked, {}, {"meta": None}, {"meta": {}}, {"meta": {"_type": "other"}}):
            yield {"path": str(place), **meta}
    yield {"path": str(path), "is_stream": True, **marked}
    yield {"path": f"file://{path}", **marked}
    yield {"path": None, "url": f"file://{path}"}
    yield {"path": str(path), "url": "data:image/png;base64,iVBORw0KGgo="}
    yield {"path": None, "url": "data:image/png;base64,iVBORw0KGgo="}


def test_no_function_takes_a_file_that_was_not_uploaded_and_none_says_whether_it_exists(
    stranger: Stranger, private: Path
) -> None:
    link = Path(get_upload_folder()) / "linked.png"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(private)
    try:
        files = [*disguises(private), *disguises(private.with_name("none.png")), {"path": str(link)}]
        sentences = {said(stranger.ask(number_of("segment"), [file, NETWORK, SIDE, 0])) for file in files}
        sentences.add(said(stranger.ask(number_of("segment"), [str(private), NETWORK, SIDE, 0])))
        for name in ("segment", "layers"):
            for file in files:
                kind, answer = stranger.call(name, [file, NETWORK, SIDE])
                assert kind == "error"
                sentences.add(answer["error"])
    finally:
        link.unlink()
    assert len(sentences) == 1 and NOT_UPLOADED in sentences.pop()


@pytest.mark.parametrize("number", DISTINCT, ids=name_of)
def test_a_private_file_is_refused_in_every_input_however_deep_it_lies(
    number: int, stranger: Stranger, private: Path
) -> None:
    for place, _ in enumerate(FUNCTIONS[number].inputs):
        for file in ({"path": str(private)}, [{"image": {"path": str(private)}}], {"a": [[{"path": str(private)}]]}):
            data: list[Any] = [None] * len(FUNCTIONS[number].inputs)
            data[place] = file
            assert NOT_UPLOADED in said(stranger.ask(number, data))


def test_neither_pipes_nor_devices_nor_folders_nor_sockets_are_opened(stranger: Stranger) -> None:
    folder = Path(tempfile.mkdtemp(prefix="odd-", dir=Path(get_upload_folder())))
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket.png"))
        for path in (folder, folder / "pipe.png", folder / "socket.png", "/dev/zero", "/dev/stdin", "/proc/self/fd/0"):
            kind, answer = stranger.call("segment", [{"path": str(path)}, NETWORK, SIDE])
            assert kind == "error" and NOT_UPLOADED in answer["error"]
    shutil.rmtree(folder)


def test_a_named_address_is_not_fetched(stranger: Stranger) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bait:
        bait.setblocking(False)
        url = f"http://127.0.0.1:{bait.getsockname()[1]}/picture.png"
        marked = {"meta": {"_type": "gradio.FileData"}}
        for file in ({"path": url, **marked}, {"path": url}, {"path": None, "url": url}, {"url": url, **marked}):
            assert NOT_UPLOADED in stranger.call("segment", [file, NETWORK, SIDE])[1]["error"]
            assert NOT_UPLOADED in said(stranger.ask(number_of("segment"), [file, NETWORK, SIDE, 0]))
        uploaded = stranger.upload(example("digit"))
        assert stranger.call("segment", [{"path": uploaded, "url": url}, NETWORK, SIDE])[0] == "complete"
        with pytest.raises(BlockingIOError):
            bait.accept()


def test_an_uploaded_file_and_an_example_are_taken(stranger: Stranger) -> None:
    for path in (stranger.upload(example("coffee")), str(example("coffee")), str(example("digit"))):
        for meta in ({}, {"meta": {"_type": "gradio.FileData"}}):
            kind, answer = stranger.call("segment", [{"path": path, **meta}, NETWORK, SIDE])
            assert kind == "complete", answer


@pytest.mark.parametrize("name", ["segment", "layers"])
@pytest.mark.parametrize(
    ("place", "wrong", "words"),
    [
        (0, None, "“picture” has to be a file"),
        (0, "https://localhost/cat.png", "“picture” has to be a file"),
        (0, "data:image/png;base64,iVBORw0KGgo=", "“picture” has to be a file"),
        (0, 3, "“picture” has to be a file"),
        (0, [], "“picture” has to be a file"),
        (1, None, "“network” has to be text"),
        (1, ["unet"], "“network” has to be text"),
        (1, "x" * 1000, "“network” has to be text"),
        (1, "resnet", "There is no network called"),
        (2, None, "“side” has to be a whole number"),
        (2, "128", "“side” has to be a whole number"),
        (2, True, "“side” has to be a whole number"),
        (2, 128.5, "“side” has to be a whole number"),
        (2, float("nan"), "“side” has to be a whole number"),
        (2, -128, "“side” has to be a whole number"),
        (2, 10**400, "“side” has to be a whole number"),
        (2, [128], "“side” has to be a whole number"),
    ],
)
def test_wrong_types_through_the_api_are_answered_with_a_sentence(
    name: str, place: int, wrong: Any, words: str, stranger: Stranger
) -> None:
    data: list[Any] = [{"path": stranger.upload(example("digit"))}, NETWORK, SIDE]
    data[place] = wrong
    kind, answer = stranger.call(name, data)
    assert kind == "error"
    assert words in answer["error"]


@pytest.mark.parametrize("data", [[], [None], [None] * 4])
def test_a_wrong_number_of_arguments_is_answered_with_a_sentence(data: list[Any], stranger: Stranger) -> None:
    kind, answer = stranger.call("segment", data)
    assert kind == "error"
    assert f"takes 3 values, but {len(data)} came" in answer["error"]


@pytest.mark.parametrize(
    ("way", "body"),
    [
        ("queue/join", {"data": [], "fn_index": 9999, "session_hash": "s"}),
        ("queue/join", {"data": [], "fn_index": -1, "session_hash": "s"}),
        ("queue/join", {"data": [], "session_hash": "s"}),
        ("queue/join", {"data": [], "fn_index": 1}),
        ("run/nothing", {"data": []}),
        ("call/nothing", {"data": []}),
        ("call/v2/nothing", {}),
        ("call/v2/segment", {}),
        ("call/v2/segment", {"picture": None, "colour": "red"}),
        ("component_server", {"session_hash": "s", "component_id": 9999, "fn_name": "get_config", "data": 1}),
        ("component_server", {}),
    ],
)
def test_a_function_or_argument_that_does_not_exist_is_answered_with_a_sentence(
    way: str, body: dict[str, Any], address: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = HTTP.post(f"{address}gradio_api/{way}", json=body)
    assert 400 <= answer.status_code < 500
    assert len(answer.json()["detail"].split()) > 2
    expect_calm(capfd, caplog)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("fault", [RuntimeError("torch"), MemoryError(), OSError(28, "No space left"), KeyError("bug")])
def test_what_nobody_expected_is_a_general_sentence_and_stands_once_in_the_log(
    fault: Exception,
    language: str,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(answers, "example", fail)
    url = f"{address}gradio_api/call/pick_example"
    cookies = {"cookie": f"segdemo_language={language}"}
    event = HTTP.post(url, json={"data": [0]}, headers=cookies).json()["event_id"]
    text = HTTP.get(f"{url}/{event}", headers=cookies).text
    assert json.loads(text.partition("data: ")[2])["error"] == TEXTS[language]["page.failed"]
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [fault]
    assert "Traceback" not in capfd.readouterr().err
    monkeypatch.undo()
    event = HTTP.post(url, json={"data": [0]}).json()["event_id"]
    assert "event: complete" in HTTP.get(f"{url}/{event}").text


def test_the_page_starts_untrained_where_its_address_names_step_0(stranger: Stranger) -> None:
    request = gr.Request(session_hash="step", query_params={"network": NETWORK, "step": "0"}, cookies={}, headers={})
    assert answers.open_address(request=request)[-1].untrained is True


@pytest.mark.parametrize(
    "query", [{"side": "9" * 5000}, {"channel": "٣" * 50}, {"step": "²"}, {"stage": "Stem" * 9999}, {"example": "\0"}]
)
def test_an_address_with_odd_words_opens_the_page(
    query: dict[str, str], address: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{address}gradio_api/call/open_address"
    event = HTTP.post(url, json={"data": []}, params=query).json()["event_id"]
    assert "event: complete" in HTTP.get(f"{url}/{event}").text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
