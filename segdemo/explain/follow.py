"""Follows fields through a pass that computes nothing: every operation of PyTorch as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from segdemo import ambient
from segdemo.activations import capture
from segdemo.calls import operation_of
from segdemo.errors import InputError
from segdemo.explain.fields import Field, whole_of
from segdemo.explain.hollow import hollow_output
from segdemo.explain.rules import RULES, WITHIN, joined, spread, together
from segdemo.leaves import Key, parse


class _Following(TorchDispatchMode):
    """Lets every operation run on PyTorch's meta device, which computes nothing, and follows the fields through it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fields: dict[tuple[Any, ...], Field] = {}
        self._alive: list[Tensor] = []  # what a key is made of belongs to one tensor as long as it lives

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell PyTorch not to import its compiler for this: nothing here is compiled."""
        return False

    def know(self, tensor: Tensor, field: Field) -> None:
        """Remember the field of a tensor."""
        self._alive.append(tensor)
        self._fields[_key(tensor)] = field

    def field(self, tensor: Tensor) -> Field | None:
        """Return the field of a tensor, None where the batch has no part in it."""
        return self._fields.get(_key(tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one operation."""
        keywords = dict(kwargs or {})
        if "device" in keywords:
            keywords["device"] = torch.device("meta")
        fields = [self.field(tensor) for tensor in _tensors([*args, *keywords.values()])]
        given = [_hollow(one) for one in args]
        output = None if "out" in keywords else hollow_output(func.overloadpacket.__name__, given)
        if output is None:
            output = func(*given, **{name: _hollow(one) for name, one in keywords.items()})
        known = [field for field in fields if field is not None]
        if known:
            for tensor in _tensors([output]):
                self.know(tensor, self._behind(func, fields, known, tensor, args))
        return output

    def _behind(
        self, func: Any, fields: Sequence[Field | None], known: Sequence[Field], output: Tensor, args: Sequence[Any]
    ) -> Field:
        name = func.overloadpacket.__name__
        plain = name.removesuffix("_") if name not in RULES and name not in WITHIN else name
        if plain == "cat":
            return joined(fields, output, args)
        if plain in RULES:
            return RULES[plain](known[0] if len(known) == 1 else _together_any(known), output, args)
        if plain in WITHIN and not (plain.startswith("split") or plain == "chunk"):
            return self._within(known, output)
        if plain in WITHIN and known[0].dims is not None and self._fits(known[0], output):
            return known[0]
        return spread(_together_any(known).blurred(exact=False), output)

    def _within(self, known: Sequence[Field], output: Tensor) -> Field:
        united = together(known)
        if united.dims is not None and not self._fits(united, output):
            united = _stretched(united, output)
        return spread(united, output) if united.dims is None else united

    @staticmethod
    def _fits(field: Field, output: Tensor) -> bool:
        assert field.dims is not None
        return (
            output.dim() >= max(-dim for dim in field.dims)
            and output.shape[field.dims[0]] == len(field.rows)
            and output.shape[field.dims[1]] == len(field.columns)
        )


def _key(tensor: Tensor) -> tuple[Any, ...]:
    """Tell a tensor from others: autograd may hand on a view as another object than the operation made."""
    if tensor.device.type != "meta":
        return (id(tensor),)
    return tensor.untyped_storage()._cdata, tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


def _stretched(field: Field, output: Tensor) -> Field:
    """Give what was one place, and was expanded, its places."""
    assert field.dims is not None
    if output.dim() < max(-dim for dim in field.dims):  # such as the means that batch normalisation puts out beside
        return field.blurred()
    sides = [int(output.shape[dim]) for dim in field.dims]
    if any(len(reach) not in (1, side) for reach, side in zip((field.rows, field.columns), sides, strict=True)):
        return spread(field.blurred(exact=False), output)
    rows, columns = (
        reach if len(reach) == side else reach.all(side)
        for reach, side in zip((field.rows, field.columns), sides, strict=True)
    )
    return Field(rows, columns, field.dims, field.exact)


def _together_any(fields: Sequence[Field]) -> Field:
    """Unite fields also where their shapes do not agree."""
    sizes = {(field.dims, len(field.rows), len(field.columns)) for field in fields}
    return together(fields if len(sizes) == 1 else [field.blurred() for field in fields])


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _hollow(value: Any) -> Any:
    """Return a tensor of the same shape that holds nothing."""
    if isinstance(value, list | tuple):
        return type(value)(_hollow(one) for one in value)
    if isinstance(value, Tensor) and value.device.type != "meta":
        return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
    return value


@contextmanager
def following(height: int, width: int, channels: int) -> Iterator[tuple[_Following, Tensor]]:
    """Follow the fields of a batch that holds nothing, as long as the block lasts."""
    with ambient.plain(), torch.inference_mode(False), torch.no_grad():
        batch = torch.empty(1, channels, height, width, device="meta")
        follower = _Following()
        follower.know(batch, whole_of(height, width))
        with follower:
            yield follower, batch


def keys_of(network: nn.Module, layers: Iterable[str]) -> dict[Key, str]:
    """Return what layers stand for, as records of a pass have it; a layer without a number is its first call.

    Args:
        network: whose modules and operations they are.
        layers: names as of stages: ``"relu:2"``, ``"up1.cat"``, ``"head:1[0]"``.
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    found = ((layer, parse(layer, modules) or operation_of(layer, modules)) for layer in layers)
    return {key._replace(call=key.call or 1): layer for layer, key in found if key is not None}


def fields_of(
    network: nn.Module, layers: Iterable[str], height: int, width: int, channels: int = 3
) -> dict[str, tuple[Field | None, tuple[int, ...]]]:
    """Work out what of a batch reaches the values that layers put out; no value is computed.

    Args:
        network: in evaluation mode, on whatever device; it is left as it is.
        layers: as for :func:`keys_of`.
        height: of the batch, pixels.
        width: of the batch, pixels.
        channels: of the batch.

    Returns:
        Layer → its field, None where the batch has no part in it, and the shape that it puts out.

    Raises:
        InputError: the network cannot be followed, as one that looks at values cannot.
    """
    keys = keys_of(network, layers)
    with following(height, width, channels) as (follower, batch):

        def found(tensor: Tensor) -> tuple[Field | None, tuple[int, ...]]:
            return follower.field(tensor), tuple(tensor.shape)

        with capture(network, [key.name for key in keys], reduce=found) as seen:
            try:
                network(batch)
            except InputError:
                raise
            except Exception as error:  # code of a stranger, run without values
                raise InputError(
                    "not_followed",
                    "The receptive fields of this network cannot be worked out: it does not run without values "
                    "({reason}). The other figures do not need them.",
                    reason=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200],
                ) from error
    return {layer: seen[spoken] for spoken, key in seen._spoken.items() if (layer := keys.get(key)) is not None}
