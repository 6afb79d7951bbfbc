"""The controls of a lab: what each may be set to, and how a word of an address or a command becomes its value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from segdemo.errors import InputError

SHOWN = 40  # characters of a wrong value in a message


class Control(Protocol):
    """What every control has."""

    @property
    def default(self) -> Any:
        """What it is set to at first."""

    @property
    def when(self) -> Mapping[str, tuple[Any, ...]]:
        """It counts only while these other settings have one of these values."""

    def check(self, name: str, value: Any) -> Any:
        """Return a value if the control takes it, else raise an InputError."""

    def read(self, name: str, word: str) -> Any:
        """Return the value that a word stands for, else raise an InputError."""

    def write(self, value: Any) -> str:
        """Return the word for a value, without characters that an address would have to escape."""


@dataclass(frozen=True)
class Choice:
    """One of a few words.

    Args:
        default: at first.
        options: all of them.
        when: see :class:`Control`.
    """

    default: str
    options: tuple[str, ...]
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check(self, name: str, value: Any) -> str:
        """Return a value that is one of the options."""
        if isinstance(value, str) and value in self.options:
            return value
        raise InputError(
            "setting_choice",
            "“{name}” has to be one of {options}, but {came} came. Choose one of them.",
            name=name,
            options=", ".join(self.options),
            came=_shown(value),
        )

    def read(self, name: str, word: str) -> str:
        """Return the option of that name."""
        return self.check(name, word)

    def write(self, value: str) -> str:
        """Return the option."""
        return value


@dataclass(frozen=True)
class Switch:
    """On or off.

    Args:
        default: at first.
        when: see :class:`Control`.
    """

    default: bool
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check(self, name: str, value: Any) -> bool:
        """Return a value that is True or False."""
        if isinstance(value, bool):
            return value
        raise InputError(
            "setting_switch", "“{name}” is on (1) or off (0), but {came} came. Set it to one.", name=name,
            came=_shown(value)
        )  # fmt: skip

    def read(self, name: str, word: str) -> bool:
        """Return True for "1" and False for "0"."""
        return self.check(name, {"1": True, "0": False}.get(word, word))

    def write(self, value: bool) -> str:
        """Return "1" or "0"."""
        return str(int(value))


@dataclass(frozen=True)
class Whole:
    """A whole number.

    Args:
        default: at first.
        least: the smallest.
        most: the greatest.
        when: see :class:`Control`.
    """

    default: int
    least: int
    most: int
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check(self, name: str, value: Any) -> int:
        """Return a value within the range."""
        if isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most:
            return value
        raise InputError(
            "setting_whole",
            "“{name}” has to be a whole number from {least} to {most}, but {came} came. Set it to one of them.",
            name=name,
            least=self.least,
            most=self.most,
            came=_shown(value),
        )

    def read(self, name: str, word: str) -> int:
        """Return the number that a word writes."""
        return self.check(name, int(word) if re.fullmatch(r"-?[0-9]{1,9}", word) else word)

    def write(self, value: int) -> str:
        """Return the number."""
        return str(value)


@dataclass(frozen=True)
class Number:
    """A finite number.

    Args:
        default: at first.
        least: the smallest.
        most: the greatest.
        when: see :class:`Control`.
    """

    default: float
    least: float
    most: float
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check(self, name: str, value: Any) -> float:
        """Return a value within the range."""
        if isinstance(value, int | float) and not isinstance(value, bool) and self.least <= value <= self.most:
            return float(value)
        raise InputError(
            "setting_number",
            "“{name}” has to be a number from {least} to {most}, but {came} came. Type one such number.",
            name=name,
            least=self.least,
            most=self.most,
            came=_shown(value),
        )

    def read(self, name: str, word: str) -> float:
        """Return the number that a word writes."""
        return self.check(name, number(word))

    def write(self, value: float) -> str:
        """Return the number as briefly as it stays exact."""
        return repr(float(value)).removesuffix(".0")


@dataclass(frozen=True)
class Cells:
    """A square of finite numbers, row by row.

    Args:
        default: at first.
        side: cells in a row at most.
        reach: the greatest number in absolute terms.
        when: see :class:`Control`.
    """

    default: tuple[float, ...]
    side: int
    reach: float
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check(self, name: str, value: Any) -> tuple[float, ...]:
        """Return a square of numbers within reach."""
        given = list(value) if isinstance(value, list | tuple) else [value]
        for cell in given:
            finite = isinstance(cell, int | float) and not isinstance(cell, bool) and math.isfinite(cell)
            if not finite or abs(cell) > self.reach:
                raise InputError(
                    "setting_cell",
                    "Every cell of “{name}” has to be a finite number from −{reach} to {reach}, but {came} came: one "
                    "NaN or infinity in a kernel would make every sum it takes part in one too. Type a number.",
                    name=name,
                    reach=f"{self.reach:g}",
                    came=_shown(cell),
                )
        if len(given) > self.side**2 or math.isqrt(len(given)) ** 2 != len(given):
            raise InputError(
                "setting_square",
                "“{name}” has to be a square of at most {side} × {side} numbers, but {count} came. Give a number for "
                "each cell, row by row.",
                name=name,
                side=self.side,
                count=len(given),
            )
        return tuple(float(cell) for cell in given)

    def read(self, name: str, word: str) -> tuple[float, ...]:
        """Return the numbers that a word writes, with "_" between them."""
        return self.check(name, [number(part) for part in word[:4000].split("_")])

    def write(self, value: tuple[float, ...]) -> str:
        """Return the numbers with "_" between them."""
        return "_".join(repr(float(cell)).removesuffix(".0") for cell in value)


@dataclass(frozen=True)
class Drawing:
    """A drawing of square points, ink or none, row by row, eight points in two hexadecimal digits.

    Args:
        default: at first.
        side: points in a row and in a column, a multiple of 8.
        examples: drawings to choose from.
        when: see :class:`Control`.
    """

    default: str
    side: int
    examples: tuple[str, ...] = ()
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check(self, name: str, value: Any) -> str:
        """Return a value that has all points."""
        digits = self.side**2 // 4
        if isinstance(value, str) and re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
            return value
        raise InputError(
            "setting_drawing",
            "“{name}” has to be {digits} digits from 0 to f, one for every four points of {side} × {side}, but {came} "
            "came. Draw it anew.",
            name=name,
            digits=digits,
            side=self.side,
            came=_shown(value),
        )

    def read(self, name: str, word: str) -> str:
        """Return the drawing."""
        return self.check(name, word)

    def write(self, value: str) -> str:
        """Return the drawing."""
        return value


def number(word: str) -> float | str:
    """Return the number that a word writes, or the word where it writes none that is finite."""
    try:
        value = float(word.replace("−", "-"))
    except ValueError:
        return word
    return value if math.isfinite(value) else word


def _shown(value: Any) -> str:
    """Write a value for a message, cut where it is long."""
    words = f"“{value}”" if isinstance(value, str) else repr(value)
    return words if len(words) <= SHOWN else words[:SHOWN] + "…"
