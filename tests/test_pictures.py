"""Reading pictures: from wherever they come, the right colours or one sentence, within bounds."""

from __future__ import annotations

import gc
import io
import os
import socket
import struct
import threading
import weakref
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from segdemo import InputError, encoded, pictures
from segdemo.pictures import load_picture, read_picture

GRADIENT = np.tile(np.linspace(0, 1, 48), (32, 1))
QUICK = settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


def written(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def codes(source: Any) -> list[str]:
    return [note.code for note in read_picture(source).notes]


def refused(source: Any) -> str:
    """The code of the refusal of a source that must be refused."""
    with pytest.raises(InputError) as refusal:
        read_picture(source)
    return refusal.value.code


# ---- EXIF


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Little-endian EXIF of one directory, whose values all lie in the entries."""
    body = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in sorted(entries))
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)


SIDEWAYS = (0x112, 3, 1, struct.pack("<H", 6))


@pytest.mark.parametrize(
    "odd",
    [
        (0x11A, 10, 1, struct.pack("<I", 4)),  # a rational that lies somewhere in the header
        (0x11A, 5, 1, struct.pack("<I", 1 << 31)),
        (0x10F, 3, 1, struct.pack("<H", 7)),
        (0x8769, 4, 1, struct.pack("<I", 8)),  # a directory in itself
        (0x8825, 2, 4, b"abc\0"),
        (0x110, 99, 1, b"abcd"),
        (0x110, 2, 0x7FFFFFFF, bytes(4)),
        (700, 4, 1, bytes(4)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_odd_entries_beside_the_orientation_change_nothing(odd: tuple[int, int, int, bytes], kind: str) -> None:
    picture = Image.new("RGB", (40, 24))
    assert load_picture(written(picture, kind, exif=exif(SIDEWAYS, odd))).size == (24, 40)


@pytest.mark.parametrize(
    "entry", [(0x112, 3, 1, struct.pack("<H", 9)), (0x112, 2, 2, b"6\0"), (0x112, 3, 1, bytes(2)), (0x113, 3, 1, b"6")]
)
def test_an_orientation_that_is_none_leaves_the_picture_as_it_is(entry: tuple[int, int, int, bytes]) -> None:
    assert load_picture(written(Image.new("RGB", (40, 24)), "JPEG", exif=exif(entry))).size == (40, 24)


@pytest.mark.parametrize("length", range(6, 36, 3))
def test_exif_cut_anywhere_is_no_reason_to_refuse(length: int) -> None:
    assert load_picture(written(Image.new("RGB", (40, 24)), "JPEG", exif=exif(SIDEWAYS)[:length])).width in (24, 40)


@pytest.mark.parametrize("number", range(1, 9))
def test_a_tiff_and_a_jpeg_are_turned_alike(number: int) -> None:
    picture = Image.fromarray(np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 50, np.ones((16, 16), np.uint8)))
    marked = Image.Exif()
    marked[0x112] = number
    tiff, jpeg = (load_picture(written(picture, kind, exif=marked)) for kind in ("TIFF", "JPEG"))
    assert tiff.size == jpeg.size == ((48, 32) if number < 5 else (32, 48))
    assert np.abs(np.asarray(tiff, int) - np.asarray(jpeg, int)).max() <= 3


# ---- ranges


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((GRADIENT * 4095).astype(np.uint16), ["scaled"]),
        ((GRADIENT * 65535).astype(np.uint16), []),
        ((GRADIENT * 1e6).astype(np.int32), ["scaled"]),
        ((GRADIENT * 65535).astype(np.int32), []),
        ((GRADIENT * 255).astype(np.int32), []),
        ((GRADIENT * 1000 - 500).astype(np.int32), ["scaled"]),
        ((GRADIENT * 1.0001).astype(np.float32), ["scaled"]),
        (GRADIENT.astype(np.float32), []),
        ((GRADIENT * 255).astype(np.float32), []),
        ((GRADIENT * 2 - 1).astype(np.float32), ["scaled"]),
        ((GRADIENT * 0.01).astype(np.float32), ["scaled"]),
        ((GRADIENT * 1e38).astype(np.float32), ["scaled"]),
    ],
)
def test_a_gradient_of_any_range_runs_from_black_to_white_and_scaling_is_said(
    values: NDArray[Any], said: list[str]
) -> None:
    for source in (values, Image.fromarray(values), written(Image.fromarray(values), "TIFF")):
        read = read_picture(source)
        row = np.asarray(read.picture)[5, :, 0]
        assert np.abs(row.astype(int) - np.rint(np.linspace(0, 255, 48))).max() <= 1
        assert [note.code for note in read.notes] == said
    if said:
        assert f"{values.min():.6g}" in str(read.notes[0]) and f"{values.max():.6g}" in str(read.notes[0])


def test_one_infinity_and_one_nan_leave_the_rest_as_it_is() -> None:
    values = GRADIENT.astype(np.float32)
    values[0, 0], values[0, 1], values[0, 2] = np.inf, np.nan, -np.inf
    read = read_picture(Image.fromarray(values))
    row = np.asarray(read.picture)[..., 0]
    assert row[0, :3].tolist() == [255, 0, 0]
    assert row[1].tolist() == np.rint(np.linspace(0, 255, 48)).tolist()
    assert [note.values["count"] for note in read.notes if note.code == "not_finite"] == [3]


def test_what_is_black_or_grey_throughout_stays_so() -> None:
    for black in (np.zeros((3, 3), np.uint16), np.zeros((3, 3), np.float32), np.full((3, 3), np.nan, np.float32)):
        assert not np.asarray(load_picture(black)).any()
    assert load_picture(np.full((3, 3), 0.5)).getpixel((0, 0)) == (128, 128, 128)


# ---- colours


def test_a_wide_gamut_is_turned_into_srgb_and_grey_into_what_it_shows() -> None:
    linear = ImageCms.createProfile("sRGB")
    lab = ImageCms.createProfile("LAB")
    assert codes(written(Image.new("RGB", (4, 4), (200, 80, 40)), "PNG", icc_profile=profile(linear))) == []
    pure = np.asarray(load_picture(written(Image.new("RGB", (4, 4), (184, 88, 56)), "PNG", icc_profile=DISPLAY_P3)))
    assert np.abs(pure[0, 0].astype(int) - (200, 80, 40)).max() <= 1
    clear = Image.new("RGBA", (4, 4), (184, 88, 56, 255))
    clear.putpixel((0, 0), (0, 0, 0, 0))
    both = load_picture(written(clear, "PNG", icc_profile=DISPLAY_P3))
    assert both.getpixel((0, 0)) == (255, 255, 255)
    assert np.abs(np.subtract(both.getpixel((1, 1)), (200, 80, 40))).max() <= 1  # type: ignore[arg-type]
    for broken in (b"no profile", DISPLAY_P3[:300], profile(lab), DISPLAY_P3[:200] + bytes(400)):
        assert codes(written(Image.new("RGB", (4, 4), (1, 2, 3)), "PNG", icc_profile=broken)) == ["profile_ignored"]
    assert codes(written(Image.new("L", (4, 4), 9), "PNG", icc_profile=DISPLAY_P3)) == ["profile_ignored"]


def test_the_srgb_profile_itself_changes_no_pixel() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    tagged = written(Image.fromarray(noise), "PNG", icc_profile=profile(ImageCms.createProfile("sRGB")))
    assert np.array_equal(np.asarray(load_picture(tagged)), noise)


def profile(made: Any) -> bytes:
    return ImageCms.ImageCmsProfile(made).tobytes()


def matrix_profile(*primaries: tuple[float, float, float], gamma: float) -> bytes:
    """An ICC profile, version 2, of three primaries (XYZ under D50) and one gamma."""

    def fixed(values: tuple[float, ...]) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    white = (0.9642, 1.0, 0.8249)
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"wide\0" + bytes(82),
        b"wtpt": b"XYZ " + bytes(4) + fixed(white),
    }
    for letter, primary in zip(b"rgb", primaries, strict=True):
        tags[bytes([letter]) + b"XYZ"] = b"XYZ " + bytes(4) + fixed(primary)
        tags[bytes([letter]) + b"TRC"] = curve
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(content))
        body += content
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4xI4s4s4s12x4s", size, 0x02100000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return head.ljust(68, b"\0") + fixed(white) + bytes(48) + table + body


DISPLAY_P3 = matrix_profile((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841), gamma=2.2)


def test_16_bit_grey_with_a_transparent_value_shows_white_there() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, 16, 0, 0, 0, 0)) + chunk(b"tRNS", bytes(2))
    row = chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">HHH", 0, 257 * 7, 65535)))
    picture = load_picture(b"\x89PNG\r\n\x1a\n" + head + row + chunk(b"IEND", b""))
    assert np.asarray(picture)[0, :, 0].tolist() == [255, 7, 255]


# ---- files cut short


def noise(height: int = 96, width: int = 128) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(1, 255, (height, width, 3), np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "PPM"])
def test_a_file_slightly_cut_is_read_and_it_is_said(kind: str) -> None:
    whole = written(noise(), kind)
    read = read_picture(whole[: len(whole) * 97 // 100])
    assert [note.code for note in read.notes] == ["cut"]
    there = slice(16, 96) if kind == "BMP" else slice(0, 72)  # a BMP begins at the bottom, a JPEG has blocks of 16 rows
    assert np.array_equal(np.asarray(read.picture)[there], np.asarray(load_picture(whole))[there])
    assert codes(whole) == []
    assert refused(whole[: len(whole) // 2]) == "picture_cut"


def test_a_progressive_jpeg_slightly_cut_is_read() -> None:
    whole = written(noise(), "JPEG", progressive=True)
    assert codes(whole[: len(whole) * 97 // 100]) == ["cut"]


def test_a_png_without_its_end_or_with_a_long_text_is_whole() -> None:
    from PIL.PngImagePlugin import PngInfo

    whole = written(noise(), "PNG")
    assert codes(whole[:-12]) == []
    for after in (False, True):
        text = PngInfo()
        text.add(b"zTXt", b"notes\0\0" + zlib.compress(b"x" * 1_200_000), after_idat=after)
        read = read_picture(written(noise(), "PNG", pnginfo=text))
        assert np.array_equal(np.asarray(read.picture), np.asarray(noise())) and not read.notes


# ---- bounds


@pytest.mark.parametrize("kind", ["EPS", "ICO", "ICNS", "PDF", "SGI", "PCX", "IM", "MSP", "XBM", "DDS", "SPIDER"])
def test_formats_not_named_are_refused_even_where_pillow_would_open_them(kind: str) -> None:
    mode = "1" if kind in ("MSP", "XBM") else "F" if kind == "SPIDER" else "RGB"
    assert refused(written(Image.new(mode, (32, 32)), kind)) == "picture_unreadable"


@pytest.mark.parametrize("start", [b"qoif", b"FTEX", b"\0\0\0\x1cftypavif", b"8BPS", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_files_that_begin_like_something_and_go_on_like_nothing_are_refused(start: bytes) -> None:
    assert refused(start + bytes(range(256)) * 4) == "picture_unreadable"


def test_what_would_take_too_much_memory_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert refused(written(Image.new("RGB", (4700, 4700)), "WEBP", lossless=True, method=0)) == "picture_heavy"
    monkeypatch.undo()
    small = written(noise(), "JPEG", progressive=True, subsampling=0)
    monkeypatch.setattr(encoded, "MAX_MEMORY", 96 * 128 * 10 - 1)  # 4 bytes a pixel, and 2 for each of 3 coefficients
    assert refused(small) == "picture_heavy"
    monkeypatch.setattr(encoded, "MAX_MEMORY", 96 * 128 * 10)
    assert load_picture(small).size == (128, 96)


def test_a_tiff_whose_one_piece_is_far_larger_than_its_picture_is_refused() -> None:
    tile = {0x142: 65536, 0x143: 65536}
    entries = {0x100: 16, 0x101: 16, 0x102: 8, 0x103: 8, 0x106: 1, 0x115: 1, **tile, 0x144: 8, 0x145: 8}
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    assert refused(b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(64)) == "picture_heavy"


def test_a_tiff_with_a_tag_of_millions_of_numbers_is_refused_unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow opened it"))
    tag = struct.pack("<HHII", 0x111, 4, 50_000_000, 26)
    assert refused(b"II*\0" + struct.pack("<IH", 8, 1) + tag + bytes(4)) == "picture_unreadable"


def test_a_jpeg_of_hundreds_of_scans_is_refused() -> None:
    whole = written(noise(), "JPEG", progressive=True)
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    assert refused(whole[:-2] + scan * 200 + whole[-2:]) == "picture_scans"


def test_only_two_pictures_are_decoded_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    inside, most, lock = 0, 0, threading.Lock()
    meeting = threading.Barrier(2, timeout=10)

    def decode(opened: Image.Image) -> bool:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        meeting.wait()
        with lock:
            inside -= 1
        opened.load()
        return False

    monkeypatch.setattr(encoded, "decode", decode)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(load_picture, [written(noise(), "PNG")] * 6))
    assert most == 2
    with pictures._DECODING, pictures._DECODING:
        assert not pictures._DECODING._free.acquire(blocking=False)


# ---- paths


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless_link(path: Path) -> None:
    path.symlink_to(path)


def listening(path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.close()


def vast(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (pipe, "picture_no_file"),
        (listening, "picture_no_file"),
        (lambda path: path.symlink_to("/dev/zero"), "picture_no_file"),
        (lambda path: path.symlink_to("/proc/self/maps"), "picture_unreadable"),
        (lambda path: path.symlink_to("nowhere"), "picture_missing"),
        (endless_link, "picture_unopened"),
        (lambda path: path.mkdir(), "picture_unopened"),
        (lambda path: path.touch(), "picture_unreadable"),
        (vast, "picture_file_too_large"),
    ],
)
def test_whatever_lies_at_a_path_is_answered_at_once(make: Callable[[Path], object], code: str, tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    make(path)
    assert refused(path) == code


def test_names_that_are_no_text_or_two_lines_appear_as_escapes(tmp_path: Path) -> None:
    for name, said in ((b"caf\xe9.png", r"caf\xe9.png"), (b"a\nb.png", r"a\nb.png")):
        with pytest.raises(InputError) as refusal:
            load_picture(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
        assert f"no file {said};" in str(refusal.value)


# ---- Python


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (None, "picture_kind"),
        ([Image.new("RGB", (2, 2))], "picture_kind"),
        (7, "picture_kind"),
        ("https://example.org/cat.png", "picture_address"),
        ("data:image/png;base64,iVBORw0KGgo", "picture_address"),
        ("iVBORw0KGgo" * 1000, "picture_unopened"),
        ("a\0b.png", "picture_unreadable"),
        ("", "picture_unreadable"),
        (io.StringIO("text"), "picture_unreadable"),
        (Image.new("RGB", (0, 5)), "picture_without_pixels"),
        (np.zeros((0, 5, 3), np.uint8), "picture_without_pixels"),
        (np.zeros((5, 5, 2), np.uint8), "picture_array"),
        (np.zeros((2, 5, 5, 3), np.uint8), "picture_array"),
        (np.zeros(5), "picture_array"),
        (np.zeros((5, 5), complex), "picture_array"),
        (np.array([["a"]]), "picture_array"),
        (np.broadcast_to(np.uint8(0), (9000, 9000)), "picture_too_large"),
        (torch.zeros(2, 3, 5, 5), "picture_array"),
        (torch.zeros(3, 5, 5, device="meta"), "picture_tensor"),
    ],
)
def test_what_is_no_picture_in_python_is_refused(source: Any, code: str) -> None:
    assert refused(source) == code


def test_arrays_and_tensors_in_their_layouts_are_one_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    for source in (
        pixels,
        pixels[None],
        pixels.transpose(2, 0, 1),
        pixels.astype(np.int64),
        pixels.astype(np.float32),
        pixels.astype(np.float64) / 255,
        pixels.astype(np.uint16) * np.uint16(257),
        pixels[:, ::-1][:, ::-1],
        np.dstack([pixels, np.full((5, 7), 255, np.uint8)]),
        tensor,
        tensor[None],
        (tensor / 255).requires_grad_(),
        (tensor / 255).double(),
        torch.from_numpy(pixels),
    ):
        read = read_picture(source)
        assert np.array_equal(np.asarray(read.picture), pixels) and not read.notes
    assert read_picture(pixels[..., :1]).picture.tobytes() == read_picture(pixels[..., 0]).picture.tobytes()
    square = torch.zeros(3, 3, 3)
    square[0] = 1
    assert load_picture(square).getpixel((2, 2)) == (255, 0, 0)
    assert load_picture(square.numpy()).getpixel((2, 0)) == (255, 255, 255)
    assert np.asarray(load_picture(np.eye(2, dtype=bool)))[..., 0].tolist() == [[255, 0], [0, 255]]


def test_files_bytes_and_paths_of_any_type_give_the_same(tmp_path: Path) -> None:
    content = written(noise(), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with open(path, "rb") as file, open(path, "rb") as read_before:
        read_before.read(50)
        sources = [path, str(path), content, bytearray(content), memoryview(content), file, read_before]
        with os.scandir(tmp_path) as named, os.scandir(os.fsencode(tmp_path)) as named_in_bytes:
            sources += [*named, *named_in_bytes]
        for source in sources:
            assert load_picture(source).tobytes() == noise().tobytes()  # type: ignore[arg-type]
        assert not file.closed


def test_a_stream_that_cannot_go_back_is_read() -> None:
    read_end, write_end = os.pipe()
    with open(write_end, "wb") as file:
        file.write(written(Image.new("RGB", (4, 4), "red"), "PNG"))
    with open(read_end, "rb") as file:
        assert load_picture(file).getpixel((0, 0)) == (255, 0, 0)


def test_a_closed_picture_is_refused_and_an_open_one_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    marked = Image.Exif()
    marked[0x112] = 6
    Image.new("RGBA", (40, 24), (9, 9, 9, 99)).save(path, exif=marked, icc_profile=DISPLAY_P3)
    closed = Image.open(path)
    closed.close()
    assert refused(closed) == "picture_closed"
    held = Image.new("RGBA", (4, 4), (9, 8, 7, 100))
    held.info["icc_profile"] = DISPLAY_P3
    before = held.tobytes()
    load_picture(held)
    assert held.tobytes() == before and held.info == {"icc_profile": DISPLAY_P3} and held.mode == "RGBA"
    values = GRADIENT * 7
    load_picture(values)
    assert np.array_equal(values, GRADIENT * 7)


# ---- anything at all


def usable(source: Any) -> None:
    try:
        picture = load_picture(source)
    except InputError as error:
        assert str(error).endswith(".")
    else:
        assert picture.mode == "RGB" and picture.width and picture.height


@QUICK
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"P6"])
)
def test_any_bytes_are_a_picture_or_a_sentence(content: bytes, start: bytes) -> None:
    usable(start + content)


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {"icc_profile": DISPLAY_P3}),
    ("JPEG", {"exif": exif(SIDEWAYS), "icc_profile": DISPLAY_P3}),
    ("JPEG", {"progressive": True}),
    ("WEBP", {"exif": exif(SIDEWAYS)}),
    ("GIF", {"save_all": True, "append_images": [Image.new("RGB", (24, 16))]}),
    ("BMP", {}),
    ("TIFF", {"exif": exif(SIDEWAYS)[6:]}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("PPM", {}),
    ("TGA", {"compression": "tga_rle"}),
    ("JPEG2000", {}),
    ("MPO", {"save_all": True, "append_images": [Image.new("RGB", (24, 16))]}),
    *([("AVIF", {})] if "AVIF" in Image.SAVE else []),
]
SAMPLES = [written(noise(16, 24), kind, **options) for kind, options in KINDS]


@QUICK
@given(st.data())
def test_a_damaged_file_of_any_format_is_a_picture_or_a_sentence(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(content), 400) - 1))
        content[place] = data.draw(st.integers(0, 255))
    usable(bytes(content[: data.draw(st.integers(1, len(content)))]) if data.draw(st.booleans()) else bytes(content))


@QUICK
@given(
    arrays.arrays(
        st.one_of(
            arrays.boolean_dtypes(),
            arrays.integer_dtypes(),
            arrays.unsigned_integer_dtypes(),
            arrays.floating_dtypes(),
            arrays.complex_number_dtypes(),
        ),
        arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5),
    )
)
def test_any_array_is_a_picture_or_a_sentence(values: NDArray[Any]) -> None:
    before = values.copy()
    usable(values)
    assert np.array_equal(values, before, equal_nan=values.dtype.kind in "fc")


def test_pillow_warns_again_once_a_picture_is_read() -> None:
    import warnings

    load_picture(noise())
    with pytest.warns(UserWarning), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn_explicit("said", UserWarning, "PIL/x.py", 1, module="PIL.x")
    assert pictures._DECODING._inside == 0


def test_tiff_that_was_read_is_let_go_at_once() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "TIFF", compression="tiff_deflate")
    opened = encoded.open_picture(file, "a.tif")
    encoded.decode(opened)
    left = weakref.ref(opened)
    gc.disable()
    try:
        del opened
        assert left() is None
    finally:
        gc.enable()


def test_orientation_that_older_programs_write_as_text_of_a_png_is_followed() -> None:
    text = PngImagePlugin.PngInfo()
    profile = exif(SIDEWAYS)
    text.add_text("Raw profile type exif", f"\nexif\n{len(profile):8}\n{profile.hex()}\n", zip=True)
    assert load_picture(written(Image.new("RGB", (4, 2)), "PNG", pnginfo=text)).size == (2, 4)
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n 2\nno numbers\n")
    assert load_picture(written(Image.new("RGB", (4, 2)), "PNG", pnginfo=text)).size == (4, 2)


@pytest.mark.parametrize(
    ("values", "grey"),
    [
        (np.full((4, 4), 0.1, np.float32), 26),  # 0.1 × 255 = 25.5, of which rint takes the even one
        (np.full((4, 4), 7, np.int32), 7),
        (np.full((4, 4), 257, np.uint16), 1),
        (np.zeros((4, 4), np.float32), 0),
    ],
)
def test_picture_of_one_value_alone_is_as_bright_as_that_value(values: NDArray[Any], grey: int) -> None:
    read = read_picture(values)
    assert read.picture.getpixel((0, 0)) == (grey, grey, grey)
    assert not read.notes


def test_interlaced_gif_that_lacks_every_second_row_is_refused() -> None:
    noise = np.random.default_rng(0).integers(1, 255, (64, 64), np.uint8)
    content = written(Image.fromarray(noise), "GIF", interlace=1)
    start = len(content) - 64 * 64  # about a byte for each pixel, at the end of the file
    assert load_picture(content).size == (64, 64)
    with pytest.raises(InputError, match="more than a tenth") as caught:
        load_picture(content[: start + 64 * 64 * 3 // 4])
    assert caught.value.code == "picture_cut"
