"""``results/report/index.html``: one page that opens offline, every number beside its source."""

from __future__ import annotations

import base64
import csv
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ecmpipe import __version__
from ecmpipe.cards import FemParametersCard, read_card, read_json, whole_file
from ecmpipe.report.polymers import COLUMNS, hyperelastic_rows, polymer_notes
from ecmpipe.report.tables import (
    FRACTURE_COLUMNS,
    VARIANT_COLUMNS,
    adhesion_rows,
    comparison_rows,
    elastic_tables,
    fracture_rows,
    surface_rows,
    variant_rows,
)
from ecmpipe.settings.report import SummaryStep


def write_page(
    step: SummaryStep, *, summary: Path, figures: list[Path], parameters: list[Path], benchmarks: Path | None = None, output: Path
) -> dict:
    """Write the page; pictures are embedded, so the file can be sent by mail."""
    found = read_json(summary)
    environment = Environment(loader=PackageLoader("ecmpipe.report"), autoescape=select_autoescape(), undefined=StrictUndefined)
    page = environment.get_template("page.html.j2").render(
        version=__version__,
        summary=found,
        comparison=comparison_rows(found),
        elastic=elastic_tables(found),
        surfaces=surface_rows(found),
        adhesion=adhesion_rows(found),
        hyperelastic=hyperelastic_rows(found),
        hyperelastic_columns=COLUMNS,
        polymer_notes=polymer_notes(found),
        variants=variant_rows(found),
        variant_columns=VARIANT_COLUMNS,
        fracture=fracture_rows(found),
        fracture_columns=FRACTURE_COLUMNS,
        pictures={path.stem: _embed(path) for path in figures},
        cases=[path.stem for path in figures if path.stem.startswith("fields_")],
        parameters=[(f"{path.parent.parent.name}/{path.parent.name}", read_card(FemParametersCard, path).numbers) for path in parameters],
        costs=read_costs(benchmarks) if benchmarks is not None else [],
    )
    with whole_file(output) as partial:
        partial.write_text(page, encoding="utf-8")
    return {"engine": "none"}


def _embed(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def read_costs(folder: Path) -> list[dict[str, Any]]:
    """Wall and CPU seconds and peak memory by rule, from Snakemake's benchmark files; the latest run of each job."""
    rows = []
    for rule in sorted(path for path in folder.glob("*") if path.is_dir()):
        records = []
        for path in rule.glob("*.tsv"):
            with open(path, encoding="utf-8") as stream:
                records += list(csv.DictReader(stream, delimiter="\t"))[:1]
        if records:
            rows.append(
                {
                    "rule": rule.name,
                    "jobs": len(records),
                    "wall": sum(_number(record["s"]) for record in records),
                    "cpu": sum(_number(record["cpu_time"]) for record in records),
                    "memory": max(_number(record["max_rss"]) for record in records),
                }
            )
    return rows


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # Snakemake writes NA or - for jobs too short to sample
        return 0.0
