"""The one error whose text is meant for a person, and the end of work that nobody waits for."""

from __future__ import annotations

import pickle
from typing import Any


class InputError(ValueError):
    """Say that something a person gave cannot be used, and how to mend it.

    The text says what came, what is needed and what to do. The code names the sentence, so that the page can say it
    in another language with the same values. It can be pickled, so that it comes back from another process.

    Args:
        code: name of the sentence, for example ``"picture_too_large"``.
        sentence: the English sentence, with ``{name}`` for each value.
        values: what the sentence speaks of.
    """

    def __init__(self, code: str, sentence: str, **values: object) -> None:
        super().__init__(sentence.format(**values))
        self.code = code
        self.values = values

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the finished text; a process pool waits for ever for an error that cannot be unpickled."""
        state = {**self.__dict__, "values": {name: _portable(value) for name, value in self.values.items()}}
        return _restored, (type(self), str(self)), state


class Cancelled(Exception):
    """The answer was no longer wanted, and the work on it stopped before its end."""


class Phrase(str):
    """A part of a sentence, such as a reason, that the page can say in another language too.

    Args:
        code: name of the phrase, for example ``"holds_code"``.
        phrase: the English words, with ``{name}`` for each value.
        values: what the phrase speaks of.
    """

    code: str
    values: dict[str, object]

    def __new__(cls, code: str, phrase: str, values: dict[str, object]) -> Phrase:
        """Make the finished words, and remember what they are made of."""
        words = super().__new__(cls, phrase.format(**values))
        words.code, words.values, words._phrase = code, values, phrase
        return words

    _phrase: str

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.code, self._phrase, self.values


def _restored(kind: type[InputError], text: str) -> InputError:
    """Make an error with its finished text; code and values follow as its state."""
    error = kind.__new__(kind, text)
    error.args = (text,)
    return error


def _portable(value: object) -> object:
    """Return a value that survives pickling: itself, or its text if it does not."""
    try:
        pickle.loads(pickle.dumps(value))
    except Exception:  # anything may be raised by what cannot be pickled
        return str(value)
    return value
