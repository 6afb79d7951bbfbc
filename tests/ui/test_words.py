"""The words of the page: two sentences for every stage and kind of layer, the glossary, and what marks its terms."""

from __future__ import annotations

import re

import pytest
import torch

from segdemo.networks import NETWORKS
from segdemo.ui.javascript import modules
from segdemo.ui.texts import LANGUAGES, TEXTS

STAGES = [(name, stage.label) for name, spec in NETWORKS.items() for stage in spec.every_stage()]
KINDS = re.findall(r"\['(\w+)', /(.+)/i\],", modules()["static/kinds.js"].decode())  # (whose words, pattern)
LIKE = {"unet_bilinear": "unet", "unet_narrow": "unet"} | {f"resnet{depth}": "resnet18" for depth in (34, 50, 101, 152)}
MARKED = re.compile(r"\[\[([^|\[\]]+)(?:\|([^|\[\]]+))?\]\]")
EXPLAINED = sorted(key for key in TEXTS["en"] if key.startswith("words."))
GLOSSARY = sorted({key.split(".")[1] for key in TEXTS["en"] if key.startswith("glossary.") and key.count(".") == 2})
# fmt: off
ASKED = {
    "logits", "probability", "softmax", "confidence", "entropy", "bits", "mask", "class", "stride", "padding",
    "receptive_field", "channel", "activation", "feature_map", "dead_channel", "flat_channel", "sparsity", "variance",
    "skip", "encoder", "decoder", "bottleneck", "convolution", "depthwise", "dilation", "transposed", "pooling",
    "upsampling", "bilinear", "relu", "relu6", "batch_norm", "aspp", "inverted_residual", "residual", "working_size",
    "training_step", "miou", "pixel_accuracy", "untrained", "colour_scale", "nan", "infinity", "histogram"
}
# fmt: on


def stage_keys(network: str, label: str) -> set[str]:
    """Every key under which a stage may be described: numbers may be written as a star, a variant is like another."""
    stage, *inside = label.split(" · ")
    firsts = {stage, re.sub(r"\d+", "*", stage)}
    rests = {"".join(f" · {part}" for part in inside), "".join(f" · {re.sub(r'[0-9]+', '*', part)}" for part in inside)}
    names = {network, LIKE.get(network, network)}
    return {f"words.stage.{name}.{first}{rest}" for name in names for first in firsts for rest in rests}


def sentences(text: str, language: str) -> int:
    """Count what ends like a sentence; a number's point is followed by a digit."""
    return len(re.findall(r"[。！？]", text) if language == "zh" else re.findall(r"[.!?](?=\s|$)", text))


def plain(text: str) -> str:
    return MARKED.sub(lambda match: match[2] or match[1], text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_stage_of_our_networks_is_described(language: str) -> None:
    assert len(STAGES) > 300
    assert not [stage for stage in STAGES if not stage_keys(*stage) & TEXTS[language].keys()]


def test_no_stage_is_described_that_is_not_there() -> None:
    possible = {key for stage in STAGES for key in stage_keys(*stage)}
    assert not [key for key in EXPLAINED if key.startswith("words.stage.") and key not in possible]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_kind_of_module_in_our_networks_is_described(network: str) -> None:
    spec = NETWORKS[network]
    with torch.device("meta"):
        kinds = {type(module).__name__ for module in spec.build(len(spec.classes)).modules()}
    known = {key.removeprefix("words.kind.") for key in EXPLAINED}
    nameless = {kind for kind in kinds - known if not any(re.search(pattern, kind, re.I) for _, pattern in KINDS)}
    assert not nameless


def test_kinds_that_are_described_as_others_are_described_as_some_that_have_words() -> None:
    assert len(KINDS) > 30
    assert not [kind for kind, _ in KINDS if f"words.kind.{kind}" not in EXPLAINED]
    assert "words.kind.other" in EXPLAINED


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", EXPLAINED)
def test_a_description_is_two_sentences_and_no_more_than_a_caption(key: str, language: str) -> None:
    text = TEXTS[language][key]
    assert sentences(plain(text), language) == 2, text
    assert plain(text)[-1] in ".?。？"
    assert len(plain(text)) <= (320 if language == "en" else 120)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_glossary_says_what_each_term_means_in_one_to_three_sentences(language: str) -> None:
    assert set(GLOSSARY) >= ASKED
    for term in GLOSSARY:
        assert TEXTS[language][f"glossary.{term}.term"]
        assert 1 <= sentences(TEXTS[language][f"glossary.{term}.text"], language) <= 3, term
        assert "[[" not in TEXTS[language][f"glossary.{term}.text"], term


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_marked_word_is_in_the_glossary(language: str) -> None:
    for key, text in TEXTS[language].items():
        assert not [term for term, _ in MARKED.findall(text) if term not in GLOSSARY], key
        assert "[[" not in plain(text), key
        assert "]]" not in plain(text), key


def test_both_languages_explain_a_term_in_the_same_captions() -> None:
    for component in ("segmentation", "channels", "figure"):
        for key in (key for key in TEXTS["en"] if key.startswith(f"{component}.")):
            english, chinese = (
                sorted(term for term, _ in MARKED.findall(TEXTS[language][key])) for language in LANGUAGES
            )
            assert set(english) <= set(chinese), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_that_reach_the_page_without_its_scripts_mark_nothing(language: str) -> None:
    scripted = ("segmentation.", "channels.", "figure.", "words.")
    assert not [key for key, text in TEXTS[language].items() if "[[" in text and not key.startswith(scripted)]


def test_chinese_descriptions_are_chinese() -> None:
    for key in EXPLAINED:
        text = plain(TEXTS["zh"][key])
        assert len(re.findall(r"[\u4e00-\u9fff]", text)) > len(text) / 3, key
        assert not re.search(r"[\u4e00-\u9fff][,.;:?!]", text), f"{key}: punctuation of another script"
