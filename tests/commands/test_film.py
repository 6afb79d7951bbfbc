"""Films on the command line: every frame under its mask, at its own moment, and the shares over time."""

from __future__ import annotations

import csv
import json
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from segdemo import Segmenter
from segdemo.__main__ import main
from segdemo.examples import example
from tests.conftest import mixed_by_hand

MOMENTS = (0, 40, 120, 130, 400)  # of the frames, in milliseconds: not evenly apart


def frames_of(size: tuple[int, int]) -> list[np.ndarray]:
    """The cat, moving to the right, a frame for each moment."""
    pixels = np.array(Image.open(example("chelsea")).convert("RGB").resize(size))
    return [np.roll(pixels, moment // 8, axis=1) for moment in MOMENTS]


def write(path: Path, frames: list[np.ndarray], *, sound: bool = False) -> Path:
    """Write a film without loss, each frame at its moment."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "bgr0"
        stream.codec_context.time_base = Fraction(1, 1000)
        if sound:
            film.add_stream("flac", rate=8000, layout="mono")
        for moment, pixels in zip(MOMENTS, frames, strict=False):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = moment, Fraction(1, 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return path


def read(path: Path) -> list[tuple[float, np.ndarray]]:
    """Read a film: the moment of each frame in seconds, and its pixels."""
    with av.open(str(path)) as film:
        return [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]


def test_every_frame_is_segmented_at_its_own_moment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = frames_of((97, 65))  # odd, which the usual codecs do not take
    film = write(tmp_path / "cat.mkv", frames)
    assert main(["segment", str(film), "--network", "unet_narrow", "--out", str(tmp_path / "out")]) == 0
    assert "cat.mkv: 5 frames, foreground " in capsys.readouterr().out
    written = read(tmp_path / "out" / "cat-overlay.mp4")
    assert [round(1000 * moment) for moment, _ in written] == list(MOMENTS)
    segmenter = Segmenter("unet_narrow")
    results = [segmenter.run(Image.fromarray(frame)) for frame in frames]
    for (_, shown), frame, result in zip(written, frames, results, strict=True):
        colours = [one.colour for one in result.known]
        expected = mixed_by_hand(Image.fromarray(frame), result.mask, colours, 0.6, {0})
        assert np.abs(shown[:65, :97] - expected).mean() < 12  # the codec loses a little
    with (tmp_path / "out" / "cat-shares.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["seconds"] for row in rows] == ["0.000", "0.040", "0.120", "0.130", "0.400"]
    for row, result in zip(rows, results, strict=True):
        assert float(row["foreground"]) == pytest.approx(100 * (result.mask == 1).mean(), abs=1e-3)
    facts = json.loads((tmp_path / "out" / "cat.json").read_text("utf-8"))
    assert (facts["frames"], facts["seconds"], facts["size"]) == (5, 0.4, [97, 65])
    assert facts["shares"]["foreground"] == pytest.approx(np.mean([float(row["foreground"]) for row in rows]), abs=1e-3)
    with Image.open(tmp_path / "out" / "cat-shares.png") as curves:
        colours_drawn = set(map(tuple, np.array(curves.convert("RGB")).reshape(-1, 3).tolist()))
    assert tuple(bytes.fromhex(results[0].known[1].colour.removeprefix("#"))) in colours_drawn


def test_a_film_that_a_telephone_took_upright_is_seen_upright(tmp_path: Path) -> None:
    lying = np.zeros((48, 80, 3), np.uint8)
    lying[:24, 40:] = (250, 20, 20)  # to be turned a quarter to the right: red then lies at the bottom right
    with av.open(str(tmp_path / "held.mov"), "w") as film:
        stream = film.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 48, "rgb24"
        stream.set_display_rotation(-90)
        film.mux(stream.encode(av.VideoFrame.from_ndarray(lying, "rgb24")))
        film.mux(stream.encode())
    assert main(["segment", str(tmp_path / "held.mov"), "--network", "unet_narrow", "--out", str(tmp_path)]) == 0
    ((_, shown),) = read(tmp_path / "held-overlay.mp4")
    assert shown.shape[:2] == (80, 48)
    red = shown[..., 0].astype(int) - shown[..., 2]
    corners = {"top left": red[5, 5], "top right": red[5, 42], "bottom left": red[74, 5], "bottom right": red[74, 42]}
    assert max(corners, key=lambda corner: corners[corner]) == "bottom right"


def test_what_is_no_film_is_a_sentence_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.mp4").write_text("no film", "utf-8")
    (tmp_path / "empty.mp4").touch()
    films = [str(tmp_path / name) for name in ("text.mp4", "empty.mp4", "gone.mp4")]
    assert main(["segment", *films, "--network", "unet_narrow", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.count("cannot be read as a film") == 3
    assert not list((tmp_path / "out").iterdir())


def test_a_film_that_breaks_off_gives_the_frames_that_are_there(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mkv", frames_of((64, 64))).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    code = main(["segment", str(tmp_path / "cut.mkv"), "--network", "unet_narrow", "--out", str(tmp_path / "out")])
    assert code == 0
    facts = json.loads((tmp_path / "out" / "cut.json").read_text("utf-8"))
    assert 0 < facts["frames"] < 5
    assert len(read(tmp_path / "out" / "cut-overlay.mp4")) == facts["frames"]


def test_sound_is_left_out_and_a_classifier_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = str(write(tmp_path / "cat.mkv", frames_of((32, 32)), sound=True))
    assert main(["segment", film, "--network", "unet_narrow", "--out", str(tmp_path / "a")]) == 0
    assert "the sound is left out" in capsys.readouterr().err
    assert main(["segment", film, "--network", "lenet", "--out", str(tmp_path / "b")]) == 2
    assert "gives no mask, and a film needs one" in capsys.readouterr().err


def test_without_pyav_a_film_is_a_sentence_that_says_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["segment", str(tmp_path / "cat.mp4"), "--network", "unet_narrow", "--out", str(tmp_path)]) == 2
    assert 'pip install "segdemo[video]"' in capsys.readouterr().err


def test_no_film_given_is_overwritten_and_each_is_a_row_of_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = frames_of((32, 32))
    films = [write(tmp_path / name, frames) for name in ("cat.mkv", "cat.part.mkv", "cat-overlay.mkv")]
    kept = [path.rename(path.with_suffix(".mp4")) for path in films]
    before = [path.read_bytes() for path in kept]
    (tmp_path / "sound.mp4").touch()
    cut = write(tmp_path / "head.mkv", frames).read_bytes()
    (tmp_path / "head.mkv").write_bytes(cut[:600])
    given = [*map(str, kept), str(tmp_path / "sound.mp4"), str(tmp_path / "head.mkv")]
    words = [*given, "--network", "unet_narrow", "--side", "32", "--report", str(tmp_path / "report.csv")]
    assert main(["segment", *words, "--out", str(tmp_path)]) == 2
    assert [path.read_bytes() for path in kept] == before
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == given
    assert [bool(row["error"]) for row in rows] == [False, False, False, True, True]
    assert (rows[0]["width"], Path(rows[0]["result"]).name) == ("32", "cat-2")
    assert all(row["error"].count("Give") == 1 for row in rows[3:])  # one sentence, not one in another
    assert not list(tmp_path.glob(".segdemo-*"))
    capsys.readouterr()


def test_films_that_were_joined_go_on_and_another_size_ends_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, size in (("a.ts", (32, 32)), ("b.ts", (64, 48))):
        with av.open(str(tmp_path / name), "w") as film:
            stream = film.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for pixels in frames_of(size)[:3]:
                film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            film.mux(stream.encode())
    one, other = ((tmp_path / name).read_bytes() for name in ("a.ts", "b.ts"))
    (tmp_path / "twice.ts").write_bytes(one + one)
    (tmp_path / "mixed.ts").write_bytes(one + other)
    words = [str(tmp_path / "twice.ts"), str(tmp_path / "mixed.ts"), "--network", "unet_narrow", "--side", "32"]
    assert main(["segment", *words, "--out", str(tmp_path / "out")]) == 0
    assert "mixed.ts: its frames change their size after frame " in capsys.readouterr().err
    twice, mixed = (read(tmp_path / "out" / f"{name}-overlay.mp4") for name in ("twice", "mixed"))
    assert len(twice) == 6 and 2 <= len(mixed) <= 3  # a decoder may drop its last when the size changes
    moments = [moment for moment, _ in twice]
    assert moments == sorted(set(moments))
