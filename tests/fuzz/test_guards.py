"""What no input may reach: unsafe readers, a shell without quotes, a path outside ``results/``."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from ecmpipe.settings.base import Name
from ecmpipe.settings.fem import rate_text
from tests.fuzz.tools import WORDS

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "ecmpipe").rglob("*.py"))
RULES = sorted((ROOT / "workflow/rules").glob("*.smk"))
LOADERS = {"SafeLoader", "PlainLoader", "loader", "yaml.SafeLoader"}  # `loader` of read_yaml, which is one of these two
FORBIDDEN = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"),
    *("pandas.read_pickle", "pd.read_pickle", "joblib.load", "torch.load", "shelve.open", "marshal.loads", "marshal.load", "dill.load"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "loadfn"),
}
MODULES = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle", "jsonpickle"}


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of a name or of an attribute, else nothing."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return node.id if isinstance(node, ast.Name) else ""


def unsafe(tree: ast.AST) -> list[str]:
    """Every call and import that would run what a file or a setting says."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
            found += [f"import {name}" for name in names if name.split(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        name, options = dotted(node.func), {each.arg: each.value for each in node.keywords}
        if name in FORBIDDEN:
            found.append(name)
        if name in ("np.load", "numpy.load") and ast.unparse(options.get("allow_pickle", ast.Constant(None))) != "False":
            found.append(f"{name} without allow_pickle=False")
        if name == "yaml.load" and ast.unparse(options.get("Loader", [*node.args, ast.Constant(None)][1])) not in LOADERS:
            found.append(ast.unparse(node))
        if "shell" in options and ast.unparse(options["shell"]) != "False":
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", [*SOURCES, *RULES], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_runs_what_a_file_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        assert not unsafe(ast.parse(text))
    else:
        assert not re.search(r"\b(eval|exec|os\.system|shell)\(|\bpickle\b", text)


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from joblib import load", "eval(x)", "np.load(p)", "np.load(p, allow_pickle=True)", "yaml.load(t)", "torch.load(p)",
     "yaml.load(t, Loader=yaml.Loader)", "subprocess.run(c, shell=True)", "os.system(c)"],
)  # fmt: skip
def test_the_scan_sees_each_kind(line: str) -> None:
    assert unsafe(ast.parse(line))


def test_the_yaml_readers_are_safe_ones() -> None:
    text = (ROOT / "ecmpipe/settings/base.py").read_text(encoding="utf-8")
    assert "class SafeLoader(_NoKeyTwice, yaml.SafeLoader)" in text and "class PlainLoader(_NoKeyTwice, yaml.BaseLoader)" in text
    for path in SOURCES:
        for call in re.findall(r"read_yaml\(([^()]*)\)", path.read_text(encoding="utf-8")):
            assert not re.search(r"\w+Loader", call) or "PlainLoader" in call or "SafeLoader" in call, f"{path}: {call}"


# The fixed words of the workflow, and what its wildcard constraints hold to a few signs; paths made of these are as safe.
CONSTRAINED = {"material", "subject", "system", "batch", "polymer", "box", "axis", "replica", "variant", "filler", "c_rate"}
OF_WORKFLOW = {"ECMPIPE", "log", "resources.runtime", "resources.tasks"}
FREE = {"crystal", "description", "cathode_crystal", "electrolyte_crystal", "mesh"}  # inputs whose paths come from the settings


def shells(path: Path) -> list[tuple[str, str, str]]:
    """(rule, whole text, shell command) of every rule."""
    rules = re.split(r"^rule ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = []
    for rule in rules:
        command = re.search(r"\n    shell:\n((?: {8}.*\n?)+)", rule)
        assert command, f"{path.name}: a rule without shell"
        found.append((rule.split(":")[0], rule, command.group(1)))
    return found


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_values_reach_a_shell_in_quotes(path: Path) -> None:
    for rule, text, command in shells(path):
        inputs = re.search(r"\n    input:\n((?: {8}.*\n?)+)", text)
        settings = {name for name in re.findall(r"^ {8}(\w+)=", inputs.group(1), re.MULTILINE)} if inputs else set()
        for field in re.findall(r"(?<!\{)\{([^{}]+)\}(?!\})", command):
            name, _, form = field.partition(":")
            where = f"{path.name}, rule {rule}: {{{field}}}"
            if form == "q" or name in OF_WORKFLOW:
                continue
            kind, _, key = name.partition(".")
            assert kind in ("wildcards", "input", "output"), where
            assert kind != "wildcards" or key in CONSTRAINED, where
            assert kind != "input" or key not in FREE or '"results/' in text.split(f"{key}=")[1][:40], where
            assert kind != "input" or key or "SETTINGS.dft.materials" not in text, where
            assert kind != "input" or not key or key in settings, where
        assert "params." not in command.replace("{params.step:q}", ""), f"{path.name}, rule {rule}"


def test_every_wildcard_is_held_to_safe_signs() -> None:
    text = (ROOT / "workflow/rules/common.smk").read_text(encoding="utf-8")
    block = re.search(r"wildcard_constraints:\n((?: {4}.*\n)+)", text)
    assert block
    held = dict(re.findall(r"^ {4}(\w+)=(.*),$", block.group(1), re.MULTILINE))
    used = {name for path in RULES for name in re.findall(r"(?<!\{)\{(\w+)\}", "".join(re.findall(r'"results/[^"]*"', path.read_text())))}
    assert set(held) >= used & CONSTRAINED and set(held) == CONSTRAINED
    for name, pattern in held.items():
        assert '"|".join(' in pattern or re.fullmatch(r'r?"[\[\]A-Za-z0-9_.\\d+|-]+"', pattern), f"{name}: {pattern}"


NAME = TypeAdapter(Name)


@pytest.mark.parametrize("word", [*WORDS, "a\n", "a.b", "a-b", "é", "A", "1a", "_a", "a" * 41, "con\x00"])
def test_no_name_is_more_than_a_word(word: str) -> None:
    try:
        taken = NAME.validate_python(word)
    except ValidationError:
        return
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,39}", taken)


@pytest.mark.parametrize("rate", [1e-3, 0.1, 1, 12.5, 123.456, 1e3])
def test_a_rate_is_a_name_of_digits(rate: float) -> None:
    assert re.fullmatch(r"[0-9.]+", rate_text(rate))
