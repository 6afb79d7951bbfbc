"""Photographs to start with: those scikit-image ships, free to use, read from disk without importing it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from segdemo.errors import InputError

FILES = {
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "motorcycle": "motorcycle_left.png",
    "coffee": "coffee.png",
}


def example(name: str) -> Path:
    """Return the file of an example picture.

    Args:
        name: one of ``FILES``.

    Raises:
        InputError: no such example, or scikit-image is not installed.
    """
    if name not in FILES:
        raise InputError(
            "unknown_example",
            "There is no example called {name!r}; the examples are {names}.",
            name=name,
            names=", ".join(FILES),
        )
    package = find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise InputError(
            "examples_missing",
            "The example pictures come with the package scikit-image, which is not installed; "
            "run `pip install -r requirements.txt`.",
        )
    return Path(package.submodule_search_locations[0]) / "data" / FILES[name]
