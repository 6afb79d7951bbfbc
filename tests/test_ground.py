"""Names of files, and sentences in two languages."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXTS = ROOT / "segdemo" / "ui" / "texts"
FORGETFUL_NAMES = {"utils", "helpers", "common", "base", "core", "manager"}


def texts(language: str) -> dict[str, str]:
    loaded: dict[str, str] = json.loads((TEXTS / f"{language}.json").read_text("utf-8"))
    return loaded


def placeholders(sentence: str) -> set[str]:
    """Names in braces; `{side:,}` and `{side!r}` count as `side`."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def raised() -> Iterator[tuple[str, str, str, set[str]]]:
    """Where, code, English sentence and names of the values of every InputError in the package."""
    for path in sorted((ROOT / "segdemo").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        extra: dict[str, set[str]] = {"InputError": set()}  # names that raise one, and values they add themselves
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and {"code", "sentence"} <= {a.arg for a in function.args.args}:
                forwarded = [call for call in calls(function, {"InputError"}) if isinstance(call.args[0], ast.Name)]
                extra[function.name] = {str(word.arg) for call in forwarded for word in call.keywords if word.arg}
        for call in calls(tree, set(extra)):
            if [getattr(argument, "id", "") for argument in call.args] != ["code", "sentence"]:
                where = f"{path.relative_to(ROOT)}:{call.lineno}"
                code, sentence = (constant(argument, tree, where) for argument in call.args)
                assert all(word.arg for word in call.keywords), f"{where}: name the values, no **"
                yield where, code, sentence, {str(word.arg) for word in call.keywords} | extra[named(call)]


def calls(tree: ast.AST, names: set[str]) -> list[ast.Call]:
    """Calls of functions of these names."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and named(node) in names]


def named(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def constant(node: ast.expr, tree: ast.Module, where: str) -> str:
    """A string written out, there or as a constant of the module."""
    for statement in tree.body:
        if (
            isinstance(statement, ast.Assign)
            and isinstance(node, ast.Name)
            and ast.unparse(statement.targets[0]) == node.id
        ):
            node = statement.value
    assert isinstance(node, ast.Constant) and isinstance(node.value, str), f"{where}: write code and sentence out"
    return node.value


def test_no_file_is_named_for_nothing() -> None:
    files = [path for folder in ("segdemo", "tests", "benchmarks", "scripts") for path in (ROOT / folder).rglob("*.py")]
    assert not [path for path in files if path.stem in FORGETFUL_NAMES]


def test_every_error_has_its_values_and_a_chinese_sentence_with_the_same() -> None:
    chinese = texts("zh")
    for where, code, sentence, values in raised():
        assert placeholders(sentence) == values, where
        assert f"error.{code}" in chinese, f"{where}: zh.json lacks error.{code}"
        assert placeholders(chinese[f"error.{code}"]) == values, f"zh.json error.{code}"


def test_every_chinese_error_sentence_is_used() -> None:
    codes = {f"error.{code}" for _, code, _, _ in raised()}
    assert {key for key in texts("zh") if key.startswith("error.")} == codes


def test_every_note_has_its_values_and_a_chinese_sentence_with_the_same() -> None:
    chinese, codes = texts("zh"), set()
    for path in sorted((ROOT / "segdemo").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for call in calls(tree, {"Note"}):
            code, sentence = (constant(argument, tree, path.name) for argument in call.args[:2])
            given = {constant(key, tree, path.name) for key in getattr(call.args[2], "keys", ())}
            assert placeholders(sentence) == placeholders(chinese[f"note.{code}"]) == given, code
            codes.add(f"note.{code}")
    assert {key for key in chinese if key.startswith("note.")} == codes


def test_both_languages_say_the_same_things() -> None:
    english, chinese = texts("en"), texts("zh")
    assert not [key for key in english if key.startswith("error.")], "the English sentence stands where it is raised"
    assert set(english) == {key for key in chinese if not key.startswith(("error.", "note."))}
    for key, sentence in english.items():
        assert placeholders(sentence) == placeholders(chinese[key]), key
