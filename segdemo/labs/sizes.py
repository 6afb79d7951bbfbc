"""How large the output of a layer is, as a formula with its numbers, and which settings leave none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdemo.errors import InputError


def reach(kernel_size: int, dilation: int) -> int:
    """Return over how many pixels a kernel reaches."""
    return dilation * (kernel_size - 1) + 1


def output_size(settings: Mapping[str, Any], side: int) -> int:
    """Return how many values stand in a row (or a column) of the output.

    Args:
        settings: of the lab of layers.
        side: pixels in a row (or a column) of the input.

    Raises:
        InputError: none would.
    """
    kind = settings["layer"]
    if kind == "upsample":
        return side * settings["scale_factor"]
    if kind == "resize_conv":
        return output_size({**settings, "layer": "conv"}, side * settings["scale_factor"])
    if kind not in ("conv", "transposed", "max_pool", "avg_pool"):
        return side
    kernel, stride, padding, dilation = (settings[key] for key in ("kernel_size", "stride", "padding", "dilation"))
    dilation = 1 if kind == "avg_pool" else dilation
    over = reach(kernel, dilation)
    if kind == "transposed":
        extra = settings["output_padding"]
        size = (side - 1) * stride - 2 * padding + over - 1 + extra + 1
        if size < 1:
            raise InputError(
                "layer_leaves_nothing",
                "Nothing would be left: ({side} − 1) × stride {stride} − 2 × padding {padding} + dilation × (kernel − "
                "1) {reach} + output padding {extra} + 1 = {size}. Lower the padding, or raise the stride or the "
                "kernel size.",
                side=side,
                stride=stride,
                padding=padding,
                reach=over - 1,
                extra=extra,
                size=size,
            )
        return size
    if over > side + 2 * padding:
        raise InputError(
            "kernel_beyond_picture",
            "The kernel is larger than the padded picture: it reaches over dilation × (kernel − 1) + 1 = {reach} "
            "pixels, and there are {side} + 2 × padding {padding} = {padded}. Lower the kernel size or the dilation, "
            "or raise the padding.",
            reach=over,
            side=side,
            padding=padding,
            padded=side + 2 * padding,
        )
    return (side + 2 * padding - over) // stride + 1


def check(settings: Mapping[str, Any], height: int, width: int) -> None:
    """Refuse what PyTorch would refuse, with the rule that it breaks.

    Args:
        settings: of the lab of layers.
        height: of the input, pixels.
        width: of the input, pixels.

    Raises:
        InputError: it breaks one.
    """
    kind = settings["layer"]
    if kind == "resize_conv":
        factor = settings["scale_factor"]
        check({**settings, "layer": "conv"}, height * factor, width * factor)
        return
    if kind in ("conv", "transposed"):
        _check_groups(settings)
    if kind in ("max_pool", "avg_pool") and settings["padding"] > settings["kernel_size"] // 2:
        raise InputError(
            "pool_padding",
            "A pool takes padding of at most half its kernel, ⌊{kernel} / 2⌋ = {most}, or a window could lie in "
            "padding alone; {padding} came. Lower the padding.",
            kernel=settings["kernel_size"],
            most=settings["kernel_size"] // 2,
            padding=settings["padding"],
        )
    if kind == "transposed" and settings["output_padding"] >= max(settings["stride"], settings["dilation"]):
        raise InputError(
            "output_padding",
            "The output padding has to be smaller than the stride ({stride}) or the dilation ({dilation}): it chooses "
            "among the sizes that the stride rounds to one; {extra} came. Lower it, or raise the stride.",
            stride=settings["stride"],
            dilation=settings["dilation"],
            extra=settings["output_padding"],
        )
    if kind == "conv":
        _check_border(settings, min(height, width))
    for side in (height, width):
        output_size(settings, side)


def _check_groups(settings: Mapping[str, Any]) -> None:
    """Refuse groups into which the channels cannot be shared out."""
    for which in ("in_channels", "out_channels"):
        if settings[which] % settings["groups"]:
            raise InputError(
                "groups_do_not_divide",
                "The groups share out the channels evenly, so {groups} groups have to divide {which} = {count}, but "
                "{rest} would be left over. Choose another number of groups or channels.",
                groups=settings["groups"],
                which=which,
                count=settings[which],
                rest=settings[which] % settings["groups"],
            )


def _check_border(settings: Mapping[str, Any], side: int) -> None:
    """Refuse padding that a mode cannot take from the picture."""
    most = {"reflect": side - 1, "circular": side}.get(settings["padding_mode"])
    if most is not None and settings["padding"] > most:
        raise InputError(
            "padding_mode_reach",
            "Padding by “{mode}” repeats pixels of the picture, of which a side of {side} has {most} to give; "
            "{padding} came. Lower the padding, or take another mode.",
            mode=settings["padding_mode"],
            side=side,
            most=most,
            padding=settings["padding"],
        )


def formulas(settings: Mapping[str, Any], height: int, width: int) -> tuple[str, ...]:
    """Return the formula of the output's size, and the same with the numbers of height and width.

    Args:
        settings: of the lab of layers.
        height: of the input, pixels.
        width: of the input, pixels.
    """
    kind = settings["layer"]
    if kind == "upsample":
        factor = settings["scale_factor"]
        return ("out = in × scale_factor", *(f"{side} × {factor} = {side * factor}" for side in (height, width)))
    if kind == "resize_conv":
        larger = formulas({**settings, "layer": "upsample"}, height, width)
        factor = settings["scale_factor"]
        after = formulas({**settings, "layer": "conv"}, height * factor, width * factor)
        return tuple(f"{first};  {second}" for first, second in zip(larger, after, strict=True))
    if kind not in ("conv", "transposed", "max_pool", "avg_pool"):
        return ("out = in", f"{height} × {width}")
    kernel, stride, padding = settings["kernel_size"], settings["stride"], settings["padding"]
    dilation = 1 if kind == "avg_pool" else settings["dilation"]
    if kind == "transposed":
        extra = settings["output_padding"]
        words = "out = (in − 1) × stride − 2 × padding + dilation × (kernel_size − 1) + output_padding + 1"
        return (
            words,
            *(
                f"({side} − 1) × {stride} − 2 × {padding} + {dilation} × ({kernel} − 1) + {extra} + 1 = "
                f"{output_size(settings, side)}"
                for side in (height, width)
            ),
        )
    return (
        "out = ⌊(in + 2 × padding − dilation × (kernel_size − 1) − 1) / stride⌋ + 1",
        *(
            f"⌊({side} + 2 × {padding} − {dilation} × ({kernel} − 1) − 1) / {stride}⌋ + 1 = "
            f"{output_size(settings, side)}"
            for side in (height, width)
        ),
    )
