"""Where the page is served, alone, mounted and behind proxies, and what protects it there."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from segdemo.errors import InputError
from segdemo.examples import example
from segdemo.ui import build_app, launch, mount, server

ROOT = Path(__file__).parents[2]
CONFIG = re.compile(r"window.gradio_config = (\{.*?\});</script>", re.DOTALL)
FOREIGN = {"origin": "https://elsewhere.example", "cookie": "segdemo_language=zh"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    page = build_app()
    _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield address.rstrip("/")
    page.close()


@pytest.mark.parametrize(
    "path", ["/", "/config", "/nothing", "/gradio_api/file=/etc/passwd", "/gradio_api/file=https://a.example/b"]
)
def test_every_answer_has_the_headers_that_protect_it(address: str, path: str) -> None:
    headers = httpx.get(address + path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "object-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors" not in headers["content-security-policy"]  # hosting services show the page in a frame


def test_it_says_that_it_is_up_and_what_it_did(address: str) -> None:
    assert httpx.get(f"{address}/healthz").json() == {"status": "ok", "waiting": 0}
    counts = httpx.get(f"{address}/metrics")
    assert counts.headers["content-type"].startswith("text/plain")
    assert "\nsegdemo_waiting_runs 0.0\n" in counts.text


def test_another_site_cannot_ask_with_a_visitors_cookies(address: str) -> None:
    for method in ("GET", "POST"):
        answer = httpx.request(method, f"{address}/gradio_api/info", headers=FOREIGN)
        assert answer.status_code == 403
        assert answer.text == "此请求来自另一个网站的页面，并带有本站的 cookie。请直接打开本页面。"
    asked = {"origin": FOREIGN["origin"], "access-control-request-method": "POST", "host": "public.example"}
    assert "access-control-allow-credentials" not in httpx.options(address, headers=asked).headers


@pytest.mark.parametrize("origin", ["{address}", "https://public.example"])
def test_the_page_itself_and_scripts_of_others_without_cookies_may_ask(address: str, origin: str) -> None:
    own = {"origin": origin.format(address=address), "x-forwarded-host": "public.example", "cookie": "a=b"}
    if origin == "{address}":
        del own["x-forwarded-host"]
    assert httpx.get(f"{address}/config", headers=own).status_code == 200
    assert httpx.get(f"{address}/config", headers={"origin": FOREIGN["origin"]}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "file=http://127.0.0.1:1/a.png"),
        ("GET", "file=HTTPS://a.example/a.png"),
        ("GET", "file/https://a.example/a.png"),
        ("GET", "proxy=https://a.hf.space/a"),
        ("GET", "deep_link?session_hash=a"),
        ("POST", "process_recording"),
    ],
)
def test_what_the_page_does_not_use_is_shut(address: str, method: str, path: str) -> None:
    assert httpx.request(method, f"{address}/gradio_api/{path}").status_code == 404


def seen(client: httpx.Client | TestClient, base: str, headers: dict[str, str]) -> dict[str, Any]:
    """What a visitor gets of the page, after following its addresses."""
    html = client.get(f"{base}/", headers=headers)
    match = CONFIG.search(html.text)
    assert match
    config = json.loads(match[1])
    call = client.post(f"{base}/gradio_api/call/pick_example", json={"data": [None, 2]}, headers=headers)
    told = client.get(f"{base}/gradio_api/call/pick_example/{call.json()['event_id']}", headers=headers).text
    file = re.search(r'"url": "([^"]+)"', told)
    assert file
    kept = ("title", "css", "theme_hash", "stylesheets", "i18n_translations", "max_file_size", "footer_links")
    upload = {"files": ("a.png", bytes(41 << 20))}
    return {
        "script": html.text.count("window.segdemoLanguage = "),
        "policy": html.headers["content-security-policy"],
        "root": config["root"],
        "file": file[1].partition("/gradio_api/file=")[0],
        "too large": client.post(f"{base}/gradio_api/upload", files=upload, headers=headers).status_code,
        "past the queue": client.post(f"{base}/gradio_api/run/pick_example", json={"data": [None, 2]}).status_code,
        **{name: config.get(name) for name in kept},
    }


PUBLIC = "http://public.example"
TOLD = {"host": "public.example", "x-forwarded-host": "public.example"}


@pytest.mark.parametrize(
    ("path", "base", "headers", "settings", "root"),
    [
        ("/seg", "/seg", {}, {}, ""),
        ("/", "", {}, {}, ""),
        ("seg/", "/seg", TOLD, {}, ""),
        ("/seg", "/seg", {}, {}, "/tool"),  # a proxy that strips
        ("/seg", "/tool/seg", {}, {}, "/tool"),  # a proxy that keeps
        ("/seg", "/seg", TOLD | {"x-forwarded-prefix": "/tool"}, {}, ""),
        ("/seg", "/seg", TOLD, {"root_path": "/tool/seg"}, ""),
    ],
)
def test_mounted_it_is_the_page_that_stands_alone(
    address: str, path: str, base: str, headers: dict[str, str], settings: dict[str, Any], root: str
) -> None:
    app = FastAPI()
    mount(app, path, **settings)
    with httpx.Client() as client:
        alone = seen(client, address, {})
    with TestClient(app, base_url=PUBLIC, root_path=root) as inside:
        found = seen(inside, base, headers)
        if base:
            moved = inside.get(f"{base}?network=unet", headers=headers, follow_redirects=False)
            assert moved.headers["location"] == found["root"].removeprefix(PUBLIC) + "/?network=unet"
    prefix = root or ("/tool" if "x-forwarded-prefix" in headers or settings else "")
    expected = PUBLIC + prefix + ("/" + path.strip("/")).rstrip("/")
    assert found == alone | {"root": expected, "file": expected}
    assert alone["script"] == 1
    assert alone["too large"] == 413


@pytest.mark.parametrize("strips", [True, False])
@pytest.mark.parametrize("root", ["", "/tool", "http://public.example/tool"])
def test_alone_it_works_behind_a_proxy_with_a_prefix(strips: bool, root: str) -> None:
    page = build_app()
    _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, root_path=root)
    headers = TOLD if root else TOLD | {"x-forwarded-prefix": "/tool"}
    try:
        with httpx.Client() as client:
            found = seen(client, address.rstrip("/") + ("" if strips else "/tool"), headers)
    finally:
        page.close()
    assert (found["root"], found["file"], found["script"]) == (f"{PUBLIC}/tool", f"{PUBLIC}/tool", 1)


@pytest.mark.parametrize("word", ["abc", "70000", "-1", "0", "7860.5", "８０"])
@pytest.mark.parametrize("name", ["PORT", "GRADIO_SERVER_PORT"])
def test_a_wrong_port_is_a_sentence(monkeypatch: pytest.MonkeyPatch, name: str, word: str) -> None:
    monkeypatch.delenv("GRADIO_SERVER_PORT", raising=False)
    monkeypatch.setenv(name, word)
    with pytest.raises(InputError, match="is no port"):
        server.asked_port()


def test_a_taken_port_and_an_address_of_another_machine_are_sentences() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(InputError, match="taken by another program"):
        server.check_place("127.0.0.1", other.getsockname()[1])
    with pytest.raises(InputError, match=r"cannot listen at 192\.0\.2\.1"):
        server.check_place("192.0.2.1", 7860)


def test_it_starts_where_many_visitors_come_before_gradio_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradio.networking.url_ok", lambda url: False)  # no answer within its 3 seconds
    page = build_app()
    try:
        _, address, _ = launch(page, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
        assert httpx.get(f"{address}healthz").json()["status"] == "ok"
    finally:
        page.close()


@pytest.mark.parametrize("command", [["app.py"], ["-m", "segdemo", "app"]])
@pytest.mark.parametrize("word", ["abc", "taken"])
def test_a_port_that_cannot_be_used_ends_the_program_with_a_sentence(command: list[str], word: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1]) if word == "taken" else word
        surroundings = {**os.environ, "GRADIO_SERVER_PORT": port}
        done = subprocess.run([sys.executable, *command], cwd=ROOT, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"segdemo: .*(is no port|is taken).*\n", done.stderr)


def test_a_wrong_setting_is_said_in_a_sentence_and_no_page_is_started() -> None:
    settings = {**os.environ, "SEGDEMO_DEVICE": "gpu"}
    ended = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=settings, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == "segdemo: 'gpu' is no device. Choose one of auto, cpu, cuda, mps."
    assert "Traceback" not in ended.stderr


# Starts the page like app.py; no connection leaves this machine, and each that is tried is told.
OFFLINE = """
import socket, sys
connect = socket.socket.connect
def local_only(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        print("tried:", address, flush=True)
        raise OSError("another host")
    return connect(self, address)
socket.socket.connect = socket.socket.connect_ex = local_only
lookup = socket.getaddrinfo
def local_lookup(host, *rest, **more):
    if host not in (None, "127.0.0.1", "::1", "localhost", b"127.0.0.1"):
        print("tried:", host, flush=True)
        raise OSError("another host")
    return lookup(host, *rest, **more)
socket.getaddrinfo = local_lookup
from segdemo.ui import build_app, serve
sys.exit(serve(build_app()))
"""


def test_a_signal_stops_the_page_at_whatever_moment_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    def signalled(*_: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGTERM)

    def too_long(*_: Any) -> None:
        raise TimeoutError

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    alarmed = signal.signal(signal.SIGALRM, too_long)
    try:
        stopped = server.told_to_stop()
        monkeypatch.setattr("time.sleep", signalled)
        monkeypatch.setattr(threading.Condition, "wait", signalled)  # the thread holds the lock of what it waits for
        signal.setitimer(signal.ITIMER_REAL, 20)
        server.wait_for(stopped)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarmed)
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The page in a process of its own, as ``python app.py`` starts it, and its address."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO", "HF_"))}
    surroundings |= {"GRADIO_TEMP_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", OFFLINE],
        cwd=ROOT,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        match = None
        for line in process.stdout:
            match = re.search(r"http://127.0.0.1:\d+", line)
            if match:
                break
        assert match
        yield process, match[0]
        process.kill()


def ask(address: str, network: str) -> str:
    """Start a run, and return the address of its answer."""
    api = f"{address}/gradio_api"
    with example("chelsea").open("rb") as file:
        path = httpx.post(f"{api}/upload", files={"files": file}, timeout=60).json()[0]
    picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
    event = httpx.post(f"{api}/call/segment", json={"data": [picture, network, 0]}).json()["event_id"]
    return f"{api}/call/segment/{event}"


def test_the_server_asks_no_other_host(started: tuple[subprocess.Popen[str], str]) -> None:
    process, address = started
    assert "window.segdemoLanguage" in httpx.get(address).text
    assert "event: complete" in httpx.get(ask(address, "lenet"), timeout=120).text
    httpx.get(f"{address}/gradio_api/file=https://a.example/a.png")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert "tried" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_in_a_run_ends_cleanly_and_leaves_no_file(
    started: tuple[subprocess.Popen[str], str], tmp_path: Path, number: signal.Signals
) -> None:
    process, address = started
    for _ in range(3):
        ask(address, "unet")
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "terminate" not in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        {"content": b'{"data": "' + b"a" * 65_536 + b'"}', "headers": {"content-type": "application/json"}},
        {"content": iter([b"{}"]), "headers": {"content-type": "application/json"}},
        {"files": {"a": ("a.png", b"a")}, "data": {"component_id": "1", "session_hash": "a", "fn_name": "channels"}},
    ],
    ids=["long", "of unknown length", "with files"],
)
def test_a_panel_is_asked_in_a_few_words(address: str, body: dict[str, Any]) -> None:
    assert httpx.post(f"{address}/gradio_api/component_server", **body).status_code == 413
