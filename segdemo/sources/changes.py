"""What a person says of a network in place of a guess, as a part of the name by which questions ask for it.

``"harbour?size=256&mean=0.5,0.5,0.5&std=0.5,0.5,0.5"`` is the network ``harbour`` with this said. So a change is a
question like any other: nothing has to be remembered of whoever made it, and its address can be passed on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl

from segdemo.errors import InputError
from segdemo.networks.classes import declare
from segdemo.networks.network import Network, Preprocessing
from segdemo.sources.known import three

LEAST_SIDE, MOST_SIDE = 8, 1024  # pixels; what a stranger asks for has to fit into memory
MOST_WORDS = 1500  # characters of all that is said
LONGEST_NAME = 60  # characters of a class
FARTHEST = 1000.0  # of a mean or a deviation
Change = Callable[[Network, str], Network]


def changed(spec: Network, words: str) -> Network:
    """Return a network of which something else is said than was guessed.

    Args:
        spec: the network.
        words: as behind the ``?`` of its name: ``size=256&classes=road,sky``.

    Raises:
        InputError: something of it cannot be; the text says what, and what can.
    """
    asked = parse_qsl(words, keep_blank_values=True) if len(words) <= MOST_WORDS else []
    known = dict(asked)
    unknown = [key for key in known if key not in CHANGES]
    if unknown or len(known) != len(asked) or not asked:
        raise InputError(
            "change_unknown",
            "“{words}” says nothing that can be said of a network. These can be: {known}, each once.",
            words=words[:LONGEST_NAME],
            known=", ".join(CHANGES),
        )
    for key, change in CHANGES.items():  # in this order: which output is read decides how many classes there are
        if key in known:
            if key not in changeable(spec):
                raise InputError(
                    "change_fixed",
                    "{network} says itself what its {what} is. Leave that out.",
                    network=spec.title,
                    what=key,
                )
            spec = change(spec, known[key])
    return replace(spec, name=f"{spec.name}?{words}")


def changeable(spec: Network) -> tuple[str, ...]:
    """Return what of a network can be said otherwise."""
    official = ("weights",) if spec.official else ()
    if not spec.foreign:
        return official
    return (*official, *(("output",) if spec.outputs else ()), "ending", "classes", "size", "mean", "std")


def _weights(spec: Network, word: str) -> Network:
    if word != "official":
        raise InputError(
            "change_weights", "“{word}” names no weights. Write official, or leave it out.", word=word[:LONGEST_NAME]
        )
    return replace(spec, weights="official", untrained=())


def _output(spec: Network, word: str) -> Network:
    chosen = next((one for one in spec.outputs if one.leaf == word), None)
    if chosen is None:
        raise InputError(
            "change_output",
            "{network} returns nothing called “{word}”; it returns {known}. Choose one of them.",
            network=spec.title,
            word=word[:LONGEST_NAME],
            known=", ".join(one.leaf for one in spec.outputs),
        )
    kept = _without(spec, "output")
    if chosen.count == len(spec.classes):
        return replace(kept, output=word, task=chosen.task)
    classes = declare(f"class {index}" for index in range(chosen.count))
    guesses = tuple(dict.fromkeys(("classes", *kept.guesses)))
    return replace(kept, output=word, task=chosen.task, classes=classes, guesses=guesses)


def _ending(spec: Network, word: str) -> Network:
    if word not in ("logits", "shares"):
        raise InputError(
            "change_ending",
            "“{word}” is no ending of a network. Write logits where softmax is still to be applied, shares where the "
            "network has applied one, or a sigmoid.",
            word=word[:LONGEST_NAME],
        )
    return replace(_without(spec, "ending"), ending="logits" if word == "logits" else "shares")


def _classes(spec: Network, word: str) -> Network:
    names = [" ".join(name.split()) for name in word.replace("\n", ",").split(",")]
    count = len(spec.classes)
    if len(names) != count:
        raise InputError(
            "output_classes",
            "{network} tells {count} classes apart, and {given} were named. Name as many as it has, in its order.",
            network=spec.title,
            count=count,
            given=len(names) if word.strip() else 0,
        )
    if not all(0 < len(name) <= LONGEST_NAME for name in names) or len(set(names)) < count:
        raise InputError(
            "change_classes",
            "Each class needs a name of its own, of 1 to {longest} characters, with commas between them. Correct the "
            "names.",
            longest=LONGEST_NAME,
        )
    return replace(_without(spec, "classes"), classes=declare(names))


def _size(spec: Network, word: str) -> Network:
    rule, size = spec.preprocessing, int(word) if word.isascii() and word.isdecimal() and len(word) < 6 else 0
    if not LEAST_SIDE <= size <= MOST_SIDE:
        raise InputError(
            "change_size",
            "“{word}” is no input size. A whole number of pixels from {least} to {most} is needed.",
            word=word[:LONGEST_NAME],
            least=LEAST_SIDE,
            most=MOST_SIDE,
        )
    if size in rule.sizes:
        made = replace(rule, size=size)
    elif len(rule.sizes) == 1 or size % rule.stride != rule.remainder % rule.stride:
        made = replace(rule, size=size, sizes=(size,), stride=1, remainder=0, shape="stretch")
    else:
        made = replace(rule, size=size, sizes=tuple(sorted({*rule.sizes, size})))
    return replace(_without(spec, "size"), preprocessing=made)


def _mean(spec: Network, word: str) -> Network:
    numbers = _numbers(word, "mean")
    return replace(_without(spec, "normalisation"), preprocessing=replace(spec.preprocessing, mean=numbers))


def _std(spec: Network, word: str) -> Network:
    numbers = _numbers(word, "std")
    rule: Preprocessing = replace(spec.preprocessing, std=numbers)
    if min(numbers) <= 0:
        raise InputError(
            "change_std",
            "“{word}” holds a deviation that is not above 0, and every channel is divided by it. Write three numbers "
            "above 0, or one for all.",
            word=word[:LONGEST_NAME],
        )
    return replace(_without(spec, "normalisation"), preprocessing=rule)


def _numbers(word: str, what: str) -> tuple[float, float, float]:
    parts = word.replace(";", ",").split(",")
    numbers = three(parts * 3 if len(parts) == 1 else parts)
    if numbers is None or not all(math.isfinite(number) and abs(number) <= FARTHEST for number in numbers):
        raise InputError(
            "change_numbers",
            "“{word}” is no {what} of a picture whose values go from 0 to 1. Write three numbers, of red, green and "
            "blue, with commas between them, such as 0.485, 0.456, 0.406, or one for all.",
            word=word[:LONGEST_NAME],
            what=what,
        )
    return numbers


def _without(spec: Network, guess: str) -> Network:
    return replace(spec, guesses=tuple(one for one in spec.guesses if one != guess))


CHANGES: dict[str, Change] = {
    "weights": _weights,
    "output": _output,
    "ending": _ending,
    "classes": _classes,
    "size": _size,
    "mean": _mean,
    "std": _std,
}


def said(name: str) -> tuple[tuple[str, str], ...]:
    """Return what the name of a network says of it, by key."""
    return tuple(parse_qsl(name.partition("?")[2], keep_blank_values=True))
