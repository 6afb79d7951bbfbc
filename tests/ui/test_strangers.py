"""What strangers send to the running page: every way in, every function, values that no page sends."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.examples import example
from segdemo.ui import build_app, launch, page
from segdemo.ui.panels import channels
from segdemo.ui.texts import TEXTS
from tests.ui import stranger as strangers
from tests.ui.stranger import HTTP, Stranger

NETWORK, SIDE = "unet_narrow", 128
NOT_UPLOADED = "names a file that was not uploaded"
ENGINE = LocalEngine()
PAGE = build_app(ENGINE)
FUNCTIONS = strangers.functions(PAGE)
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


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    _, address, _ = launch(PAGE, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield address
    PAGE.close()
    ENGINE.close()


@pytest.fixture
def stranger(address: str, request: pytest.FixtureRequest) -> Stranger:
    return Stranger(address, f"stranger-{request.node.name}")


@pytest.fixture
def settled(stranger: Stranger) -> Stranger:
    """One whose page shows a run."""
    file = {"path": stranger.upload(example("digit")), "meta": {"_type": "gradio.FileData"}}
    assert said(stranger.ask(number_of("segment"), [file, NETWORK, SIDE, 10**6, None])) == ""
    number = number_of("show")
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
    return strangers.number_of(PAGE, name)


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


STAGE: dict[str, Any] = {"index": "Encoder 1", "value": "Encoder 1"}


def test_wrong_events_after_a_run_are_answered_with_a_sentence(
    settled: Stranger, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    number = number_of("remember")
    inputs: list[Any] = [None] * len(FUNCTIONS[number].inputs)
    assert said(settled.ask(number, inputs, STAGE)) == ""
    for event in [*WRONG, *({**STAGE, key: wrong} for key in STAGE for wrong in WRONG)]:
        said(settled.ask(number, inputs, event))
    assert "no stage" in said(settled.ask(number, inputs, {"value": "Encoder 99"}))
    assert said(settled.ask(number, inputs, STAGE)) == ""
    expect_calm(capfd, caplog)


def test_a_state_sent_along_is_not_taken_and_another_visitors_is_not_shown(settled: Stranger) -> None:
    other = Stranger(settled.address, "another visitor")
    forged = {"network": NETWORK, "picture": picture(), "size": SIDE, "step": None}
    for name in ("show", "pick_layer", "remember"):
        count = len(FUNCTIONS[number_of(name)].inputs)
        for state in (None, "Stem", forged):
            status, message = other.ask(number_of(name), [state] + [None] * (count - 1), STAGE)
            assert status == 200 and picture() not in json.dumps(message)
    file = {"path": "/etc/passwd"}
    count = len(FUNCTIONS[number_of("show")].inputs)
    assert NOT_UPLOADED in said(other.ask(number_of("show"), [file] * count))


# ---- what the panels' scripts ask

PANELS = {
    name: block._id
    for block in PAGE.blocks.values()
    for name in ("segmentation", "probability", "likeliest", "download", "figure", "channels", "values")
    if getattr(getattr(block, name, None), "_is_server_fn", False)
}


def picture() -> str:
    """The fingerprint of a picture that the page keeps."""
    return ENGINE.keep(example("digit"))


def right(name: str) -> dict[str, Any]:
    """What a panel's script asks."""
    run = {"network": NETWORK, "picture": picture(), "size": SIDE, "step": None}
    asked: dict[str, dict[str, Any]] = {
        "segmentation": {"run": run},
        "probability": {"run": run, "index": 1},
        "likeliest": {"run": run, "point": [3, 2]},
        "values": {"run": run, "layer": "Encoder 1", "channels": [0, 7], "point": [3, 2]},
        "download": {"run": run, "kind": "overlay", "opacity": 0.5, "hidden": [0]},
        "figure": {"network": NETWORK, "size": SIDE, "step": None, "run": run, "selected": "Encoder 1"},
        "channels": {
            "run": run,
            "layer": "Encoder 1",
            "ranking": "variance",
            "scope": "layer",
            "page": 0,
            "channel": 1,
        },
    }
    return asked[name]


def answered(answer: tuple[int, Any]) -> str:
    """What an answer of a panel says where it is an error; it must be a sentence."""
    status, found = answer
    assert status < 500 and isinstance(found, dict)
    if status == 200 and "error" not in found:
        return ""
    sentence = found["error"] if status == 200 else found["detail"]
    assert isinstance(sentence, str) and len(sentence.split()) > 2
    assert sentence not in (TEXTS["en"]["page.failed"], TEXTS["zh"]["page.failed"])
    return sentence


def test_every_panel_answers() -> None:
    assert set(PANELS) == {"segmentation", "probability", "likeliest", "download", "figure", "channels", "values"}


@pytest.mark.parametrize("name", PANELS)
def test_wrong_values_for_a_panel_are_answered_with_a_sentence(
    name: str, stranger: Stranger, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    number, asked = PANELS[name], right(name)
    assert answered(stranger.panel(number, name, asked)) == ""
    for wrong in [*WRONG, "a" * 1_000_000, [{}] * 10_000]:
        assert answered(stranger.panel(number, name, wrong))
        for key in asked:
            answered(stranger.panel(number, name, {**asked, key: wrong}))
        for key in asked["run"]:
            answered(stranger.panel(number, name, {**asked, "run": {**asked["run"], key: wrong}}))
    for key in asked:
        answered(stranger.panel(number, name, {one: value for one, value in asked.items() if one != key}))
    assert answered(stranger.panel(number, name, asked)) == ""
    expect_calm(capfd, caplog)


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("channels", {"channel": -1}, "whole number"),
        ("channels", {"channel": 10**9}, "whole number"),
        ("channels", {"channel": 5000}, "no channel 5000"),
        ("channels", {"channel": "1"}, "whole number"),
        ("channels", {"layer": 3}, "has to be text"),
        ("channels", {"layer": "Encoder 99"}, "no stage or layer called"),
        ("channels", {"layer": "inc:2"}, "inc:2"),
        ("channels", {"layer": ""}, "no stage or layer called"),
        ("channels", {"ranking": "luck"}, "has to be one of"),
        ("channels", {"scope": None}, "has to be one of"),
        ("channels", {"page": -2}, "whole number"),
        ("channels", {"run": None}, "Press Run once more"),
        ("segmentation", {"run": None}, "Press Run once more"),
        ("probability", {"run": 3}, "Press Run once more"),
        ("probability", {"index": -1}, "whole number"),
        ("probability", {"index": 2}, "no class 2"),
        ("download", {"run": []}, "Press Run once more"),
        ("download", {"kind": "weights"}, "has to be one of"),
        ("download", {"opacity": float("nan")}, "number from 0 to 1"),
        ("download", {"hidden": [10**6]}, "whole number"),
        ("figure", {"network": "resnet"}, "There is no network called"),
        ("figure", {"run": "mine"}, "Press Run once more"),
        ("figure", {"size": 1}, "working size"),
    ],
)
def test_what_is_nearly_right_is_refused(name: str, wrong: dict[str, Any], words: str, stranger: Stranger) -> None:
    assert words in answered(stranger.panel(PANELS[name], name, {**right(name), **wrong}))


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"picture": "0" * 32}, "no longer kept"),
        ({"picture": "/etc/passwd"}, "no longer kept"),
        ({"picture": ""}, "no longer kept"),
        ({"network": "resnet"}, "There is no network called"),
        ({"size": 12}, "working size"),
        ({"size": 10**6}, "working size"),
        ({"step": 28}, "no snapshot"),
    ],
)
def test_a_forged_run_is_refused(name: str, wrong: dict[str, Any], words: str, stranger: Stranger) -> None:
    asked = right(name)
    forged = {**asked, "run": {**asked["run"], **wrong}}
    assert words in answered(stranger.panel(PANELS[name], name, forged))


@pytest.mark.parametrize("component", [*PANELS.values(), 9999, -1, None, "1", [1], {}, True])
@pytest.mark.parametrize("name", ["get_config", "__init__", "preprocess", "nothing", "", None, 3, [], "\0"])
def test_nothing_but_a_panels_functions_can_be_called(
    component: Any,
    name: Any,
    stranger: Stranger,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    status, found = stranger.panel(component, name, {})
    assert 400 <= status < 500
    sentence = found["detail"] if isinstance(found["detail"], str) else found["detail"][0]["msg"]
    assert len(sentence.split()) > 2
    expect_calm(capfd, caplog)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("fault", [RuntimeError("torch"), MemoryError(), OSError(28, "No space left"), KeyError("bug")])
def test_what_nobody_expected_of_a_panel_is_a_general_sentence_and_stands_once_in_the_log(
    fault: Exception,
    language: str,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(channels, "payload", fail)
    body = {
        "session_hash": "s",
        "component_id": PANELS["channels"],
        "fn_name": "channels",
        "data": right("channels"),
    }
    cookies = {"cookie": f"segdemo_language={language}"}
    answer = HTTP.post(f"{address}gradio_api/component_server/", json=body, headers=cookies)
    assert answer.json() == {"error": TEXTS[language]["page.failed"]}
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [fault]
    assert "Traceback" not in capfd.readouterr().err


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
        forms: tuple[dict[str, Any], ...] = (marked, {}, {"meta": None}, {"meta": {}}, {"meta": {"_type": "other"}})
        for meta in forms:
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
        sentences = {said(stranger.ask(number_of("segment"), [file, NETWORK, SIDE, 0, None])) for file in files}
        sentences.add(said(stranger.ask(number_of("segment"), [str(private), NETWORK, SIDE, 0, None])))
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
            assert NOT_UPLOADED in said(stranger.ask(number_of("segment"), [file, NETWORK, SIDE, 0, None]))
        uploaded = stranger.upload(example("digit"))
        assert stranger.call("segment", [{"path": uploaded, "url": url}, NETWORK, SIDE])[0] == "complete"
        with pytest.raises(BlockingIOError):
            bait.accept()


def test_an_uploaded_file_and_an_example_are_taken(stranger: Stranger) -> None:
    marks: list[dict[str, Any]] = [{}, {"meta": {"_type": "gradio.FileData"}}]
    for path in (stranger.upload(example("coffee")), str(example("coffee")), str(example("digit"))):
        for meta in marks:
            kind, answer = stranger.call("segment", [{"path": path, **meta}, NETWORK, SIDE])
            assert kind == "complete", answer


@pytest.mark.parametrize("name", ["segment", "layers", "autopsy", "compare"])
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
        (1, "x" * 2000, "“network” has to be text"),
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
    more: dict[str, list[Any]] = {"autopsy": [3, 4], "compare": ["lenet"]}
    data: list[Any] = [{"path": stranger.upload(example("digit"))}, NETWORK, SIDE, *more.get(name, [])]
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

    monkeypatch.setattr(page, "example", fail)
    url = f"{address}gradio_api/call/pick_example"
    cookies = {"cookie": f"segdemo_language={language}"}
    event = HTTP.post(url, json={"data": [None, 0]}, headers=cookies).json()["event_id"]
    text = HTTP.get(f"{url}/{event}", headers=cookies).text
    assert json.loads(text.partition("data: ")[2])["error"] == TEXTS[language]["page.failed"]
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [fault]
    assert "Traceback" not in capfd.readouterr().err
    monkeypatch.undo()
    event = HTTP.post(url, json={"data": [None, 0]}).json()["event_id"]
    assert "event: complete" in HTTP.get(f"{url}/{event}").text


@pytest.mark.parametrize(
    "query", [{"side": "9" * 5000}, {"channel": "٣" * 50}, {"step": "²"}, {"stage": "Stem" * 9999}, {"example": "\0"}]
)
def test_an_address_with_odd_words_opens_the_page(
    query: dict[str, str], address: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{address}gradio_api/call/open"
    event = HTTP.post(url, json={"data": [""]}, params=query).json()["event_id"]
    assert "event: complete" in HTTP.get(f"{url}/{event}").text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
