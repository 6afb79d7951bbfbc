"""Archives as people's tools pack them, masks as people's tools save them: understood, or refused with what to do."""

from __future__ import annotations

import io
import os
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import segdemo.encoded
from segdemo import archives, containers
from segdemo.archives import Archive
from segdemo.errors import InputError
from segdemo.images import load_picture
from segdemo.pairing import find_pairs

INDICES = np.array([[0, 1, 1, 0], [0, 0, 1, 0]], np.uint8)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def encoded(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def drawn(values: NDArray[Any]) -> bytes:
    return encoded(Image.fromarray(values))


def photo(width: int, height: int, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return encoded(Image.new("RGB", (width, height), "gray"), exif=exif)


def packed(path: Path, *files: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files:
            info = zipfile.ZipInfo()
            info.filename, info.compress_type = name, zipfile.ZIP_DEFLATED
            file.writestr(info, content)
    return path


def understood(path: Path, classes: int = 2) -> list[list[list[int]]]:
    """Every mask of an archive, as evaluation and training read it."""
    with Archive(path) as archive:
        reading = archive.survey(archive.pairs, classes)
        return [archive.read(pair, reading)[1].tolist() for pair in archive.pairs]


def refusal(path: Path, classes: int = 2) -> InputError:
    with pytest.raises(InputError) as caught:
        understood(path, classes)
    return caught.value


def one_mask(folder: Path, content: bytes, ending: str = "png") -> Path:
    return packed(folder / "set.zip", ("images/a.png", photo(4, 2)), (f"masks/a.{ending}", content))


def few_levels(bits: int, rows: list[list[int]]) -> bytes:
    """A grey PNG of few bits a pixel, which Pillow itself does not write."""
    width = len(rows[0])
    lines = b""
    for row in rows:
        together = "".join(f"{value:0{bits}b}" for value in row).ljust(-(-width * bits // 8) * 8, "0")
        lines += b"\0" + int(together, 2).to_bytes(len(together) // 8, "big")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, len(rows), bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def red_palette(values: NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(values)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    return picture


WHITE = INDICES * np.uint8(255)
FORMS: dict[str, bytes] = {
    "grey": drawn(INDICES),
    "black and white": drawn(WHITE),
    "bilevel": encoded(Image.fromarray(WHITE).convert("1")),
    "2 bits": few_levels(2, INDICES.tolist()),
    "4 bits": few_levels(4, INDICES.tolist()),
    "4 bits, black and white": few_levels(4, (INDICES * 15).tolist()),
    "16 bits": drawn(INDICES.astype(np.uint16)),
    "16 bits, black and white": drawn(INDICES.astype(np.uint16) * np.uint16(65535)),
    "32 bits": encoded(Image.fromarray(INDICES.astype(np.int32)), "TIFF"),
    "float": encoded(Image.fromarray(INDICES.astype(np.float32)), "TIFF"),
    "palette": encoded(red_palette(INDICES)),
    "palette with transparency": encoded(red_palette(INDICES), transparency=0),
    "colour": drawn(np.dstack([INDICES] * 3)),
    "colour, black and white": drawn(np.dstack([WHITE] * 3)),
    "colour, opaque": drawn(np.dstack([WHITE] * 3 + [np.full_like(WHITE, 255)])),
    "grey, opaque": encoded(Image.fromarray(INDICES).convert("LA")),
    "lossless WebP": encoded(Image.fromarray(WHITE).convert("RGB"), "WEBP", lossless=True),
    "GIF": encoded(Image.fromarray(WHITE), "GIF"),
    "BMP": encoded(Image.fromarray(INDICES), "BMP"),
    "PGM of one level": b"P5 4 2 1\n" + INDICES.tobytes(),
}


@pytest.mark.parametrize("form", FORMS)
def test_mask_of_every_kind_of_picture_is_read_as_class_indices(form: str, tmp_path: Path) -> None:
    assert understood(one_mask(tmp_path, FORMS[form])) == [INDICES.tolist()]


def test_two_bits_hold_four_classes_and_the_last_is_not_taken_for_255(tmp_path: Path) -> None:
    rows = [[0, 1, 2, 3], [3, 2, 1, 0]]
    assert understood(one_mask(tmp_path, few_levels(2, rows)), classes=4) == [rows]


NOT_READ: dict[str, tuple[bytes, str]] = {
    "JPEG": (encoded(Image.fromarray(WHITE), "JPEG"), "it is JPEG, which changes the values"),
    "WebP": (encoded(Image.fromarray(WHITE).convert("RGB"), "WEBP"), "it is WEBP, which changes the values"),
    "colours": (encoded(red_palette(INDICES).convert("RGB")), "it is coloured"),
    "partly transparent": (encoded(Image.new("RGBA", (4, 2), (0, 0, 0, 9))), "parts of it are transparent"),
    "fractions": (encoded(Image.fromarray(INDICES.astype(np.float32) / 2), "TIFF"), "numbers with fractions"),
    "counted from 1": (drawn(INDICES + np.uint8(1)), "holds class 2"),
    "smoothed": (drawn(WHITE // np.uint8(2)), "holds class 127"),
    "negative": (encoded(Image.fromarray(-INDICES.astype(np.int32)), "TIFF"), "holds class -1"),
    "16 bits, large": (drawn(INDICES.astype(np.uint16) * np.uint16(300)), "holds class 300"),
    "NumPy": (b"\x93NUMPY\1\0", "it is a NumPy array"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 2\n", "no picture of a kind that is read"),
}


@pytest.mark.parametrize("form", NOT_READ)
def test_mask_that_no_index_can_be_read_from_is_refused_by_name(form: str, tmp_path: Path) -> None:
    content, reason = NOT_READ[form]
    said = str(refusal(one_mask(tmp_path, content)))
    assert "masks/a.png" in said and reason in said


def test_palette_that_paints_class_0_white_and_class_1_black_is_refused(tmp_path: Path) -> None:
    picture = Image.fromarray(INDICES)
    picture.putpalette([255, 255, 255, 0, 0, 0])
    assert "either could be the class" in str(refusal(one_mask(tmp_path, encoded(picture))))


def test_255_is_left_out_where_another_mask_of_the_archive_holds_class_1(tmp_path: Path) -> None:
    files = [(f"images/{name}.png", photo(4, 2)) for name in "ab"]
    path = packed(tmp_path / "set.zip", *files, ("masks/a.png", drawn(WHITE)), ("masks/b.png", drawn(INDICES)))
    assert understood(path) == [WHITE.tolist(), INDICES.tolist()]
    with Archive(path) as archive:  # also where the other is not asked for
        reading = archive.survey(archive.pairs[:1], 2)
        assert not reading.white and reading.scored == 5
        assert reading.notes("set.zip") == [
            "The masks of set.zip leave 37.5% of the area out, by 255: it is not scored.",
            "The masks of set.zip hold nothing but class 0: no other class can be found right.",
        ]


def test_black_and_white_is_said_and_refused_where_there_are_more_classes(tmp_path: Path) -> None:
    path = one_mask(tmp_path, drawn(WHITE))
    with Archive(path) as archive:
        notes = archive.survey(archive.pairs, 2).notes("set.zip")
    assert notes == ["The masks of set.zip hold 0 and 255 alone: 255 is read as class 1, the foreground."]
    assert refusal(path, classes=3).code == "archive_white"


ODD_EXIF = {
    "a rational without a denominator": (0x11A, 10, 1, struct.pack("<I", 26)),
    "an inner directory given as text": (0x8769, 2, 4, b"abc"),
    "an inner directory behind the end": (0x8769, 4, 1, struct.pack("<I", 999_999)),
    "a type that there is not": (0x110, 99, 1, b"abcd"),
}


@pytest.mark.parametrize("odd", ODD_EXIF)
@pytest.mark.parametrize("doubled", [False, True])
def test_mask_fits_a_picture_that_odd_exif_turns(odd: str, doubled: bool, tmp_path: Path) -> None:
    entries = sorted([(0x112, 3, 1, struct.pack("<H", 6)), ODD_EXIF[odd]])
    body = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries)
    exif = b"Exif\0\0" * (1 + doubled) + b"II*\0" + struct.pack("<IH", 8, 2) + body + bytes(4)
    picture = encoded(Image.new("RGB", (2, 4), "gray"), "JPEG", exif=exif)
    assert load_picture(picture).size == (4, 2)
    path = packed(tmp_path / "set.zip", ("images/a.jpg", picture), ("masks/a.png", drawn(INDICES)))
    assert understood(path) == [INDICES.tolist()]


def test_refusal_of_a_picture_in_an_archive_is_one_sentence_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segdemo.encoded, "MAX_PIXELS", 7)
    error = refusal(one_mask(tmp_path, drawn(INDICES)))
    assert error.code == "picture_too_large"
    assert str(error).startswith("images/a.png has 4 × 2 pixels; at most")


@pytest.mark.parametrize("form", ["WEBP", "TIFF"])
def test_mask_that_takes_too_much_memory_is_refused_before_it_is_decoded(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"lossless": True} if form == "WEBP" else {"compression": "tiff_deflate"}
    content = encoded(Image.fromarray(INDICES).convert("RGB"), form, **options)
    assert understood(one_mask(tmp_path, content)) == [INDICES.tolist()]
    monkeypatch.setattr(segdemo.encoded, "MAX_MEMORY", 60)  # 8 pixels: 18 bytes each as WebP; 8 as TIFF, and the file
    error = refusal(packed(tmp_path / "b.zip", ("images/a.png", photo(4, 2)), ("masks/a.tif", content)))
    assert error.code == "picture_heavy" and str(error).startswith("masks/a.tif would take")


def test_picture_and_mask_that_take_too_much_memory_together_are_refused_by_the_survey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = one_mask(tmp_path, drawn(INDICES))
    needed = 8 * 8 + len(photo(4, 2)) + 8  # pixels twice, the picture's file, and the mask
    monkeypatch.setattr(archives, "MAX_MEMORY", needed)
    assert understood(path) == [INDICES.tolist()]
    monkeypatch.setattr(archives, "MAX_MEMORY", needed - 1)
    with Archive(path) as archive, pytest.raises(InputError) as caught:
        archive.survey(archive.pairs, 2)
    assert caught.value.code == "picture_heavy" and str(caught.value).startswith("images/a.png would take")


def test_folders_packed_in_folders_of_their_own_name_are_found(tmp_path: Path) -> None:
    files = [("images/images/a.png", photo(4, 2)), ("masks/Masks/a.png", drawn(INDICES))]
    assert understood(packed(tmp_path / "set.zip", *files)) == [INDICES.tolist()]


def test_mask_cut_short_is_refused(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(np.tile(INDICES, (64, 64))))
    path = packed(tmp_path / "set.zip", ("images/a.png", photo(256, 128)), ("masks/a.png", content[:-30]))
    assert "ends early" in str(refusal(path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_mask_drawn_on_the_stored_picture_is_turned_with_it(orientation: int, tmp_path: Path) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[274] = orientation
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(Image.fromarray(INDICES), exif=exif))))
    files = [("images/a.png", photo(4, 2, orientation)), ("masks/a.png", drawn(INDICES))]
    if orientation in (2, 3, 4):  # of these the size says nothing; another pair of the archive does
        files += [("images/b.png", photo(4, 2, 6)), ("masks/b.png", drawn(INDICES))]
    path = packed(tmp_path / "set.zip", *files)
    assert understood(path)[0] == np.array(upright).tolist()
    with Archive(path) as archive:
        picture, mask = archive.read(archive.pairs[0], archive.survey(archive.pairs, 2))
        assert mask.shape == (picture.height, picture.width)


def test_mask_drawn_on_the_upright_picture_stays(tmp_path: Path) -> None:
    tall = np.ascontiguousarray(INDICES.T)
    files = [("images/a.png", photo(4, 2, 6)), ("masks/a.png", drawn(tall))]
    square = np.array([[0, 1], [0, 0]], np.uint8)
    files += [("images/b.png", photo(2, 2, 6)), ("masks/b.png", drawn(square))]
    assert understood(packed(tmp_path / "set.zip", *files)) == [tall.tolist(), square.tolist()]


def test_mask_with_the_orientation_of_its_picture_is_turned_once(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 3
    mask = encoded(Image.fromarray(INDICES), exif=exif)
    path = packed(tmp_path / "set.zip", ("images/a.png", photo(4, 2, 3)), ("masks/a.png", mask))
    assert understood(path) == [INDICES[::-1, ::-1].tolist()]


@pytest.mark.parametrize(("size", "orientation"), [((4, 2), 3), ((2, 2), 6)])
def test_turned_picture_whose_mask_could_lie_either_way_is_refused(
    size: tuple[int, int], orientation: int, tmp_path: Path
) -> None:
    mask = np.zeros(size[::-1], np.uint8)
    path = packed(tmp_path / "set.zip", ("images/a.png", photo(*size, orientation)), ("masks/a.png", drawn(mask)))
    error = refusal(path)
    assert error.code == "archive_turned" and "Save the picture upright" in str(error)


NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
LAYOUTS: dict[str, list[str]] = {
    "folder above": ["data/", "data/images/a.png", "data/masks/a.png"],
    "folders above": ["x/data/images/a.png", "x/data/masks/a.png"],
    "dot": ["./images/a.png", "./masks/a.png"],
    "absolute": ["/images/a.png", "/masks/a.png"],
    "backslashes": ["set\\", "set\\images\\a.png", "set\\masks\\a.png"],
    "upper case": ["Images/a.PNG", "MASKS/a.PNG"],
    "inner folder": ["images/train/a.png", "masks/train/a.png"],
    "left by macOS": ["s/images/a.png", "s/masks/a.png", "__MACOSX/s/images/._a.png", "s/images/._a.png", ".DS_Store"],
    "left by Windows": ["images/a.png", "masks/a.png", "images/Thumbs.db", "masks/desktop.ini"],
    "left on a drive": ["images/a.png", "masks/a.png", "System Volume Information/images/b.png"],
    "left by a notebook": ["images/a.png", "masks/a.png", "images/.ipynb_checkpoints/a-checkpoint.png"],
    "other files": ["images/a.png", "masks/a.png", "README.md", "docs/images/logo.png", "../images/b.png"],
    "suffix": ["images/a.png", "masks/a_mask.png"],
    "Unicode": [f"images/{NFC}.png", f"masks/{NFD}.png"],
    "dots": ["images/a.b.jpg", "masks/a.b.png"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pairs_are_found_however_they_are_packed(layout: str, tmp_path: Path) -> None:
    files = [(name, drawn(INDICES) if "mask" in name.casefold() else photo(4, 2)) for name in LAYOUTS[layout]]
    assert understood(packed(tmp_path / "set.zip", *files)) == [INDICES.tolist()]
    for name, content in files:
        if ".." not in name and not name.endswith(("/", "\\")):
            place = tmp_path / "set" / name.replace("\\", "/").lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    assert understood(tmp_path / "set") == [INDICES.tolist()]


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        (["images/a.png", "images/a.webp", "masks/a.png"], "archive_same_name", "both images/a.png and images/a.webp"),
        (["images/a.png", "masks/a.png", "masks/a.tif"], "archive_same_name", "both masks/a.png and masks/a.tif"),
        (["images/a.png", "Images/a.png", "masks/a.png"], "archive_same_name", "images/a.png"),
        (["images/a.png", "./images/a.png", "masks/a.png"], "archive_same_name", "images/a.png"),
        (["x/images/a.png", "x/masks/a.png", "y/images/a.png", "y/masks/a.png"], "archive_several", "x/images"),
        (["imgs/a.png", "annotations/a.png"], "archive_empty", "it holds annotations, imgs"),
        (["images/a.png", "images/b.png", "masks/a.png"], "archive_pair_missing", "images/b.png, but no masks/b.png"),
        (["images/a.png", "masks/a.png", "masks/a_mask.png"], "archive_pair_missing", "masks/a_mask.png"),
    ],
)
def test_names_that_leave_the_pairs_open_are_refused(names: list[str], code: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        find_pairs(names, "set.zip")
    assert caught.value.code == code and words in str(caught.value)


parts = st.sampled_from(
    ["images", "masks", "Images", "a", "b", "a_mask", ".", "..", "", "Thumbs.db", "caf\u0065\u0301"]
)
some_names = st.lists(st.builds("/".join, st.lists(parts, max_size=4)) | st.text(max_size=12), max_size=12)


@QUICK
@given(some_names)
def test_any_names_give_each_picture_one_mask_of_its_own_or_a_sentence(names: list[str]) -> None:
    try:
        pairs = find_pairs(names, "set.zip")
    except InputError:
        return
    used = [index for pair in pairs for index in pair]
    assert pairs and len(set(used)) == len(used)
    for image, mask in pairs:
        assert mask is not None
        assert "images" in names[image].casefold() and "masks" in names[mask].casefold()


@QUICK
@given(st.data())
def test_zip_file_damaged_anywhere_gives_its_masks_or_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    whole = one_mask(tmp_path, drawn(INDICES)).read_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.zip"
    path.write_bytes(bytes(damaged))
    try:
        assert understood(path) == [INDICES.tolist()]
    except InputError as error:
        assert error.code.startswith("archive_")


@QUICK
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: FORMS["grey"][:40] + tail))
def test_any_bytes_in_place_of_a_mask_give_a_sentence(tmp_path: Path, content: bytes) -> None:
    assert refusal(one_mask(tmp_path, content)).code.startswith("archive_")


def bits_set(path: Path, at: int, value: bytes, *, where: tuple[bytes, int]) -> None:
    content = bytearray(path.read_bytes())
    place = content.find(where[0])
    while place >= 0:
        content[place + where[1] + at : place + where[1] + at + len(value)] = value
        place = content.find(where[0], place + 4)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("at", "value", "how"), [(0, b"\1", "encrypted"), (2, b"\x09", "method 9"), (2, b"\x0e", "method 14")]
)
def test_file_that_is_packed_otherwise_is_refused_before_any_is_read(
    at: int, value: bytes, how: str, tmp_path: Path
) -> None:
    path = one_mask(tmp_path, drawn(INDICES))
    bits_set(path, at, value, where=(b"PK\1\2", 8))
    with pytest.raises(InputError, match=how) as caught:
        Archive(path)
    assert caught.value.code == "archive_packed"


def test_file_that_unfolds_to_more_than_is_worked_on_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "MAX_FILE", 1000)
    path = packed(tmp_path / "set.zip", ("images/a.png", bytes(1001)), ("masks/a.png", drawn(INDICES)))
    with pytest.raises(InputError) as caught:
        Archive(path)
    assert caught.value.code == "archive_file_too_large"


def test_file_never_gives_more_than_it_declares(tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", ("images/a.png", bytes(10**6)), ("masks/a.png", drawn(INDICES)))
    bits_set(path, 0, struct.pack("<I", 1000), where=(b"PK\1\2", 24))
    files = containers.open_container(path)
    with pytest.raises(zipfile.BadZipFile):  # the checksum of what it declares is another
        files.read(0)
    files.close()


def test_list_of_files_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_INDEX", 50)
    error = refusal(one_mask(tmp_path, drawn(INDICES)))
    assert error.code == "archive_unreadable" and "its list of files takes more" in str(error)


def test_what_would_never_end_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    assert "neither a file nor a folder" in str(refusal(tmp_path / "pipe.zip"))
    folder = tmp_path / "set"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
        os.mkfifo(folder / name / "pipe.png")
    (folder / "images/a.png").write_bytes(photo(4, 2))
    (folder / "masks/a.png").write_bytes(drawn(INDICES))
    (folder / "images/again").symlink_to(folder)
    assert understood(folder) == [INDICES.tolist()]


def test_survey_looks_at_a_bounded_number_of_pairs_that_are_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "OTHERS", 3)
    files = [(f"images/{name}.png", photo(4, 2)) for name in "abcdefgh"]
    files += [(f"masks/{name}.png", drawn(WHITE)) for name in "abcdefgh"]
    read: list[int] = []
    with Archive(packed(tmp_path / "set.zip", *files)) as archive:
        original = archive._files.read
        monkeypatch.setattr(archive._files, "read", lambda index: read.append(index) or original(index))  # type: ignore[func-returns-value]
        assert archive.survey(archive.pairs[:1], 2).white
    assert len(read) == 2 * (1 + 3)
