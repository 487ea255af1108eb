"""The figures in the layout of the SI: fields (S1-S6, S9), overpotential (S7), stress-stretch (S8), and the DFT curves."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from ecmpipe.cards import HyperelasticCard, read_card, read_curve, whole_file
from ecmpipe.report.polymers import filler_order, rate_text, si_order
from ecmpipe.report.results import SHOWN_LI, Case, Frame, read_case, read_fields
from ecmpipe.settings.fem import DEFAULT
from ecmpipe.settings.report import FiguresStep
from ecmpipe.units import ANGSTROM, CUBIC_ANGSTROM, HOUR

PANELS = (
    (SHOWN_LI, "Li, in LGPS mobile\n[mol m$^{-3}$]", "viridis", 1.0),
    ("Crack field d [1]", "crack field $d$", "inferno_r", 1.0),
    ("Displacement y [m]", "$u_y$ [nm]", "coolwarm", 1e9),
)
COLOURS = {"none": "tab:blue", "polyamide": "tab:orange", "pdms": "tab:green"}
LEVELS = 96
STYLES = ["-", "--", ":", "-."]


def plot_figures(
    step: FiguresStep, *, cases: list[Path], curves: list[Path], fits: list[Path], delithiation: Path, output: list[Path]
) -> dict:
    """Draw every figure of the report; ``output`` names them by what they show, ``cases`` are the files of all cases that are read."""
    plt.rcParams.update({"font.size": 9, "axes.grid": True, "grid.alpha": 0.25, "savefig.dpi": step.settings.dots_per_inch})
    runs = sorted(
        map(read_case, dict.fromkeys(path.parent for path in cases)),
        key=lambda case: (case.variant != DEFAULT, case.variant, *filler_order(case.filler), case.c_rate),
    )
    usual = [case for case in runs if case.variant == DEFAULT] or runs
    polymers = [(read_card(HyperelasticCard, fit), read_curve(curve)) for fit, curve in zip(fits, curves, strict=True)]
    polymers.sort(key=lambda pair: si_order(pair[0]))
    voltage = read_curve(delithiation)
    for path in output:
        if path.stem == "overview":
            figure = plot_overview(usual)
        elif path.stem == "overpotential":
            figure = plot_overpotential(usual)
        elif path.stem == "variants":
            figure = plot_variants(runs)
        elif path.stem == "stress_stretch":
            figure = plot_stress_stretch(polymers)
        elif path.stem == "delithiation":
            figure = plot_delithiation(voltage)
        else:  # fields_{variant}_{filler}_{c_rate}C
            figure = plot_fields(next(case for case in runs if path.stem == f"fields_{case.name.replace('/', '_')}"), step)
        with whole_file(path) as partial:
            figure.savefig(partial, format="png", bbox_inches="tight")
        plt.close(figure)
    return {"engine": f"matplotlib {matplotlib.__version__}"}


def plot_fields(case: Case, step: FiguresStep) -> Figure:
    """Concentration, crack field and displacement at the time marks of the SI's Figs S1-S6."""
    points, triangles, frames = read_fields(case.fields)
    marks = time_marks(case, frames, step.printed.intact_time_1c.value / case.c_rate)
    figure, axes = plt.subplots(len(marks), 3, figsize=(8.2, 3.2 * len(marks)), squeeze=False, layout="constrained")
    for row, (name, frame) in zip(axes, marks, strict=True):
        for panel, (ax, what) in enumerate(zip(row, PANELS, strict=True)):
            draw_field(ax, points, triangles, frame, what)
            ax.set_title(f"({'abc'[panel]}) {what[1]}", fontsize=8)
        throughput = frame.time * case.c_rate / HOUR
        row[0].set_ylabel(f"{name}\nt = {frame.time:.1f} s, Q = {throughput:.3f}\n\ny [µm]")
    figure.suptitle(f"NCM811 (below) | LGPS (above), {case.title}")
    return figure


def time_marks(case: Case, frames: list[Frame], intact: float) -> list[tuple[str, Frame]]:
    """The frames nearest to the SI's intact time, the onset, half the contact left, and the end."""
    history = case.history
    wanted = [("before the crack", intact)]
    if case.summary.onset_time is not None:
        wanted.append(("the crack starts", case.summary.onset_time))
        if (half := half_time(case)) is not None:
            wanted.append(("half the contact is lost", half))
    wanted.append(("end of charge", float(history["Time [s]"].iloc[-1])))
    marks: list[tuple[str, Frame]] = []
    for name, time in sorted(wanted, key=lambda item: item[1]):
        frame = min(frames, key=lambda item: abs(item.time - time))
        if all(frame is not other for _, other in marks):
            marks.append((name, frame))
    return marks


def half_time(case: Case) -> float | None:
    """When (s) half the contact was lost; None where it never was."""
    half = case.summary.details.get("throughput at half contact [1]")
    return None if half is None else float(np.interp(half, case.history["Throughput Q [1]"], case.history["Time [s]"]))


def draw_field(ax: Axes, points: np.ndarray, triangles: np.ndarray, frame: Frame, what: tuple) -> None:
    """One field on the undeformed mesh, lengths in µm."""
    key, _, colours, factor = what
    values = factor * np.asarray(frame.point_data[key]).reshape(-1)
    if key == SHOWN_LI:  # a layer that holds none, such as a filler behind the lithium, stays white
        triangles = triangles[(values[triangles] > 0).all(axis=1)]
        values = np.where(values > 0, values, values[values > 0].min())
    low, high = (0.0, 1.0) if key.startswith("Crack") else (values.min(), values.max())
    margin = 1e-6 * max(high - low, abs(high), 1e-6)  # the ends belong to the outer levels, a uniform field to one
    levels = np.linspace(low - margin, high + margin, LEVELS)
    image = ax.tricontourf(points[:, 0] * 1e6, points[:, 1] * 1e6, triangles, values, levels=levels, cmap=colours)
    image.set_edgecolor("face")  # no hairlines between the levels
    ax.set_aspect("equal")
    ax.grid(False)
    ticks = [tick for tick in MaxNLocator(5).tick_values(low, high) if low - margin <= tick <= high + margin]
    ax.figure.colorbar(image, ax=ax, shrink=0.85, ticks=ticks)
    ax.set_xlabel("x [µm]")


def draw_overpotential(ax: Axes, cases: list[Case]) -> None:
    """Overpotential against inverse Li content, the onset marked."""
    rates = sorted({case.c_rate for case in cases})
    for case in cases:
        table = case.history
        x = 1 - table["Li content mean x [1]"]
        label = f"{case.c_rate:g} C" if case.filler == "none" else f"{case.c_rate:g} C, {case.filler}"
        style = STYLES[rates.index(case.c_rate) % len(STYLES)]
        ax.plot(x, 1e3 * table["Overpotential [V]"], style, color=COLOURS.get(case.filler, "tab:red"), label=label)
        if case.summary.onset_time is not None:
            at = np.interp(case.summary.onset_time, table["Time [s]"], x)
            eta = np.interp(case.summary.onset_time, table["Time [s]"], 1e3 * table["Overpotential [V]"])
            ax.plot(at, eta, "o", color=COLOURS.get(case.filler, "tab:red"), ms=5, mfc="white")
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("Li removed, $x$ of Li$_{1-x}$NCM811")
    ax.set_ylabel("overpotential η [mV]")
    ax.legend(fontsize=8)


def plot_overpotential(cases: list[Case]) -> Figure:
    """Fig. S7: the overpotential rises when contact is lost; circles mark the onset of the crack."""
    rates = sorted({case.c_rate for case in cases if case.filler == "none"})
    figure, axes = plt.subplots(1, len(rates) + 1, figsize=(3.6 * (len(rates) + 1), 3.4), layout="constrained")
    for ax, rate, letter in zip(axes, rates, "abcdefghij", strict=False):
        draw_overpotential(ax, [case for case in cases if case.c_rate == rate])
        ax.set_title(f"({letter}) {rate:g} C")
        ax.set_ylim(3, 1e3)
    for case in cases:
        axes[-1].plot(
            case.history["Throughput Q [1]"],
            case.history["Contact fraction [1]"],
            STYLES[sorted({c.c_rate for c in cases}).index(case.c_rate) % len(STYLES)],
            color=COLOURS.get(case.filler, "tab:red"),
            label=case.title,
        )
    axes[-1].set(xlabel="charge passed $Q = t\\,C/3600$ s", ylabel="contact fraction", title=f"({'abcdefghij'[len(rates)]}) contact")
    axes[-1].legend(fontsize=7)
    return figure


def plot_variants(cases: list[Case]) -> Figure:
    """Contact and overpotential of every kind of case over the charge passed, fillers by colour."""
    kinds = list(dict.fromkeys(case.variant for case in cases))
    figure, axes = plt.subplots(
        2, len(kinds), figsize=(3.1 * len(kinds) + 1, 5.2), sharex=True, sharey="row", squeeze=False, layout="constrained"
    )
    for column, kind in zip(axes.T, kinds, strict=True):
        for case in (case for case in cases if case.variant == kind):
            table, colour = case.history, COLOURS.get(case.filler, "tab:red")
            style = STYLES[sorted({c.c_rate for c in cases}).index(case.c_rate) % len(STYLES)]
            column[0].plot(table["Throughput Q [1]"], table["Contact fraction [1]"], style, color=colour)
            label = f"{case.c_rate:g} C" + ("" if case.filler == "none" else f", {case.filler}")
            column[1].plot(table["Throughput Q [1]"], 1e3 * table["Overpotential [V]"].abs(), style, color=colour, label=label)
        column[0].set_title(kind)
        column[1].set(xlabel="charge passed $Q$", yscale="log")
        column[1].legend(fontsize=7)
    axes[0, 0].set_ylabel("contact fraction")
    axes[1, 0].set_ylabel("|overpotential| [mV]")
    return figure


def plot_stress_stretch(polymers: list[tuple[HyperelasticCard, pd.DataFrame]]) -> Figure:
    """Fig. S8: mean Cauchy stresses of the pulls with their standard error, and S.37 along the smoothed lateral stretches."""
    figure, axes = plt.subplots(1, len(polymers), figsize=(4.8 * len(polymers), 3.8), squeeze=False, layout="constrained")
    for ax, (card, curve), letter in zip(axes[0], polymers, "abcdefghij", strict=False):
        stretch = curve["Stretch axial [1]"]
        for name, colour in (("axial", "tab:blue"), ("lateral", "tab:gray")):
            stress = 1e-6 * curve[f"Stress {name} [Pa]"]
            if card.runs > 1:
                error = 1e-6 * curve[f"Standard error {name} [Pa]"]
                ax.fill_between(stretch, stress - error, stress + error, color=colour, alpha=0.2, lw=0)
            ax.plot(stretch, stress, "o", ms=3, mew=0, alpha=0.7, color=colour, label=f"MD, {name}")
            ax.plot(stretch, 1e-6 * curve[f"Fit {name} [Pa]"], "-", lw=1.8, color=colour, label=f"Mooney-Rivlin, {name}")
        pulls = f"{card.runs} pull" + ("s" if card.runs > 1 else "")
        ax.set_title(f"({letter}) {card.polymer}: {rate_text(card.strain_rate)}, {pulls}, {card.atoms} atoms")
        ax.set(xlabel="axial stretch λ", ylabel="Cauchy stress [MPa]")
        ax.legend(fontsize=8)
    return figure


def plot_delithiation(table: pd.DataFrame) -> Figure:
    """What the cathode hands to the cell: E_eq(x) with the steps of the hull it keeps the energy of, V(x), and the cell's a and c."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
    table = table.sort_values("Li content x [1]", ignore_index=True)
    removed = 1 - table["Li content x [1]"]
    computed = table[table["On hull [1]"] > 0]
    knots, potential = computed["Li content x [1]"].to_numpy(), table["Equilibrium potential [V]"].to_numpy()
    charge = np.concatenate([[0.0], np.cumsum(np.diff(table["Li content x [1]"]) * (potential[1:] + potential[:-1]) / 2)])
    steps = np.diff(charge[computed.index]) / np.diff(knots)
    axes[0].stairs(steps[::-1], (1 - knots)[::-1], baseline=None, color="tab:gray", ls="--", label="hull")
    axes[0].plot(removed, potential, "-", color="tab:blue", label="$E_{eq}(x)$")
    axes[0].set(ylabel="equilibrium potential [V vs Li]")
    axes[0].legend(fontsize=8)
    start = float(table.loc[table["Li content x [1]"].idxmax(), "Volume [m3]"])
    axes[1].plot(removed, 100 * (table["Volume [m3]"] / start - 1), "-", color="tab:red")
    axes[1].plot(1 - computed["Li content x [1]"], 100 * (computed["Volume [m3]"] / start - 1), "o", color="tab:red", ms=4)
    axes[1].set(ylabel=f"volume change [%] of {start / CUBIC_ANGSTROM:.2f} Å$^3$")
    for name, colour in (("a", "tab:green"), ("c", "tab:purple")):
        first = table[f"{name} [m]"].iloc[-1]
        axes[2].plot(removed, 100 * (table[f"{name} [m]"] / first - 1), "-", color=colour, label=f"{name} of {first / ANGSTROM:.3f} Å")
        axes[2].plot(1 - knots, 100 * (computed[f"{name} [m]"] / first - 1), "o", color=colour, ms=4)
    axes[2].set(ylabel="change of cell length [%]")
    axes[2].legend(fontsize=8)
    for ax in axes:
        ax.set_xlabel("Li removed")
    return figure


def plot_overview(cases: list[Case]) -> Figure:
    """The picture of the README: the running crack of the slowest bare case, and every overpotential."""
    case = cases[0]
    points, triangles, frames = read_fields(case.fields)
    half = half_time(case)
    time = float(case.history["Time [s]"].iloc[-1]) if half is None else half
    frame = min(frames, key=lambda item: abs(item.time - time))
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.9), width_ratios=[1, 1, 1, 1.6], layout="constrained")
    for ax, what in zip(axes, PANELS, strict=False):
        draw_field(ax, points, triangles, frame, what)
        ax.set_title(what[1])
    axes[0].set_ylabel(f"{case.title}, t = {frame.time:.0f} s\ny [µm]")
    draw_overpotential(axes[3], cases)
    axes[3].set_title("contact loss raises the overpotential (○ crack starts)")
    return figure
