"""The folder for uploads and for the files of results: this process's own, private, bounded, gone when it ends."""

from __future__ import annotations

import atexit
import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from segdemo.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: folders that a killed process left are not found again
    fcntl = None  # type: ignore[assignment]

MOST_BYTES = 1 << 30  # of pictures and of the files of results
MOST_WEIGHTS = 4  # checkpoints that arrive, or wait to be read, of all visitors; each leaves as soon as it is read
WEIGHTS_SECONDS = 120  # a page asks for its checkpoint at once: one that nobody asked for is nobody's
PREFIX = "segdemo-files-"
LOCK = ".lock"
WEIGHTS = (".pth", ".pt", ".ckpt", ".safetensors")  # how the names of checkpoints end
UNLOCKED_SECONDS = 3600  # a folder without a lock for so long is nobody's who has only just begun
PART_SECONDS = 900  # an upload takes no longer; a part older than that was left behind
FULL = {errno.ENOSPC, errno.EDQUOT}


class Folder:
    """A private folder, which one process holds by a lock in it as long as it lives.

    Whatever a killed process of the same user left beside it is removed when it is made.

    Args:
        parent: where it is made, under a name that nobody can foresee.
        most: bytes kept at most; the files used longest ago leave first.

    Raises:
        InputError: no such folder can be made there, or others could read it.
    """

    def __init__(self, parent: Path, most: int = MOST_BYTES) -> None:
        self.most = most
        self._seed = secrets.token_bytes(32)  # nobody can name the file of a picture that they only know
        self._added = 0  # bytes since the last look
        self._arriving: set[Path] = set()  # parts of checkpoints
        self._lock = threading.Lock()
        self._owner = os.getpid()
        _remove_abandoned(parent)
        try:
            self.path = _make(parent)
        except OSError as error:
            raise InputError(
                "folder_unwritable",
                "No folder for uploads can be made in {parent}: {reason}. The app needs a folder that it may write to. "
                "Set GRADIO_TEMP_DIR to another.",
                parent=parent,
                reason=error.strerror or type(error).__name__,
            ) from error
        if not _is_private(self.path):
            self.remove()
            raise InputError(
                "folder_not_private",
                "What is written in {parent} can be read by other users of this machine. The folder for uploads must "
                "be private. Set GRADIO_TEMP_DIR to a folder on another file system.",
                parent=parent,
            )

    def keep(self, data: bytes, name: str) -> str:
        """Store bytes under their fingerprint, at once or not at all; a file that is there already is not touched.

        Args:
            data: content.
            name: the file's own name.

        Returns:
            Path of the file.

        Raises:
            InputError: the disk is full.
        """
        path = self.path / hashlib.blake2b(data, key=self._seed, digest_size=20).hexdigest() / Path(name).name
        with suppress(FileNotFoundError):
            os.utime(path)  # used just now, so that it is not the next to leave
            return str(path)
        self.reserve(len(data))
        try:
            self._write(data, path)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.tidy(self.size() // 2)
            try:
                self._write(data, path)
            except OSError as again:
                raise disk_full() from again
        return str(path)

    def begin_weights(self, part: Path) -> None:
        """Let a checkpoint arrive, beside the bytes that there are for all else.

        Args:
            part: where it is written.

        Raises:
            InputError: too many arrive already.
        """
        with self._lock:
            waiting = [(path, status) for path, status in self._files() if is_weights(path)]
            for path, status in waiting:
                if time.time() - status.st_mtime > WEIGHTS_SECONDS:
                    _unlink(path)
            self._arriving = {path for path in self._arriving if path.exists()}
            if len(self._arriving) + sum(path.exists() for path, _ in waiting) >= MOST_WEIGHTS:
                raise InputError(
                    "weights_arriving",
                    "{most} checkpoints are being uploaded by visitors just now, and no more fit at once. Please try "
                    "again in a minute.",
                    most=MOST_WEIGHTS,
                )
            self._arriving.add(part)

    def end_weights(self, part: Path) -> None:
        """Note that a checkpoint has arrived, or broken off."""
        with self._lock:
            self._arriving.discard(part)

    def reserve(self, count: int) -> None:
        """Make room for bytes that are about to be written.

        Args:
            count: bytes.

        Raises:
            InputError: nothing more can be removed; all that is there is being written just now.
        """
        with self._lock:
            self._added += count
            if self._added < self.most // 8:
                return
            self._added = 0
        if self.tidy(self.most - self.most // 4) > self.most - self.most // 8:
            raise InputError(
                "folder_full",
                "The uploads under way take more room than the {most} MB that there is for them. "
                "Please try again in a minute.",
                most=self.most >> 20,
            )

    def tidy(self, most: int) -> int:
        """Remove parts of broken uploads, then the files used longest ago, down to a number of bytes.

        Args:
            most: bytes.

        Returns:
            How many bytes are left.
        """
        now = time.time()
        found = []
        total = 0
        for path, status in self._files():
            is_part = path.parent == self.path
            if path in self._arriving or is_weights(path):  # these have a bound of their own
                if now - status.st_mtime > PART_SECONDS:
                    _unlink(path)
                continue
            if is_part and now - status.st_mtime > PART_SECONDS:
                _unlink(path)
                continue
            total += status.st_size
            if not is_part:
                found.append((status.st_mtime, status.st_size, path))
        for _, size, path in sorted(found):
            if total <= most:
                break
            _unlink(path)
            total -= size
        return total

    def size(self) -> int:
        """Return how many bytes its files take."""
        return sum(status.st_size for _, status in self._files())

    def remove(self) -> None:
        """Remove it with all that is in it; a forked child leaves it to its parent."""
        if os.getpid() == self._owner:
            shutil.rmtree(self.path, ignore_errors=True)

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        files = []
        for folder, _, names in os.walk(self.path):
            for name in names:
                path = Path(folder, name)
                if name != LOCK:
                    with suppress(OSError):
                        files.append((path, path.lstat()))
        return files

    def _write(self, data: bytes, path: Path) -> None:
        handle, part = tempfile.mkstemp(dir=self.path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            while True:
                path.parent.mkdir(exist_ok=True)
                with suppress(FileNotFoundError):  # the folder was tidied away at this moment
                    os.replace(part, path)
                    return
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise


def is_weights(path: Path | str | None) -> bool:
    """Say whether a file is called as checkpoints are."""
    return Path(str(path)).suffix.lower() in WEIGHTS


def disk_full() -> InputError:
    """Return what to say when there is no room for a file."""
    return InputError(
        "disk_full",
        "The server's disk is full, so this file could not be stored. Nothing else was changed. "
        "Please try again later, or with a smaller picture.",
    )


def _make(parent: Path) -> Path:
    """Make a folder and lock it; until the lock is held, another process may take it for abandoned."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)).resolve()
        handle = os.open(path / LOCK, os.O_CREAT | os.O_RDWR, 0o600)  # closed, and with it unlocked, at the end only
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return path
        os.close(handle)


def _is_private(path: Path) -> bool:
    """Say whether a path is a folder of our own that nobody else may look into."""
    status = path.lstat()
    if not hasattr(os, "geteuid"):
        return stat.S_ISDIR(status.st_mode)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _unlink(path: Path) -> None:
    """Remove a file, and its folder when it was the last in it."""
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def _remove_abandoned(parent: Path) -> None:
    """Remove folders of this user whose process ended without removing them: their lock is free."""
    if fcntl is None:
        return
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if _is_private(path) and _is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path: Path) -> bool:
    try:
        handle = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - path.lstat().st_mtime > UNLOCKED_SECONDS
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


_current: Folder | None = None
_claiming = threading.Lock()


def claim() -> Folder:
    """Return the folder of this process, made at the first call; Gradio is told to use it too.

    It lies in GRADIO_TEMP_DIR where that is set, else in the system's folder for temporary files.

    Raises:
        InputError: as :class:`Folder`.
    """
    global _current
    with _claiming:
        if _current is None:
            _current = Folder(_parent())
            atexit.register(_current.remove)
        _current.path.mkdir(mode=0o700, exist_ok=True)
        os.environ["GRADIO_TEMP_DIR"] = str(_current.path)
        return _current


def _parent() -> Path:
    asked = os.environ.get("GRADIO_TEMP_DIR")
    if not asked:
        return Path(tempfile.gettempdir())
    path = Path(asked).absolute()
    if path.name.startswith(PREFIX):  # inherited from a process that made it for itself
        return path.parent
    with suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
    return path
