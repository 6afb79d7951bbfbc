"""The pictures of a gallery, one by one and all of them, on the two-layer network whose masks are known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from segdemo.engine import LocalEngine
from segdemo.errors import InputError
from segdemo.explain.judge import GalleryFacts, Judge, Judged, Photograph, Pictures, WorstFirst
from segdemo.explain.python import worst_python
from segdemo.explain.worst import Worst, worst_first
from segdemo.gallery import gallery_in, gallery_of
from segdemo.questions import Run
from segdemo.truth import Truth
from tests.explain.conftest import LINEAR, SIZE, Linear
from tests.explain.test_python import told
from tests.explain.test_worst import folder


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    from segdemo.networks import NETWORKS

    engine = LocalEngine({"linear": LINEAR, "lenet": NETWORKS["lenet"]})
    yield engine
    engine.close()


def test_a_gallery_of_a_folder_is_judged_as_the_command_judges_it(engine: LocalEngine, tmp_path: Path) -> None:
    data = folder(tmp_path, [1.0, 0.25, 0.5, 0.75, 0.1, 0.9])
    engine.gallery = gallery_in(data, LINEAR.names)
    names = tuple(f"images/{number}.webp" for number in range(6))
    assert engine.answer(Pictures()) == GalleryFacts(names, True, str(data))
    one: Judged = engine.answer(Judge("linear", "images/1.webp"))
    assert one.iou == pytest.approx(0.125) and one.shares == (("one", 100.0),)
    assert one.picture == engine.keep(tmp_path / "images" / "1.webp")
    with Image.open(tmp_path / "images" / "1.webp") as truth:
        assert engine.answer(Photograph("images/1.webp")).tobytes() == truth.convert("RGB").tobytes()
    found: Worst = engine.answer(WorstFirst("linear"))
    assert found == worst_first(engine, "linear", data)
    assert found.telling
    code = worst_python(Run("linear", "", 32), str(data), masked=True)
    assert told(code, network=Linear()).masked


def test_without_ground_truth_the_least_sure_comes_first(engine: LocalEngine, tmp_path: Path) -> None:
    data = folder(tmp_path, [1.0, 1.0, 1.0])
    engine.gallery = gallery_in(data, LINEAR.names, masked=False)
    assert engine.answer(WorstFirst("linear")) == worst_first(engine, "linear", data, masked=False)
    assert engine.answer(Judge("linear", "images/0.webp")).iou is None


def test_pictures_without_ground_truth_are_left_out_where_others_have_it(engine: LocalEngine, tmp_path: Path) -> None:
    folder(tmp_path, [0.0, 1.0])
    files = {str(number): tmp_path / "images" / f"{number}.webp" for number in range(2)}
    engine.gallery = gallery_of(files, masked=True)
    mask = tmp_path / "masks" / "1.png"
    engine.truths[engine.keep(files["1"])] = Truth(mask, "1.png", LINEAR.names, (SIZE, SIZE))
    found: Worst = engine.answer(WorstFirst("linear"))
    assert [(one.name, one.score) for one in found.pictures] == [("1", 1.0)]


def test_an_engine_without_gallery_has_no_pictures_and_reads_none(engine: LocalEngine, tmp_path: Path) -> None:
    assert engine.answer(Pictures()) == GalleryFacts((), False, "")
    file = tmp_path / "secret.png"
    Image.new("RGB", (4, 4)).save(file)
    for question in (Photograph(str(file)), Judge("linear", str(file))):
        with pytest.raises(InputError, match="no picture called") as refused:
            engine.answer(question)
        assert refused.value.code == "gallery_picture"


def test_a_classifier_is_refused(engine: LocalEngine, tmp_path: Path) -> None:
    engine.gallery = gallery_in(folder(tmp_path, [1.0]), LINEAR.names)
    with pytest.raises(InputError, match="no mask to score"):
        engine.answer(Judge("lenet", "images/0.webp"))
