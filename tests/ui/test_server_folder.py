"""The folder for uploads and results: private, bounded, and gone with its process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from segdemo.errors import InputError
from segdemo.ui import folder, uploads
from segdemo.ui.folder import PREFIX, Folder
from tests.conftest import awaited

HOLD = """
import sys
from pathlib import Path
from segdemo.ui.folder import Folder
print(Folder(Path(sys.argv[1])).path, flush=True)
sys.stdin.readline()
"""


def test_it_is_private_and_never_twice_of_the_same_name(tmp_path: Path) -> None:
    first, second = Folder(tmp_path), Folder(tmp_path)
    assert first.path != second.path
    assert first.path.stat().st_mode & 0o777 == 0o700
    assert first.path.stat().st_uid == os.geteuid()


def test_a_user_without_a_name_has_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless(uid: int) -> Any:
        raise KeyError(uid)

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nameless)
    assert Folder(tmp_path).path.is_dir()


def test_a_new_one_removes_what_a_killed_process_left_and_nothing_of_a_running_one(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    killed, running = (Path(process.stdout.readline().decode().strip()) for process in processes if process.stdout)
    (killed / "picture.png").write_bytes(b"private")
    processes[0].kill()
    processes[0].wait()
    mine = Folder(tmp_path)
    assert {path for path in tmp_path.iterdir() if path.name.startswith(PREFIX)} == {running, mine.path}
    processes[1].communicate(b"\n")
    processes[0].communicate()


def test_a_link_at_the_name_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    (tmp_path / f"{PREFIX}planted").symlink_to(outside)
    Folder(tmp_path)
    assert (outside / "kept.txt").read_text() == "kept"


def test_bytes_are_bounded_and_what_was_used_longest_ago_leaves_first(tmp_path: Path) -> None:
    held = Folder(tmp_path, most=8000)
    first = held.keep(b"first" * 100, "first.bin")
    paths = [Path(held.keep(bytes([index]) * 500, "file.bin")) for index in range(40)]
    assert held.size() <= 8000
    assert paths[-1].read_bytes() == bytes([39]) * 500
    assert not Path(first).exists()


def test_a_file_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    held = Folder(tmp_path)
    path = Path(held.keep(b"picture", "a.png"))
    before = path.stat().st_ino
    assert held.keep(b"picture", "a.png") == str(path)
    assert path.stat().st_ino == before


def test_who_reads_while_the_same_file_is_stored_gets_all_of_it(tmp_path: Path) -> None:
    held = Folder(tmp_path)
    content = os.urandom(1 << 20)
    path = Path(held.keep(content, "a.bin"))

    def load(turn: int) -> bool:
        held.keep(content, "a.bin")
        return path.read_bytes() == content

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(load, range(200)))


def test_a_full_disk_is_a_sentence_and_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Folder(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="disk is full"):
        held.keep(b"picture", "a.png")
    assert held.size() == 0


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A folder that uploads go to."""
    held = Folder(tmp_path)
    monkeypatch.setattr(folder, "_current", held)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    return held


def part(field: str = "files", end: bytes = b"\r\n--x--\r\n") -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="a.png"\r\n\r\n'
    return head.encode() + b"picture" * 100 + end


def read(held: Folder, chunks: list[bytes | Exception], language: str = "en") -> Any:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    headers = Headers({"content-type": "multipart/form-data; boundary=x", "accept-language": language})
    parser = uploads.CarefulParser(headers, stream(), upload_dir=str(held.path), max_file_size=10_000)
    return awaited(parser.parse())


def test_a_whole_upload_is_kept(held: Folder) -> None:
    form = read(held, [part()])
    assert Path(form["files"].file.name).read_bytes() == b"picture" * 100
    form["files"].file.close()


@pytest.mark.parametrize(
    "chunks",
    [
        [part(end=b""), ClientDisconnect()],
        [part(end=b""), RuntimeError("anything")],
        [part(end=b"")],
        [part()[:-9]],
        [part(end=b"much" * 5000)],
        [*[part(end=b"\r\n")] * 16, part()],
    ],
)
def test_an_upload_that_breaks_leaves_no_part(held: Folder, chunks: list[bytes | Exception]) -> None:
    with pytest.raises(MultiPartException):
        read(held, chunks)
    assert {path.name for path in held.path.iterdir()} == {folder.LOCK}


def test_a_part_that_nobody_will_take_is_removed(held: Folder) -> None:
    read(held, [part("other")])
    assert {path.name for path in held.path.iterdir()} == {folder.LOCK}


@pytest.mark.parametrize(("language", "words"), [("en", "disk is full"), ("zh-CN", "磁盘已满")])
def test_a_full_disk_refuses_one_upload_with_a_sentence(
    held: Folder, monkeypatch: pytest.MonkeyPatch, language: str, words: str
) -> None:
    kept = held.keep(b"of another visitor", "a.png")

    async def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gradio.route_utils.GradioUploadFile.write", full)
    with pytest.raises(MultiPartException) as raised:
        read(held, [part()], language)
    assert words in raised.value.message
    assert Path(kept).read_bytes() == b"of another visitor"
    assert held.size() == len(b"of another visitor")
