"""Whole cells: what must hold whatever the numbers, and how the onset moves with mesh, step, viscosity, length scale and width.

The numbers are literature and assumed ones, not those of a run, so that this page does not move with the engines.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ecmpipe.fem.model import Model
from ecmpipe.fem.output import COLUMNS, note_step
from ecmpipe.fem.staggered import run_protocol
from ecmpipe.fem.state import Record, State
from ecmpipe.fem.tables import Table
from ecmpipe.settings.base import merge, validate
from ecmpipe.settings.fem import DEFAULT, FemParameters, FemSettings, run_step, variant_settings
from ecmpipe.verify.anchors import Anchor, Curve, Picture, at_most, check
from ecmpipe.verify.transport import POTENTIAL_V, POTENTIAL_X

INPUTS = Path(__file__).resolve().parents[2] / "inputs"
# total 7.8 % from Nat. Commun. 2024, s41467-024-52123-w; shape assumed
VOLUME_X = np.linspace(1, 0, 11)
VOLUME_CHANGE = np.array([0, -0.42, -0.76, -1.04, -1.19, -1.34, -1.75, -2.91, -5.08, -6.70, -7.79]) / 100
LITERATURE = {  # SI units, by the names of parameters.json; crystals, moduli and surface energies of the size that DFT gives, assumed
    "site_density": 4.92e4,
    "lithium_in_electrolyte": 3.487e4,
    "youngs_modulus_cathode": 113e9,
    "poisson_ratio_cathode": 0.25,
    "youngs_modulus_electrolyte": 15e9,
    "poisson_ratio_electrolyte": 0.35,
    "toughness_cathode": 1.0,
    "toughness_electrolyte": 0.22,
}
FILLERS = {"none": (), "polyamide": (0.30e9, 0.24e9, 4.2e9), "pdms": (0.03e9, 0.02e9, 2.0e9)}  # C10, C01, kappa in Pa, assumed
SHORT = {"time": {"step [1]": 0.005}}  # PF-CZM never asks for shorter steps, and its onset lies on one
NARROW = {"geometry": {"width [m]": 1.0e-6}}


def model_of(
    overlay: dict[str, Any], numbers: dict[str, float], variant: str = DEFAULT, c_rate: float = 1.0, filler: str = "none"
) -> Model:
    """A case of the default settings under ``overlay`` with literature numbers, ``numbers`` over them."""
    read = {name: yaml.safe_load((INPUTS / f"{name}.yaml").read_text(encoding="utf-8")) for name in ("default", "parameters")}
    chosen = validate(FemSettings, merge(read["default"]["fem"], overlay))
    settings = SimpleNamespace(fem=chosen, parameters=SimpleNamespace(fem=validate(FemParameters, read["parameters"]["parameters"]["fem"])))
    _, parameters = variant_settings(settings, variant)
    values = {name: parameter["value"] for name, parameter in parameters.model_dump().items()} | LITERATURE | {"interface_toughness": 0.5}
    if filler != "none":
        values |= dict(zip(("filler_c10", "filler_c01", "filler_kappa"), FILLERS[filler], strict=True))
    volume = Table(VOLUME_X, 1 + VOLUME_CHANGE)
    return Model(values | numbers, run_step(settings, variant), c_rate, Table(np.array(POTENTIAL_X), np.array(POTENTIAL_V)), volume)


def history_of(model: Model) -> tuple[pd.DataFrame, Record]:
    """The history of the whole protocol."""
    record, rest = Record(), model.start()
    start = model.chemistry.lithium(rest.charge), model.energies(rest)[0]

    def accepted(before: State, after: State, record: Record, counts: dict[str, int]) -> None:
        note_step(model, before, after, record, start, counts | {"newton": 0})

    run_protocol(model, rest, record, accepted)
    return pd.DataFrame(record.rows, columns=list(COLUMNS)), record


@cache
def _onset(key: str) -> tuple[float, float]:
    overlay, numbers, variant, c_rate, filler = yaml.safe_load(key)
    table, record = history_of(model_of(overlay, numbers, variant, c_rate, filler))
    return record.onset[0] if record.onset else np.nan, table["Throughput Q [1]"].iloc[-1]


def onset(
    overlay: dict | None = None,
    numbers: dict | None = None,
    variant: str = DEFAULT,
    c_rate: float = 1.0,
    filler: str = "none",
    *,
    at_least: bool = False,
) -> float:
    """Throughput at the onset of a narrow cell; each case is run once.

    Where nothing cracks it is NaN, which no anchor takes, or for ``at_least`` the end of the charge, which it does not come before.
    """
    begins, end = _onset(yaml.safe_dump([merge(copy.deepcopy(NARROW), overlay or {}), numbers or {}, variant, c_rate, filler]))
    return end if at_least and np.isnan(begins) else begins


@check("energy of a slow crack", slow=True)
def energy() -> list[Anchor]:
    """A viscous crack in short steps: put in and lent against stored, crack and viscous, over what the crack took."""
    overlay = merge(NARROW, {"time": {"crack_limit [1]": 0.03, "smallest_step [1]": 5e-6, "most_steps [1]": 4000}})
    table, _ = history_of(model_of(overlay, {"viscous_time": 60.0}))
    taken = table["Crack energy [J.m-1]"] + table["Viscous dissipation [J.m-1]"]
    late, lent = taken > 0.3 * taken.iloc[-1], table["Energy lent by the history [J.m-1]"] / taken
    error = (table["Energy imbalance [1]"] * table["Energy put in [J.m-1]"] / taken).abs()
    curves = [
        Curve(name, table["Throughput Q [1]"], 1e6 * table[column])
        for name, column in (
            ("put in", "Energy put in [J.m-1]"),
            ("elastic", "Elastic energy [J.m-1]"),
            ("crack", "Crack energy [J.m-1]"),
            ("viscous", "Viscous dissipation [J.m-1]"),
            ("lent by the history", "Energy lent by the history [J.m-1]"),
        )
    ]
    return [
        at_most("energy balance over what the crack took", "put in + lent = elastic + crack + viscous", error[late].max(), 3e-2,
                pictures=[Picture("Q", "energy [µJ/m]", curves)]),
        at_most("what the history lent, over what the crack took", "small in a slow crack", lent.iloc[-1], 0.1),
        at_most("Li balance, worst step", "all Li of the cell", table["Li imbalance [1]"].max(), 1e-10),
        at_most("current balance, worst step", "what the electrodes pass", table["Current imbalance [1]"].max(), 1e-8),
    ]  # fmt: skip


@check("statements on the cell", slow=True)
def statements() -> list[Anchor]:
    """What a correct pipeline must show (rates, moduli, fillers), at literature numbers in a cell 1 um wide."""
    rates = [onset(c_rate=rate) for rate in (1, 5, 10)]
    soft, stiff = (onset(numbers={"youngs_modulus_electrolyte": value}) for value in (12e9, 18e9))
    fillers = [onset(SHORT, variant="cohesive", filler=filler, at_least=filler == "pdms") for filler in FILLERS]  # it may not crack at all
    at2 = [onset(filler=filler) for filler in FILLERS]
    half, whole = (onset(SHORT, {"length_scale": ell}, "cohesive") for ell in (5e-8, 1e-7))
    names = list(FILLERS)
    picture = Picture(
        "filler (none, polyamide, PDMS)", "Q at the onset", [Curve("PF-CZM", range(3), fillers, True), Curve("AT2", range(3), at2, True)]
    )
    return [
        at_most("spread of the onset over 1, 5, 10 C", "one throughput at every rate", max(rates) - min(rates), 0.02),
        Anchor("onset at E = 12 GPa less that at 18 GPa", "a softer electrolyte debonds later", soft - stiff, 0.005, 1.0),
        at_most("shift of the PF-CZM onset when l is halved", "its strength does not depend on l", abs(half - whole), 0.01),
        Anchor(
            f"PF-CZM onset: {names[1]} less {names[0]}",
            "at equal f_t and G_c a filler delays",
            fillers[1] - fillers[0],
            0.002,
            1.0,
            pictures=[picture],
        ),
        Anchor(f"PF-CZM onset: {names[2]} less {names[1]}", "the softer one more", fillers[2] - fillers[1], 0.002, 1.0),
    ]


@check("stack pressure", slow=True)
def pressure() -> list[Anchor]:
    """A clamped top and platens under 0, 5 and 50 MPa reach the cut-off, every step in agreement, with AT2 and PF-CZM."""
    anchors = []
    for variant, name in ((DEFAULT, "AT2"), ("cohesive", "PF-CZM")):
        opened = []
        for hold, megapascal, filler in (
            ("clamped", 0, "none"), ("platen", 0, "none"), ("platen", 5, "none"), ("platen", 50, "none"), ("platen", 50, "pdms")
        ):  # fmt: skip
            overlay = merge(NARROW, {"top": {"hold": hold, "pressure [Pa]": megapascal * 1e6}})
            model = model_of(overlay, {}, variant, filler=filler)
            table, record = history_of(model)
            what = f"{name}, filler {filler}, {hold}" + ("" if hold == "clamped" else f" at {megapascal} MPa")
            anchors.append(at_most(f"{what}: steps that did not converge", _course(table, record), _unconverged(model, table, record), 0.0))
            if hold == "platen" and filler == "none":
                opened.append(1e9 * table["Largest opening [m]"].max())
        words = ", ".join(f"{gap:.3g}" for gap in opened)
        ratio = max(after / before for before, after in zip(opened[:-1], opened[1:], strict=True))
        anchors.append(Anchor(f"{name}: largest gap against that under less pressure", f"{words} nm at 0, 5, 50 MPa", ratio, 0.0, 0.999))
    return [*anchors, _pressed_particle()]


def _pressed_particle() -> Anchor:
    """A platen follows a layer that shrinks, but not a particle in its matrix: there pressure shows in the contact."""
    at, kept, curves = 0.62, [], []
    for megapascal in (0, 5, 50):
        coarse = {"geometry": {"elements_per_length_scale [1]": 3}, "top": {"hold": "platen", "pressure [Pa]": megapascal * 1e6}}
        table, _ = history_of(model_of(coarse, {"length_scale": 2e-7}, "particle"))
        throughput, contact = table["Throughput Q [1]"].to_numpy(), table["Contact fraction [1]"].to_numpy()
        kept.append(float(np.interp(at, throughput, contact)))
        curves.append(Curve(f"{megapascal} MPa", throughput, contact))
    words = ", ".join(f"{contact:.3f}" for contact in kept)
    least = min(after - before for before, after in zip(kept[:-1], kept[1:], strict=True))
    return Anchor(
        f"particle: contact at Q = {at:g} gained by more pressure",
        f"{words} at 0, 5, 50 MPa; more pressure keeps more contact",
        least,
        0.01,
        1.0,
        pictures=[Picture("Q", "contact", curves)],
    )


def _unconverged(model: Model, table: pd.DataFrame, record: Record) -> float:
    """Accepted steps whose forces or crack were left above their tolerance; infinite where the run did not reach its cut-off."""
    solver = model.settings.solver
    forces, crack = table["Force residual [1]"], table["Crack change of the last stagger [1]"]
    loose = (forces > solver.force_tolerance) | (crack > solver.crack_tolerance)
    return float(loose.sum()) if "cut-off" in record.reason else np.inf


def _course(table: pd.DataFrame, record: Record) -> str:
    return f"{table['Time [s]'].nunique()} accepted, {record.rejected} halved; ended by: {record.reason}"


STUDY: dict[str, tuple[list[float], int, Callable[[float], tuple[dict, dict]]]] = {  # values, the default's place, overlay and numbers
    "h/l": ([1 / 2, 1 / 4, 1 / 6, 1 / 8], 1, lambda value: ({"geometry": {"elements_per_length_scale [1]": round(1 / value)}}, {})),
    "largest step": ([0.04, 0.02, 0.01, 0.005], 1, lambda value: ({"time": {"step [1]": value}}, {})),
    "width [µm]": ([1, 2, 3, 5], 2, lambda value: ({"geometry": {"width [m]": value * 1e-6}}, {})),
    "viscous time [s]": ([60, 30, 15, 0], 1, lambda value: ({}, {"viscous_time": float(value)})),
    "l [µm]": ([0.15, 0.1, 0.07, 0.05], 1, lambda value: ({}, {"length_scale": value * 1e-6})),
}
NUMERICAL = ("h/l", "largest step", "width [µm]")  # the others are parameters of AT2: the onset moves with them, whatever the mesh


@check("convergence of the onset", slow=True)
def convergence() -> list[Anchor]:
    """The AT2 onset over each choice, all others at their default; numerical choices must lie near their finest. What is a parameter of the
    model is drawn, and nothing is asked of it."""
    anchors, drawn = [], []
    for name, (values, chosen, overlaid) in STUDY.items():
        found = [onset(*overlaid(value)) for value in values]
        words = ", ".join(f"{value:.3g}: {q:.4f}" for value, q in zip(values, found, strict=True))
        drawn.append(Picture(name, "Q at the onset", [Curve(words, np.array(values), np.array(found), True)]))
        if name in NUMERICAL:
            error = abs(found[chosen] / found[-1] - 1)
            what = f"onset over {name}, default against the last"
            anchors.append(at_most(what, f"{words}; default {values[chosen]:g}", error, 0.03))
    return [replace(anchors[0], pictures=drawn), *anchors[1:]]
