"""A film segmented frame by frame: the frames under their masks as another film, and shares of classes over time."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from segdemo import rendering
from segdemo.commands.files import UNTRAINED, new_file, save_facts, say, writing
from segdemo.commands.rows import Row
from segdemo.encoded import check_size, readable, shown
from segdemo.errors import InputError

if TYPE_CHECKING:
    import av

    from segdemo.results import Result
    from segdemo.segmenter import Segmenter

SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".ogv", ".3gp", ".flv", ".wmv"}
FILM, TABLE, CURVES = "-overlay.mp4", "-shares.csv", "-shares.png"
CODECS = ("libx264", "mpeg4")  # the first that this FFmpeg can write; nearly everything plays both
OPACITY = 0.6


def is_film(path: Path) -> bool:
    """Say whether a file is named as films are."""
    return path.suffix.lower() in SUFFIXES


def segment_film(segmenter: Segmenter, path: Path, target: Path, size: int | None) -> Row:
    """Segment a film, write its files, and return what there is to say of it.

    Args:
        segmenter: the network.
        path: of the film.
        target: what the names of the results begin with.
        size: input size in pixels; None takes the network's own.

    Raises:
        InputError: it is no film, its frames are too large, the network does not segment, PyAV is missing, or a file
            cannot be written.
    """
    if segmenter.spec.task != "segmentation":
        raise InputError(
            "film_needs_masks",
            "{network} gives no mask, and a film needs one for each frame. Choose a network that segments; `segdemo "
            "networks` lists them.",
            network=segmenter.spec.title,
        )
    with writing(target.parent), _opened(path) as film:
        course = Course(segmenter, size)
        with new_file(f"{target}{FILM}", alone=True) as beside, _library().open(str(beside), "w") as written:
            _copy(film, written, course, path)
        course.write_table(Path(f"{target}{TABLE}"))
        course.write_curves(Path(f"{target}{CURVES}"))
        facts = _facts(path, course)
        save_facts(facts, f"{target}.json")
    means = sorted(course.means().items(), key=lambda one: -one[1])
    found = ", ".join(f"{name} {share:.1f} %" for name, share in means if share)
    trained = "" if segmenter.trained else f" ({UNTRAINED})"
    said = f"{shown(str(path))}: {len(course.rows)} frames, {found} → {shown(str(target))}{FILM}{trained}"
    notes = course.notes
    return {
        "picture": readable(str(path)),
        "result": readable(str(target)),
        "said": said,
        "notes": notes,
        "facts": facts,
    }


class Course:
    """What a network says of frame after frame.

    Args:
        segmenter: the network.
        size: input size in pixels; None takes the network's own.
    """

    def __init__(self, segmenter: Segmenter, size: int | None) -> None:
        from segdemo.opened import bare
        from segdemo.predictions import Predictor

        self.segmenter = segmenter
        self.rows: list[tuple[float, list[float]]] = []  # (seconds, share of each class in percent), frame by frame
        self.notes: list[str] = []
        self.size = (0, 0)
        self._predictor = Predictor(bare(segmenter.network), segmenter.spec, size, precision=segmenter.precision)

    def frame(self, picture: Image.Image, seconds: float) -> Image.Image:
        """Segment a frame and take down its shares; returns it under its mask.

        Args:
            picture: RGB.
            seconds: from the start of the film.
        """
        result: Result = self._predictor.run(picture)
        shares = {share.index: share.percent for share in result.classes}
        self.rows.append((seconds, [shares.get(index, 0.0) for index in range(len(result.known))]))
        self.size = picture.size
        hidden = frozenset(one.index for one in result.classes if one.hidden)
        return rendering.overlay(picture, result.mask, [one.colour for one in result.known], OPACITY, hidden)

    def note(self, said: str, path: Path) -> None:
        """Keep and say what should be known of the film."""
        self.notes.append(said)
        say(f"segdemo: {shown(str(path))}: {said}", error=True)

    def means(self) -> dict[str, float]:
        """Return the mean share of each class over all frames, in percent."""
        values = np.array([shares for _, shares in self.rows])
        return dict(zip(self.segmenter.classes, values.mean(0).tolist(), strict=True))

    def write_table(self, path: Path) -> None:
        """Write a row for each frame: its number, its moment in seconds, and the share of each class in percent."""
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["frame", "seconds", *self.segmenter.classes])
            for number, (seconds, shares) in enumerate(self.rows):
                writer.writerow([number, f"{seconds:.3f}", *(f"{share:.4f}" for share in shares)])

    def write_curves(self, path: Path) -> None:
        """Draw the shares over time, of the classes that are there, without what is hidden as background."""
        seconds = [moment for moment, _ in self.rows]
        values = np.array([shares for _, shares in self.rows]).T
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.subplots()
        for one, curve in zip(self.segmenter.spec.classes, values, strict=True):
            if curve.any() and not one.hidden:
                axes.plot(seconds, curve, color=one.colour, label=one.name)
        if axes.lines:
            axes.legend()
        axes.set_xlabel("seconds")
        axes.set_ylabel("share of the frame in %")
        axes.grid(visible=True, alpha=0.3)
        figure.savefig(path, dpi=100, format="png")


def _facts(path: Path, course: Course) -> dict[str, Any]:
    segmenter = course.segmenter
    facts: dict[str, Any] = {
        "film": readable(path.name),
        "network": segmenter.spec.name,
        "trained": segmenter.trained,
        "size": course.size,
        "frames": len(course.rows),
        "seconds": course.rows[-1][0],
        "shares": course.means(),
    }
    return facts | ({"notes": course.notes} if course.notes else {})


def _copy(film: av.container.InputContainer, written: av.container.OutputContainer, course: Course, path: Path) -> None:
    """Segment every frame, and write each at its own moment."""
    library, source = _library(), film.streams.video[0]
    base = source.time_base or Fraction(1, 1000)
    stream: Any = None
    last = -1
    frames = tqdm(_frames(film, course, path), total=source.frames or None, unit="frame", disable=None)
    for frame, pixels in frames:
        picture = Image.fromarray(pixels)
        if stream is None:
            check_size(*picture.size, readable(path.name))
            codec = next(name for name in CODECS if name in library.codecs_available)
            stream = written.add_stream(codec, rate=source.average_rate or 25)
            stream.width, stream.height = (side + side % 2 for side in picture.size)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = base
        elif picture.size != course.size:
            course.note(f"its frames change their size after frame {len(course.rows)}; the rest is left out", path)
            break
        last = last + 1 if frame.pts is None else max(frame.pts, last + 1)  # time goes on where films were joined
        overlaid = np.asarray(course.frame(picture, float(last * base)))
        padded = np.pad(overlaid, [(0, side % 2) for side in overlaid.shape[:2]] + [(0, 0)], mode="edge")
        drawn = library.VideoFrame.from_ndarray(padded, format="rgb24")
        drawn.pts, drawn.time_base = last, base
        written.mux(stream.encode(drawn))
    if stream is None:
        raise InputError(
            "film_empty", "{name} has no frame that can be read. Give a film that plays.", name=readable(path.name)
        )
    written.mux(stream.encode())


def _frames(
    film: av.container.InputContainer, course: Course, path: Path
) -> Iterator[tuple[av.VideoFrame, np.ndarray]]:
    """Yield each frame, and its pixels as they are meant to be seen, (H, W, 3) uint8; say where a film breaks off."""
    library = _library()
    source = film.streams.video[0]
    source.thread_type = "AUTO"
    try:
        for frame in film.decode(source):
            turned = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
            yield frame, np.ascontiguousarray(turned)
    except library.FFmpegError as error:
        if not course.rows:
            raise
        course.note(f"broken off after frame {len(course.rows)}: {error.strerror}", path)


@contextmanager
def _opened(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a film that has frames.

    Raises:
        InputError: it is none.
    """
    library = _library()
    try:
        with library.open(str(path)) as film:
            if not film.streams.video:
                raise ValueError("it has no picture")
            if film.streams.audio:
                say(f"segdemo: {shown(str(path))}: the sound is left out", error=True)
            yield film
    except InputError:
        raise
    except (library.FFmpegError, ValueError) as error:
        raise InputError(
            "film_unreadable",
            "{name} cannot be read as a film: {reason}. Give one that plays, such as an MP4 or WebM file.",
            name=readable(path.name),
            reason=getattr(error, "strerror", None) or str(error),
        ) from error


def _library() -> Any:
    """Return PyAV, or say how it is installed."""
    try:
        import av
    except ImportError as error:
        raise InputError(
            "film_library_missing",
            'Films need PyAV, which is not installed. Install it: pip install "segdemo[video]" (in a clone: pip '
            'install "av>=15,<19").',
        ) from error
    return av
