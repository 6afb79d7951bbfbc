"""Pictures to start with: photographs that scikit-image ships, read from disk without importing it, and a digit.

The digit, 5, is from the part of scikit-learn's digits that LeNet was tested on, enlarged to 32 × 32 pixels as there:
Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, https://doi.org/10.24432/C50P49, CC BY 4.0.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from segdemo.errors import InputError

PHOTOGRAPHS = {
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "motorcycle": "motorcycle_left.png",
    "coffee": "coffee.png",
}
FIRST = "chelsea"  # the one shown first
DIGIT = "digit"
EXAMPLES = (*PHOTOGRAPHS, DIGIT)
GIVEN: dict[str, Path] = {}  # pictures of a person's own, offered in their place on a page of their own


def example(name: str) -> Path:
    """Return the file of an example picture.

    Args:
        name: one of ``EXAMPLES`` or ``GIVEN``.

    Raises:
        InputError: no such example, or scikit-image is not installed.
    """
    if name in GIVEN:
        return GIVEN[name]
    if name not in EXAMPLES:
        raise InputError(
            "unknown_example",
            "There is no example called {name!r}; the examples are {names}.",
            name=name,
            names=", ".join(EXAMPLES),
        )
    if name == DIGIT:
        return Path(__file__).parent / "pictures" / "digit.png"
    package = find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise InputError(
            "examples_missing",
            "The example pictures come with the package scikit-image, which is not installed; "
            "run `pip install -r requirements.txt`.",
        )
    return Path(package.submodule_search_locations[0]) / "data" / PHOTOGRAPHS[name]
