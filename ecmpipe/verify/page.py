"""Runs the anchors and writes them as a page with pictures and as JSON: what, reference, here, limits."""

from __future__ import annotations

import base64
import io
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ecmpipe import __version__
from ecmpipe.cards import whole_file, write_json
from ecmpipe.errors import ConvergenceError, SettingsError
from ecmpipe.verify import cells, cracks, pybamm_cell, solids, transport  # noqa: F401  (they enter their checks)
from ecmpipe.verify.anchors import CHECKS, Anchor, Picture


def verify(*, output: Path, output_numbers: Path, only: list[str] | None = None) -> dict:
    """Run all checks, or those that are named ``only``, and write the page; `ConvergenceError` afterwards where an anchor does not hold."""
    unknown = [name for name in only or [] if name not in CHECKS]
    if unknown:
        raise SettingsError(f"only: there is no check '{unknown[0]}'; known here: {', '.join(CHECKS)}")
    results: list[tuple[str, str, list[Anchor], float]] = []
    for name, function in CHECKS.items():
        if only and name not in only:
            continue
        began = time.process_time()
        anchors = function()
        results.append((name, (function.__doc__ or "").strip(), anchors, time.process_time() - began))
        for anchor in anchors:
            verdict = "holds" if anchor.holds else "DOES NOT HOLD"
            print(
                f"{name}: {anchor.what}: {anchor.value:.6g} {anchor.unit} [{anchor.low:.6g}, {anchor.high:.6g}] {verdict}",
                file=sys.stderr,
                flush=True,
            )
    environment = Environment(loader=PackageLoader("ecmpipe.verify"), autoescape=select_autoescape(), undefined=StrictUndefined)
    pages = [
        (name, doc, anchors, [draw(picture) for anchor in anchors for picture in anchor.pictures], seconds)
        for name, doc, anchors, seconds in results
    ]
    with whole_file(output) as partial:
        partial.write_text(environment.get_template("verify.html.j2").render(version=__version__, checks=pages), encoding="utf-8")
    numbers = {
        name: [
            {"what": a.what, "reference": a.reference, "value": a.value, "low": a.low, "high": a.high, "unit": a.unit, "holds": a.holds}
            for a in anchors
        ]
        for name, _, anchors, _ in results
    }
    write_json(output_numbers, numbers)
    broken = [f"{name}: nothing was compared" for name, _, anchors, _ in results if not anchors]
    broken += [f"{name}: {anchor.what}" for name, _, anchors, _ in results for anchor in anchors if not anchor.holds]
    if broken:
        raise ConvergenceError(f"{len(broken)} anchors do not hold: {'; '.join(broken)}; see {output}")
    return {"engine": "ecmpipe.fem", "anchors": sum(len(anchors) for _, _, anchors, _ in results)}


def draw(picture: Picture) -> str:
    """The picture as a data address."""
    figure, ax = plt.subplots(figsize=(4.2, 3.0), layout="constrained")
    for curve in picture.curves:
        ax.plot(curve.x, curve.y, "o" if curve.points else "-", ms=4, label=curve.name)
    if picture.log:
        ax.set(xscale="log", yscale="log")
    ax.set(xlabel=picture.x_label, ylabel=picture.y_label)
    ax.grid(alpha=0.25)
    ax.legend(fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
