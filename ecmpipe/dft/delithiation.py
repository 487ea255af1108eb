"""The delithiation curve: convex hull of the relaxed compositions, then a smooth potential E_eq(x) and volume V(x)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator
from scipy.optimize import minimize

from ecmpipe.cards import write_curve
from ecmpipe.dft.records import RunCard, pick, read_runs
from ecmpipe.errors import ConvergenceError
from ecmpipe.settings.dft import DelithiationStep
from ecmpipe.units import ANGSTROM, CUBIC_ANGSTROM, EV

LARGEST_VOLTAGE = 10.0  # V: beyond it the runs or the reference are wrong


def collect_delithiation(
    step: DelithiationStep, *, material: str, runs: list[Path], output: Path, output_hull: Path | None = None
) -> dict[str, Any]:
    """Write the curve of ``material`` per formula unit on a fine grid of x, 0 to 1 ascending, that holds all hull knots.

    The grid, not the knots, is handed on: between two compositions of the hull a calculation gives a plateau, so the
    potential is smoothed by `smooth_potential`, which keeps the energy of every knot, and is strictly decreasing in
    x, as is any PCHIP of its grid. Volume and cell lengths are PCHIP curves through all compositions of the hull.
    ``On hull [1]`` is 1 at the calculated knots. ``output_hull`` gets every calculated composition with the raw steps.
    """
    first, found = read_runs(runs, material)
    reference = pick(found, step.reference)
    li_energy = reference.energy / len(reference.cell.species)
    table = lowest_orderings(pd.DataFrame([_row(run, step) for run in found.values() if run.kind in ("bulk", "delithiated")]))
    x, energy = table["x"].to_numpy(), table["energy"].to_numpy()
    if x[0] != 0 or x[-1] != 1:
        raise ConvergenceError(
            f"{runs[0].parent}: delithiation of '{material}' spans x = {x[0]:g} to {x[-1]:g}, not 0 to 1; rerun its batches"
        )
    knots = convex_hull(x, energy)
    steps = li_energy - np.diff(energy[knots]) / np.diff(x[knots])
    if not (np.abs(steps) < LARGEST_VOLTAGE).all():
        raise ConvergenceError(
            f"{runs[0].parent}: hull steps of {np.round(steps, 2).tolist()} V; look at the runs and at '{step.reference}'"
        )
    places, values = smooth_potential(x[knots], steps, step.smallest_slope)
    grid = np.union1d(np.round(np.linspace(0, 1, step.points), 12), np.round(places, 12))
    grid = grid[np.append(True, np.diff(grid) > 1e-9)]
    potential = np.interp(grid, places, values)
    if not (np.diff(potential) < 0).all():
        raise ConvergenceError(f"{runs[0].parent}: E_eq(x) of '{material}' is not strictly decreasing; raise the smallest slope")
    charge = np.concatenate([[0.0], np.cumsum(np.diff(grid) * (potential[1:] + potential[:-1]) / 2)])
    columns = {key: PchipInterpolator(x[knots], table[key].to_numpy()[knots])(grid) for key in ("volume", "a", "c")}
    write_curve(
        output,
        pd.DataFrame(
            {
                "Li content x [1]": grid,
                "Volume [m3]": columns["volume"] * CUBIC_ANGSTROM,
                "Energy [J]": (energy[0] + grid * li_energy - charge) * EV,
                "Equilibrium potential [V]": potential,
                "a [m]": columns["a"] * ANGSTROM,
                "c [m]": columns["c"] * ANGSTROM,
                "On hull [1]": np.isclose(grid[:, None], x[knots][None, :], atol=1e-9).any(axis=1).astype(int),
            }
        ),
    )
    if output_hull is not None:
        write_curve(output_hull, _hull_table(table, knots, steps, li_energy))
    return {"engine": first.engine, "hull x": x[knots].tolist(), "hull steps [V]": np.round(steps, 4).tolist()}


def lowest_orderings(table: pd.DataFrame) -> pd.DataFrame:
    """One row per composition, x rising: the ordering of least energy, with how many were relaxed and how far they lie apart."""
    rows = []
    for _, group in table.groupby("x"):
        best = group.loc[group["energy"].idxmin()].to_dict()
        spread = {f"{key} spread": float(np.ptp(group[key])) for key in ("energy", "volume")}
        rows.append(best | {"orderings": len(group)} | spread)
    return pd.DataFrame(rows).sort_values("x", ignore_index=True)


def convex_hull(x: Sequence[float], energy: Sequence[float]) -> np.ndarray:
    """Indices of the lower convex hull of ``energy`` over rising ``x``, both ends included; on-line points are left out."""
    hull: list[int] = []
    for k in range(len(x)):
        while len(hull) > 1:
            i, j = hull[-2:]
            if (energy[j] - energy[i]) * (x[k] - x[i]) < (energy[k] - energy[i]) * (x[j] - x[i]):
                break
            hull.pop()
        hull.append(k)
    return np.array(hull)


def smooth_potential(x: np.ndarray, steps: np.ndarray, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """A strictly decreasing, piecewise linear potential whose mean over every hull interval is that interval's step.

    ``x`` (n + 1) rising, ``steps`` (n) strictly decreasing, both ends at least ``slope`` V beyond their steps. Within an
    interval the potential takes the value of the step at the fraction that conserves the energy (a shape-preserving
    quadratic spline of the energy: Schumaker, SIAM J. Numer. Anal. 20, 854 (1983)). Its values at the inner knots are
    free between the two steps there; they are chosen for the least mean square slope, since a cliff in E_eq(x) would be
    an artefact of the few compositions. Returns places and values.
    """
    if (np.diff(steps) >= 0).any():
        raise ConvergenceError(f"hull steps {steps.tolist()} V do not fall with x")
    if len(steps) == 1:
        ends = np.array([steps[0] + slope, steps[0] - slope])
    else:
        share = np.full(len(steps) - 1, 0.5)
        found = minimize(lambda share: _roughness(x, steps, _ends(steps, share, slope)), share, bounds=[(0.02, 0.98)] * len(share))
        ends = _ends(steps, found.x, slope)
    places, values = [x[0]], [ends[0]]
    for k, value in enumerate(steps):
        turn = (value - ends[k + 1]) / (ends[k] - ends[k + 1])
        places += [x[k] + turn * (x[k + 1] - x[k]), x[k + 1]]
        values += [value, ends[k + 1]]
    return np.array(places), np.array(values)


def _ends(steps: np.ndarray, share: np.ndarray, slope: float) -> np.ndarray:
    """Values at all knots: ``share`` of the way from the lower to the higher step inside, mirrored beyond the outer steps."""
    inner = steps[1:] + share * (steps[:-1] - steps[1:])
    return np.concatenate([[steps[0] + max(slope, steps[0] - inner[0])], inner, [steps[-1] - max(slope, inner[-1] - steps[-1])]])


def _roughness(x: np.ndarray, steps: np.ndarray, ends: np.ndarray) -> float:
    """The integral of the squared slope of the piecewise linear potential, in V2."""
    width, fall = np.diff(x), ends[:-1] - ends[1:]
    turn = (steps - ends[1:]) / fall
    return float(np.sum(((ends[:-1] - steps) ** 2 / turn + (steps - ends[1:]) ** 2 / (1 - turn)) / width))


def _row(run: RunCard, step: DelithiationStep) -> dict[str, float]:
    lattice = np.array(run.cell.lattice)
    volume = abs(np.linalg.det(lattice))
    lithium = sum(name == "Li" for name in run.cell.species)
    per_cell = step.formula_units
    # the hexagonal a of the parent: from the area of the basal plane, which a decorated cell shears slightly
    area = np.linalg.norm(np.cross(lattice[0], lattice[1]))
    return {
        "x": lithium / step.of,
        "energy": run.energy / per_cell,
        "volume": volume / per_cell,
        "a": float(np.sqrt(area / (step.repeats * np.sin(np.pi / 3)))),
        "c": volume / area,
    }


def _hull_table(table: pd.DataFrame, knots: np.ndarray, steps: np.ndarray, li_energy: float) -> pd.DataFrame:
    x, energy = table["x"].to_numpy(), table["energy"].to_numpy()
    mixing = energy - (1 - x) * energy[0] - x * energy[-1]
    above = energy - np.interp(x, x[knots], energy[knots])
    interval = np.clip(np.searchsorted(x[knots], x, side="right") - 1, 0, len(steps) - 1)
    return pd.DataFrame(
        {
            "Li content x [1]": x,
            "Volume [m3]": table["volume"] * CUBIC_ANGSTROM,
            "Energy [J]": energy * EV,
            "Formation energy [J]": mixing * EV,
            "Energy above hull [J]": above * EV,
            "On hull [1]": np.isin(np.arange(len(x)), knots).astype(int),
            "Orderings [1]": table["orderings"],
            "Energy spread of orderings [J]": table["energy spread"] * EV,
            "Volume spread of orderings [m3]": table["volume spread"] * CUBIC_ANGSTROM,
            "Hull step from here to higher x [V]": steps[interval],
            "Reference energy of Li [J]": li_energy * EV,
        }
    )
