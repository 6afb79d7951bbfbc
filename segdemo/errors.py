"""The one error whose text is meant for a person."""


class InputError(ValueError):
    """Say that something a person gave cannot be used, and how to mend it.

    The text says what came, what is needed and what to do. The code names the sentence, so that the page can say it
    in another language with the same values.

    Args:
        code: name of the sentence, for example ``"picture_too_large"``.
        sentence: the English sentence, with ``{name}`` for each value.
        values: what the sentence speaks of.
    """

    def __init__(self, code: str, sentence: str, **values: object) -> None:
        super().__init__(sentence.format(**values))
        self.code = code
        self.values = values
