"""Surface energies: slab against a bulk of the same composition and the same engine, mean of both faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ecmpipe.cards import SurfacesCard, read_card, write_card
from ecmpipe.dft.records import BatchCard, RunCard, pick
from ecmpipe.errors import CardError, ConvergenceError
from ecmpipe.settings.dft import SurfacesStep
from ecmpipe.units import ANGSTROM, EV_PER_SQUARE_ANGSTROM


def collect_surfaces(step: SurfacesStep, *, runs: list[Path], output: Path) -> dict[str, Any]:
    """Write the card of all materials; keys are the materials' names. ``symmetric`` is said of the cut before decoration."""
    found: dict[str, dict[str, RunCard]] = {}
    batches: dict[str, BatchCard] = {}
    engines = set()
    for path in runs:
        batch = read_card(BatchCard, path)
        batches[batch.material] = batch
        engines.add(batch.engine)
        found.setdefault(batch.material, {}).update(batch.runs)
    if len(engines) != 1:
        raise CardError(f"surfaces: batches of different engines {sorted(engines)}; delete the older ones and rerun them")
    surfaces: dict[str, Any] = {}
    for material, bulk_name in step.bulk.items():
        if material not in found:
            raise CardError(f"surfaces: no runs of '{material}' were given; rerun its batches")
        bulk, run = pick(found[material], bulk_name), pick(found[material], "slab")
        heights = np.array(run.cell.positions)[:, 2] * np.array(run.cell.lattice)[2][2]
        height = np.array(run.cell.lattice)[2][2]
        surfaces[material] = {
            "material": material,
            "miller": step.miller[material],
            "Surface energy [J.m-2]": surface_energy(run, run.energy, bulk),
            "Unrelaxed surface energy [J.m-2]": surface_energy(run, run.initial_energy, bulk),
            "Area [m2]": slab_area(run) * ANGSTROM**2,
            "Atoms [1]": len(run.cell.species),
            "Slab thickness [m]": float(np.ptp(heights)) * ANGSTROM,
            "Vacuum [m]": float(height - np.ptp(heights)) * ANGSTROM,
            "polar": batches[material].slab_polar,
            "symmetric": batches[material].slab_symmetric,
            "Largest residual force [eV.angstrom-1]": run.residual_force,
        }
        if surfaces[material]["Surface energy [J.m-2]"] <= 0:
            raise ConvergenceError(f"{material}: the slab lies below its bulk; look at the cut and at the relaxation of the bulk")
    engine = engines.pop()
    write_card(output, SurfacesCard.model_validate({"engine": engine, "surfaces": surfaces}))
    return {"engine": engine}


def slab_area(run: RunCard) -> float:
    """Area of one face, A2."""
    lattice = np.array(run.cell.lattice)
    return float(np.linalg.norm(np.cross(lattice[0], lattice[1])))


def surface_energy(run: RunCard, energy: float, bulk: RunCard) -> float:
    """(E_slab - n E_bulk) / 2A in J/m2; refused unless the compositions are the same."""
    ratio = len(run.cell.species) / len(bulk.cell.species)
    for species in set(run.cell.species) | set(bulk.cell.species):
        if abs(run.cell.species.count(species) - ratio * bulk.cell.species.count(species)) > 1e-9:
            raise CardError(
                f"slab and bulk differ in {species}: no surface energy without a chemical potential; change slab.sites or layers"
            )
    return float((energy - ratio * bulk.energy) / (2 * slab_area(run)) * EV_PER_SQUARE_ANGSTROM)
