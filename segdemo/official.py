"""Official weights of torchvision's networks: a file that is there, or one that is fetched when it is asked for.

They are looked for in the folder of the checkpoints and in PyTorch's own cache, ``$TORCH_HOME/hub/checkpoints``, under
the name that they have at their source, which ends in the beginning of their SHA-256; a file is used only if that is
right. Nothing is fetched but by :func:`fetch`. ``SEGDEMO_MIRROR`` names another place to fetch them from,
``SEGDEMO_DOWNLOADS=0`` forbids it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segdemo import checkpoints
from segdemo.errors import InputError
from segdemo.networks.network import Network
from segdemo.weights import read_state, refusals

HOST = "https://download.pytorch.org/models"
CHUNK = 1 << 20  # bytes read at a time
PATIENCE = 20  # seconds without a byte
SPARE = 256 << 20  # bytes left free on the disk
LEAST_HASH = 8  # hex digits in a file's name
EXTRA = ("aux", "AuxLogits.")  # beginnings of names of tensors that only training uses
DENSE = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$")


@dataclass(frozen=True)
class Source:
    """Where official weights are.

    Args:
        file: their file's name.
        address: from where they are fetched.
        hash: beginning of the SHA-256 of their file, hex.
        megabytes: size of the file, about.
    """

    file: str
    address: str
    hash: str
    megabytes: float


@dataclass(frozen=True)
class State:
    """How far the weights are on their way here.

    Args:
        file: their file's name.
        megabytes: size of the file, about.
        there: whether they can be used.
        running: whether they are being fetched.
        done: bytes that have come.
        total: bytes there are, 0 while that is not known.
        error: why they could not be fetched, None while nothing went wrong.
    """

    file: str
    megabytes: float
    there: bool = False
    running: bool = False
    done: int = 0
    total: int = 0
    error: InputError | None = None


def source_of(spec: Network) -> Source:
    """Return where the official weights of a network are; torchvision knows without asking anybody.

    Raises:
        InputError: there are none.
    """
    if not spec.official:
        raise InputError(
            "official_none",
            "There are no official weights of {network}. Use those that it has, or load a checkpoint.",
            network=spec.title,
        )
    from torchvision.models import get_model_weights

    weights: Any = get_model_weights(spec.official)
    weights = getattr(weights, "DEFAULT", None) or next(iter(weights))
    file = weights.url.rpartition("/")[2]
    place = os.environ.get("SEGDEMO_MIRROR", HOST).rstrip("/")
    found = re.search(rf"-([0-9a-f]{{{LEAST_HASH},}})\.", file)
    assert found is not None, file
    return Source(file, f"{place}/{file}", found[1], float(weights.meta.get("_file_size", 0)))


def folders() -> tuple[Path, Path]:
    """Return where files of weights are looked for; what is fetched goes into the last one."""
    return checkpoints.folder(), Path(torch.hub.get_dir()) / "checkpoints"


def path_of(source: Source) -> Path | None:
    """Return where the file of weights is, None where it is nowhere."""
    return next((folder / source.file for folder in folders() if (folder / source.file).is_file()), None)


def load(network: nn.Module, spec: Network) -> None:
    """Load official weights that are here; nothing is fetched.

    Args:
        network: changed in place.
        spec: of the network.

    Raises:
        InputError: there is no file of them, or it is not what it should be.
    """
    source = source_of(spec)
    path = path_of(source)
    if path is None:
        raise InputError(
            "official_missing",
            "The official weights of {network} are not here, and are fetched only when asked for. Ask for them beside "
            "the menu of networks, or put the file {file} into {folder}.",
            network=spec.title,
            file=source.file,
            folder=folders()[-1],
        )
    with refusals(path):
        if not _sha256(path).startswith(source.hash):
            raise _altered(source, path)
        state = {DENSE.sub(r"\1\2", name): value for name, value in read_state(path).items()}
    wanted = network.state_dict()
    if not any(name in state for name in wanted):
        raise _altered(source, path)
    values = {name: value for name, value in state.items() if name in wanted or not name.startswith(EXTRA)}
    report = checkpoints.load_fitting(network, values, path)
    missing = [name for name in report.missing if not name.endswith("num_batches_tracked")]  # old files have none
    if missing or report.unexpected or report.mismatched:
        raise checkpoints.does_not_fit(path, spec.name, missing, report)


class _Fetching:
    """The one file that is being fetched, in a thread of its own, and what became of others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, State] = {}
        self._running = ""

    def state(self, spec: Network) -> State:
        """Say how far the weights of a network are."""
        source = source_of(spec)
        there = path_of(source) is not None
        with self._lock:
            known = self._states.get(source.file)
        if known is None or (there and not known.running):
            return State(source.file, source.megabytes, there)
        return known

    def start(self, spec: Network) -> State:
        """Begin to fetch the weights of a network, unless they are here or on their way.

        Raises:
            InputError: others are being fetched, there is no room, or it is forbidden.
        """
        source = source_of(spec)
        if path_of(source) is not None:
            return self.state(spec)
        if os.environ.get("SEGDEMO_DOWNLOADS") == "0":
            raise InputError(
                "official_forbidden",
                "Here nothing is fetched from elsewhere. Whoever runs this page can put the file {file} into {folder}.",
                file=source.file,
                folder=folders()[-1],
            )
        with self._lock:
            if self._running and self._running != source.file:
                raise InputError(
                    "official_busy",
                    "{file} is being fetched, and one file at a time is. Try again when it is here.",
                    file=self._running,
                )
            if not self._running:
                self._running = source.file
                self._states[source.file] = State(source.file, source.megabytes, running=True)
                threading.Thread(target=self._work, args=(source,), name="segdemo-official", daemon=True).start()
        return self.state(spec)

    def _work(self, source: Source) -> None:
        error: InputError | None = None
        try:
            self._fetch(source)
        except InputError as refusal:
            error = refusal
        except Exception as trouble:  # of the network, of the disk: anything
            error = _failed(source, trouble)
        with self._lock:
            self._running = ""
            self._states[source.file] = State(source.file, source.megabytes, there=error is None, error=error)

    def _fetch(self, source: Source) -> None:
        """Fetch a file under a name of its own, check it, and only then give it its name."""
        folder = folders()[-1]
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{source.file}.{os.getpid()}.part"
        request = urllib.request.Request(source.address, headers={"User-Agent": "segdemo"})
        digest, done = hashlib.sha256(), 0
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as came, part.open("wb") as file:
                total = int(came.headers.get("Content-Length") or 0)
                most = total or int((2 * source.megabytes + 16) * 1e6)
                if shutil.disk_usage(folder).free < most + SPARE:
                    raise _no_room(source, folder)
                while piece := came.read(CHUNK):
                    done += len(piece)
                    if done > most:
                        break
                    digest.update(piece)
                    file.write(piece)
                    with self._lock:
                        self._states[source.file] = State(
                            source.file, source.megabytes, running=True, done=done, total=total
                        )
            if (total and done != total) or not digest.hexdigest().startswith(source.hash):
                raise InputError(
                    "official_broken",
                    "What came from {address} is not the file of the weights: it has {done} bytes and SHA-256 "
                    "{found}…, and {wanted}… is needed. Try again; if it stays so, put the right file into {folder}.",
                    address=source.address,
                    done=done,
                    found=digest.hexdigest()[: len(source.hash)],
                    wanted=source.hash,
                    folder=folder,
                )
            part.replace(folder / source.file)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


_FETCHING = _Fetching()


def state_of(spec: Network) -> State:
    """Say whether the official weights of a network are here, or how far they are on their way.

    Raises:
        InputError: there are none.
    """
    return _FETCHING.state(spec)


def fetch(spec: Network) -> State:
    """Begin to fetch the official weights of a network, in the background, one file at a time.

    Raises:
        InputError: there are none, others are being fetched, or it is forbidden.
    """
    return _FETCHING.start(spec)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def _altered(source: Source, path: Path) -> InputError:
    return InputError(
        "official_altered",
        "The file {path} is not what its name says: its SHA-256 should begin with {wanted}. Remove it, and fetch it "
        "again.",
        path=path,
        wanted=source.hash,
    )


def _no_room(source: Source, folder: Path) -> InputError:
    return InputError(
        "official_no_room",
        "There is no room for {file}, about {megabytes} MB, in {folder}. Free some, or set TORCH_HOME to another "
        "folder.",
        file=source.file,
        megabytes=round(source.megabytes),
        folder=folder,
    )


def _failed(source: Source, trouble: Exception) -> InputError:
    """Say why a file could not be fetched."""
    cause = getattr(trouble, "reason", trouble)
    if isinstance(trouble, urllib.error.HTTPError):
        reason = f"it answered {trouble.code}"
    elif isinstance(trouble, OSError) and getattr(trouble, "errno", None) == 28:
        return _no_room(source, folders()[-1])
    elif isinstance(cause, TimeoutError | socket.timeout):
        reason = "it did not answer in time"
    else:
        reason = getattr(cause, "strerror", None) or str(cause) or type(trouble).__name__
    return InputError(
        "official_unreachable",
        "{address} cannot be reached: {reason}. The weights are fetched over the internet: connect this machine, or "
        "put the file {file} into {folder}.",
        address=source.address,
        reason=str(reason).rstrip("."),
        file=source.file,
        folder=folders()[-1],
    )
