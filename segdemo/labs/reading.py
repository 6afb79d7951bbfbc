"""Reading along: each section of five tutorials, and the lab in the state that shows what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Section:
    """A section of a tutorial; its texts are ``labs.read.<tutorial>.<name>``, a title, and ``….say``.

    Args:
        name: of the section, within its tutorial.
        heading: under which it stands there; several may share one.
        lab: that shows it.
        words: settings of the lab that are not as at first, as an address has them.
    """

    name: str
    heading: str
    lab: str
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The end of the address that opens it."""
        return "&".join([f"?lab={self.lab}", *(f"lab.{name}={word}" for name, word in self.words.items())])


PATHS: dict[str, tuple[Section, ...]] = {
    "own": (
        Section("module", "1. nn.Module", "own_layer", {"norm": "0", "relu": "0"}),
        Section("conv_bn_relu", "2. ConvBNReLU", "own_layer"),
        Section("functional", "3. nn.Module, nn.Functional", "own_layer", {"written": "functional"}),
        Section("parameter", "3. nn.Module, nn.Functional", "own_layer", {"written": "parameter"}),
        Section("sequential", "4. nn.Sequential", "containers", {"container": "sequential", "count": "3"}),
        Section("outputs", "5. LeNet", "unet", {"classes": "10", "width": "8"}),
        Section("lenet", "5. LeNet", "lenet"),
    ),
    "modules": (
        Section("steps", "一", "own_layer"),
        Section("two_parts", "1.1", "own_layer", {"norm": "0"}),
        Section("four_parts", "二, 2.1", "own_layer", {"written": "parameter", "ks": "5", "padding": "2"}),
        Section("dictionaries", "2.2", "containers", {"buffer": "1", "hook": "1", "count": "3"}),
        Section("summary", "2.3", "containers", {"container": "list", "count": "3"}),
        Section("containers", "三", "containers", {"container": "module_dict"}),
        Section("convolution", "四", "layers"),
        Section("arguments", "4.1", "layers", {"stride": "2", "dilation": "2", "padding": "2"}),
        Section("example", "4.1", "layers", {"kernel": "xavier", "padding": "0", "bias": "1"}),
        Section("transposed", "4.2", "layers", {"layer": "transposed", "stride": "2", "size": "32"}),
        Section("pooling", "五", "layers", {"layer": "max_pool", "kernel_size": "2", "stride": "2", "padding": "0"}),
    ),
    "alexnet": (
        Section("kinds", "AlexNet", "containers", {"count": "5"}),
        Section("by_number", "nn.Sequential", "containers", {"container": "sequential", "count": "5"}),
        Section("by_name", "nn.Sequential", "containers", {"container": "ordered_dict", "count": "5"}),
        Section("two_halves", "nn.Sequential", "lenet", {"written": "number"}),
        Section("order", "總結", "lenet", {"written": "name"}),
        Section("list", "nn.ModuleList", "containers", {"change_list": "append"}),
        Section("dict", "nn.ModuleDict", "containers", {"container": "module_dict", "picked": "pool", "act": "prelu"}),
        Section("taken_out", "nn.ModuleDict", "containers", {"container": "module_dict", "change_dict": "pop"}),
        Section("summary", "容器總結", "containers", {"container": "dict"}),
        Section("network", "AlexNet實現", "alexnet"),
        Section("relu", "AlexNet實現", "alexnet", {"part": "relu"}),
        Section("lrn", "AlexNet實現", "alexnet", {"part": "lrn"}),
        Section("dropout", "AlexNet實現", "alexnet", {"part": "dropout"}),
        Section("ten_crop", "AlexNet實現", "alexnet", {"part": "ten_crop"}),
    ),
    "blocks": (
        Section("why_blocks", "本节目录", "alexnet", {"part": "residual"}),
        Section("unet", "U-Net 简介", "unet"),
        Section("without_skips", "U-Net 简介", "unet", {"skips": "0"}),
        Section("parts", "U-Net模型块分析", "unet", {"depth": "1", "width": "8"}),
        Section("bilinear", "U-Net模型块实现", "unet", {"up": "bilinear"}),
        Section("sizes", "U-Net模型块实现", "unet", {"size": "90"}),
        Section("whole", "利用模型块组装U-Net", "unet", {"width": "64"}),
    ),
    "scratch": (
        Section("aim", "前言", "initialisation"),
        Section("yolo", "搭建CNN网络", "alexnet", {"part": "yolo"}),
        Section("what_to_write", "搭建CNN网络", "own_layer"),
        Section("ready_made", "__init__函数", "alexnet"),
        Section("in_a_row", "__init__函数", "containers", {"container": "sequential"}),
        Section("repeated", "__init__函数", "alexnet", {"part": "residual", "layers": "34"}),
        Section("forward", "forward函数", "containers", {"count": "2"}),
        Section("pyramid", "forward函数", "features"),
        Section("returned", "forward函数", "features", {"inplace": "0"}),
        Section("kinds", "随机初始化", "initialisation", {"weights": "xavier"}),
        Section(
            "by_hand", "初始化网络, 随机初始化", "initialisation", {"weights": "by_hand", "net": "resnet", "norm": "1"}
        ),
        Section("built_in", "随机初始化", "initialisation", {"weights": "kaiming_out", "net": "alexnet"}),
        Section("by_name", "随机初始化", "initialisation", {"weights": "by_name", "net": "resnet", "norm": "1"}),
        Section("all_of_it", "加载预训练模型初始化", "checkpoints", {"way": "whole"}),
        Section("names", "加载预训练模型初始化", "checkpoints", {"way": "prefix", "inside": "1"}),
        Section("a_part", "加载预训练模型初始化", "checkpoints", {"way": "dropped", "classes": "3"}),
        Section("filtered", "加载预训练模型初始化", "checkpoints", {"way": "filtered", "inside": "1"}),
    ),
}


def readme_rows(texts: Mapping[str, str]) -> list[str]:
    """Return the rows of the README's table, one a section.

    Args:
        texts: all texts, in English.
    """
    rows = []
    for tutorial, sections in PATHS.items():
        for index, section in enumerate(sections):
            title = texts[f"labs.read.{tutorial}"] if index == 0 else ""
            about = texts[f"labs.read.{tutorial}.{section.name}"]
            rows.append(f"| {title} | {section.heading} | {about} | `{section.address}` |".replace("|  |", "| |"))
    return rows
