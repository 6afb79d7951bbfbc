"""Networks of torchvision: what its weights' metadata say, which is part of the package and downloads nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

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
# Those of the tutorial, in its order, that segdemo has not itself, and its segmentation networks.
LISTED = (
    "vgg16",
    "squeezenet1_0",
    "densenet161",
    "inception_v3",
    "googlenet",
    "shufflenet_v2_x1_0",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "mnasnet1_0",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "vit_b_16",
    "vit_b_32",
    "vit_l_16",
    "vit_l_32",
    "convnext_tiny",
    "convnext_small",
    "convnext_base",
    "convnext_large",
    "resnet18",
    "alexnet",
)
EXTRA: dict[str, dict[str, Any]] = {  # as torchvision builds them for its own weights
    "googlenet": {"transform_input": True, "aux_logits": False, "init_weights": False},
    "inception_v3": {"transform_input": True, "aux_logits": False, "init_weights": False},
}
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


def names() -> tuple[str, ...]:
    """Return the names of all networks of torchvision that classify pictures."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def build(name: str, classes: int = 0) -> nn.Module:
    """Make one of torchvision's networks with random weights.

    Args:
        name: as torchvision calls it.
        classes: K, of one that segments; those that classify have the 1000 of ImageNet.
    """
    from torchvision.models import get_model

    of_pixels = {"weights_backbone": None, "num_classes": classes} if name in SEGMENTATION else EXTRA.get(name, {})
    module: nn.Module = get_model(name, weights=None, **of_pixels)
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
        official=name,
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
