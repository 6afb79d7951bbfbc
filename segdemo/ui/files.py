"""Which files a stranger's request may name: those it uploaded, and the examples.

Gradio looks at a file's place only where the request marks it as a file, and marking it is up to whoever sends it. So
every value of every request is looked through here, before any component or handler sees it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from segdemo.errors import InputError
from segdemo.examples import EXAMPLES, GIVEN, example
from segdemo.ui.folder import WEIGHTS, is_weights

DEEPEST = 32  # levels of lists and objects within each other; the page sends three
MARK = {"_type": "gradio.FileData"}


def checked_files(value: Any, *, text_is_path: bool = False) -> Any:
    """Return a value as it came, but with the true path in each file it names, and without addresses.

    Args:
        value: JSON of a request.
        text_is_path: where it goes, text on its own is taken for the path of a file.

    Raises:
        InputError: it names a file that was not uploaded, or an address to fetch one from.
    """
    return _checked(value, text_is_path, DEEPEST)


def _checked(value: Any, text_is_path: bool, levels: int) -> Any:
    if levels < 0:
        raise InputError(
            "nested_too_deep",
            "The request nests lists and objects more than {deepest} deep. Send the values that the page or its API "
            "documentation names.",
            deepest=DEEPEST,
        )
    if isinstance(value, list):
        return [_checked(entry, text_is_path, levels - 1) for entry in value]
    if isinstance(value, str):
        return uploaded(value) if text_is_path else value
    if not isinstance(value, dict):
        return value
    file = {name: _checked(entry, False, levels - 1) for name, entry in value.items()}
    if file.get("path") is not None:
        return file | {"path": uploaded(file["path"]), "url": None, "is_stream": False, "meta": MARK}
    if file.get("url") is not None:
        raise _not_uploaded()
    return file


def uploaded(path: object) -> str:
    """Return the true path of a file that was uploaded, or of a copy of an example.

    It is only looked at, never opened: opening a pipe would wait for ever.

    Raises:
        InputError: there is no such file; it is a checkpoint, which may be larger than a picture.
    """
    true = _true_path(path)
    if is_weights(true):
        raise InputError(
            "weights_no_picture",
            "The request gives a checkpoint where a picture is needed: its name ends in {ending}. Give a picture here, "
            "and upload the checkpoint where the page asks for one.",
            ending=Path(true).suffix,
        )
    return true


def uploaded_weights(path: object) -> str:
    """Return the true path of a checkpoint that was uploaded.

    Raises:
        InputError: there is no such file, or its name is none of a checkpoint.
    """
    true = _true_path(path)
    if not is_weights(true):
        raise InputError(
            "no_weights",
            "“{name}” is no checkpoint by its name, which has to end in {endings}. Choose another file, or rename it.",
            name=Path(true).name,
            endings=", ".join(WEIGHTS),
        )
    return true


def _true_path(path: object) -> str:
    try:
        true = Path(os.path.realpath(path, strict=True))  # type: ignore[call-overload]
        regular = stat.S_ISREG(true.lstat().st_mode)
    except (OSError, TypeError, ValueError):
        raise _not_uploaded() from None
    if regular and true.is_relative_to(os.path.realpath(get_upload_folder())):
        return str(true)
    if regular and true in _examples():
        return save_file_to_cache(str(true), get_upload_folder())
    raise _not_uploaded()


def _examples() -> set[Path]:
    found = set()
    for name in (*EXAMPLES, *GIVEN):
        try:
            found.add(example(name).resolve())
        except InputError:  # scikit-image is not installed
            continue
    return found


def _not_uploaded() -> InputError:
    """Say the same whether there is such a file or not."""
    return InputError(
        "not_uploaded",
        "The request names a file that was not uploaded to this page, or was removed since; addresses are not fetched. "
        "Upload the file, once more if need be, and try again.",
    )
