"""What a reader of a picture should know although the picture could be read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Note:
    """A remark about how a picture was read.

    Args:
        code: name of the sentence, for example ``"scaled"``; the page says ``note.<code>`` in other languages.
        sentence: the English sentence, with ``{name}`` for each value.
        values: what the sentence speaks of.
    """

    code: str
    sentence: str
    values: dict[str, object] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.sentence.format(**self.values)
