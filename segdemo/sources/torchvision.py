"""Networks of torchvision: what its weights' metadata say, which is part of the package and downloads nothing."""

from __future__ import annotations

from functools import partial

from torch import nn

from segdemo.networks.classes import VOC
from segdemo.networks.network import Network, Preprocessing, Stage
from segdemo.sources.known import Known, comes_from, three

SEGMENTATION = (
    "lraspp_mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "fcn_resnet50",
    "fcn_resnet101",
)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of `weights.transforms()`, as a test says
SOURCE = "https://pytorch.org/vision/stable/models.html"


def recognises(module: nn.Module) -> bool:
    """Say whether a network is one of torchvision's."""
    return comes_from(module, "torchvision")


def known(module: nn.Module) -> Known:
    """Return classes, mean and deviation of the official weights, and the sizes that they are used at."""
    from torchvision.models import get_weight

    official = get_weight("ResNet50_Weights.IMAGENET1K_V1")
    pictures = tuple(official.meta["categories"])
    if not any("segmentation" in kind.__module__ for kind in type(module).__mro__):
        preset = official.transforms()
        fixed = getattr(module, "image_size", None)
        return Known(
            classes={len(pictures): pictures},
            mean=three(preset.mean),
            std=three(preset.std),
            size=fixed if isinstance(fixed, int) else 224,
            sizes=(128, 224, 256, 320),
            fixed=isinstance(fixed, int),
            stride=32,
            shape="square",
            source=SOURCE,
        )
    weights = get_weight("DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1")
    preset, names = weights.transforms(), _names(weights.meta["categories"])
    return Known(
        classes={len(names): names},
        mean=three(preset.mean),
        std=three(preset.std),
        size=preset.resize_size[0],
        sizes=(256, 320, 384, 520),
        stride=8,
        source=SOURCE,
    )


def _names(categories: list[str]) -> tuple[str, ...]:
    return tuple(name.strip("_") for name in categories)


def build(name: str, classes: int) -> nn.Module:
    """Make one of torchvision's segmentation networks with random weights.

    Args:
        name: as torchvision calls it.
        classes: K.
    """
    from torchvision.models import get_model

    module: nn.Module = get_model(name, weights=None, weights_backbone=None, num_classes=classes)
    return module


def untrained(name: str) -> Network:
    """Describe one of torchvision's segmentation networks with random weights; it is built when it is first run.

    Args:
        name: as torchvision calls it.
    """
    return Network(
        name=name,
        title=TITLES[name],
        task="segmentation",
        build=partial(build, name),
        classes=VOC,
        stages=_stages(name),
        preprocessing=Preprocessing(size=320, sizes=(256, 320, 384, 520), stride=8, mean=MEAN, std=STD),
        source=SOURCE,
        weights="random",
    )


TITLES = {
    "lraspp_mobilenet_v3_large": "LR-ASPP · MobileNetV3",
    "deeplabv3_mobilenet_v3_large": "DeepLabV3 · MobileNetV3",
    "deeplabv3_resnet50": "DeepLabV3 · ResNet-50",
    "deeplabv3_resnet101": "DeepLabV3 · ResNet-101",
    "fcn_resnet50": "FCN · ResNet-50",
    "fcn_resnet101": "FCN · ResNet-101",
}


def _chain(*steps: tuple[str, str, int]) -> tuple[Stage, ...]:
    """Lay stages out one after the other: (label, layer, row)."""
    return tuple(
        Stage(label, layer, row, column, (steps[column - 1][0],) if column else ())
        for column, (label, layer, row) in enumerate(steps)
    )


def _stages(name: str) -> tuple[Stage, ...]:
    """Return the parts that torchvision's own names tell apart."""
    if "resnet" in name:
        body = [
            ("Stem", "backbone.maxpool", 2),
            *((f"Layer {number}", f"backbone.layer{number}", min(number + 1, 3)) for number in (1, 2, 3, 4)),
        ]
    else:
        rows = (1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4)
        body = [(f"Block {number}", f"backbone.{number}", rows[number]) for number in (0, 1, 3, 4, 7, 10, 13, 16)]
    if name.startswith("lraspp"):
        return (
            *_chain(*body),
            Stage("1×1 branch", "classifier.cbr", 4, len(body), (body[-1][0],)),
            Stage("Scale branch", "classifier.scale", 5, len(body), (body[-1][0],)),
            Stage("Low logits", "classifier.low_classifier", 3, len(body) + 1, (), ("Block 4",)),
            Stage("High logits", "classifier.high_classifier", 4, len(body) + 1, ("1×1 branch", "Scale branch")),
        )
    if name.startswith("deeplabv3"):
        return _chain(*body, ("ASPP", "classifier.0", 3), ("3×3", "classifier.3", 3), ("Logits", "classifier.4", 3))
    return _chain(*body, ("3×3", "classifier.2", 3), ("Logits", "classifier.4", 3))
