"""Work of adhesion of the explicit interface, and the curve on which its halves come apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import curve_fit

from ecmpipe.cards import Adhesion, AdhesionCard, read_card, write_card
from ecmpipe.dft.records import InterfaceCard, RunCard, pick, read_runs
from ecmpipe.dft.slabs import coordination
from ecmpipe.errors import ConvergenceError
from ecmpipe.settings.dft import INTERFACE, AdhesionStep
from ecmpipe.units import ANGSTROM, EV_PER_SQUARE_ANGSTROM

PER_ANGSTROM = 1e10  # J/m2 per A, in Pa


def collect_adhesion(step: AdhesionStep, *, structures: Path, runs: list[Path], output: Path) -> dict[str, Any]:
    """Write the card of all faces; every number is labelled indicative, with the cell that it belongs to."""
    card = read_card(InterfaceCard, structures)
    first, found = read_runs(runs, INTERFACE)
    write_card(
        output,
        AdhesionCard.model_validate(
            {
                "engine": first.engine,
                "quality": "indicative",
                "cathode": card.cathode,
                "electrolyte": card.electrolyte,
                "Area [m2]": card.area * ANGSTROM**2,
                "Principal strains of the electrolyte [1]": card.strains,
                "Atoms [1]": len(next(iter(card.faces.values())).cell.species),
                "cathode_formula": card.cathode_formula,
                "electrolyte_formula": card.electrolyte_formula,
                "Surface cells of the cathode [1]": card.cathode_cells,
                "Surface cells of the electrolyte [1]": card.electrolyte_cells,
                "faces": {face: _adhesion(step, face, card, found) for face in step.faces},
            }
        ),
    )
    return {"engine": first.engine}


def _adhesion(step: AdhesionStep, face: str, card: InterfaceCard, runs: dict[str, RunCard]) -> Adhesion:
    to_work = EV_PER_SQUARE_ANGSTROM / card.area
    whole, halves = pick(runs, f"{face}_together"), [pick(runs, f"{face}_{side}") for side in ("cathode", "electrolyte")]
    work = (sum(half.energy for half in halves) - whole.energy) * to_work
    if work <= 0:
        raise ConvergenceError(f"interface {face}: work of adhesion {work:.3f} J/m2: the halves do not hold together; look at its runs")
    apart = sorted((run for run in runs.values() if run.kind == "apart" and run.name.startswith(face)), key=lambda run: run.separation)
    separation = np.array([0.0, *(run.separation for run in apart)])
    energy = np.array([whole.energy, *(run.energy for run in apart)]) * to_work
    far = sum(half.initial_energy for half in halves) * to_work  # the halves as they stand in the whole, each alone
    curve = binding_curve(separation, energy - far)
    tried = [run.energy for run in runs.values() if run.kind == "registry" and run.name.startswith(face)]
    structure, start = whole.cell.structure(), card.faces[face].cell.structure()
    before, after = coordination(start, step.intact), coordination(structure, step.intact)
    return Adhesion.model_validate(
        {
            "Work of adhesion [J.m-2]": work,
            **curve,
            "Separation [m], energy [J.m-2]": np.column_stack([separation * ANGSTROM, energy - far]).tolist(),
            "registries": len(tried),
            "Energy range of the registries [J.m-2]": float(np.ptp(tried)) * to_work,
            "Forbidden bonds": {pair: sum(counts) for pair, counts in coordination(structure, step.forbidden).items()},
            "Centres that lost or won a bond": {pair: int(np.sum(np.array(before[pair]) != np.array(after[pair]))) for pair in step.intact},
            "Largest residual force [eV.angstrom-1]": whole.residual_force,
        }
    )


def binding_curve(separation: np.ndarray, energy: np.ndarray) -> dict[str, float]:
    """Fit of the universal binding curve (Rose, Ferrante, Smith, Phys. Rev. Lett. 47, 675 (1981)).

    ``separation`` in A, ``energy`` in J/m2, zero for the halves alone. W and l are fitted; the standard error of the strength
    W/(e l) follows from their covariance.
    """

    def curve(s: np.ndarray, work: float, length: float) -> np.ndarray:
        return -work * (1 + s / length) * np.exp(-s / length)

    try:
        found, covariance = curve_fit(curve, separation, energy, p0=[-energy[0], 0.6])
    except RuntimeError as error:
        raise ConvergenceError(f"interface: the separation curve is no binding curve ({error}); look at its energies") from None
    work, length = found
    slope = np.array([1.0, -work / length]) / (np.e * length)
    return {
        "Rigid work of separation [J.m-2]": float(work),
        "Rigid work of separation, standard error [J.m-2]": float(np.sqrt(covariance[0, 0])),
        "Rigid strength [Pa]": float(work / (np.e * length)) * PER_ANGSTROM,
        "Rigid strength, standard error [Pa]": float(np.sqrt(slope @ covariance @ slope)) * PER_ANGSTROM,
        "Steepest slope between two points [Pa]": float(np.max(np.diff(energy) / np.diff(separation))) * PER_ANGSTROM,
        "Decay length [m]": float(length) * ANGSTROM,
        "Root mean square misfit of the curve [J.m-2]": float(np.sqrt(np.mean((curve(separation, *found) - energy) ** 2))),
    }
