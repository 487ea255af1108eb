"""``make readme``: the README's picture and numbers, and the reference costs of the progress line, from the last ``make run``."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

from ecmpipe.cards import read_json, whole_file
from ecmpipe.errors import CardError
from ecmpipe.progress import benchmark_costs
from ecmpipe.report.tables import FRACTURE_COLUMNS, comparison_rows, fracture_rows

BLOCK = re.compile(r"(<!-- results: made by make readme -->\n).*?(<!-- /results -->)", re.DOTALL)


def update_readme(
    *,
    readme: Path = Path("README.md"),
    results: Path = Path("results"),
    picture: Path = Path("docs/overview.png"),
    costs: Path = Path("workflow/costs.csv"),
) -> int:
    """Replace the marked block of the README by the tables of ``results/report/summary.json``; copy the overview picture."""
    summary = read_json(results / "report/summary.json")
    text = readme.read_text(encoding="utf-8")
    if not BLOCK.search(text):
        raise CardError(f"{readme}: lacks the block between '<!-- results: made by make readme -->' and '<!-- /results -->'")
    table = _table(("quantity", "SI value", "this run", "engine"), comparison_rows(summary))
    cracks = _table(FRACTURE_COLUMNS, fracture_rows(summary))
    with whole_file(readme) as partial:
        partial.write_text(BLOCK.sub(lambda found: f"{found[1]}{table}\n{cracks}{found[2]}", text), encoding="utf-8")
    shutil.copyfile(results / "report/figures/overview.png", picture)
    with whole_file(costs) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["benchmark", "wall [s]"])
        writer.writerows((path, f"{seconds:.1f}") for path, seconds in sorted(benchmark_costs(results / "benchmarks").items()))
    return 0


def _table(head: tuple[str, ...], rows: list) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)
