"""Surface energies: slab against a bulk of the same composition and the same engine, mean of both faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ecmpipe.cards import SurfacesCard, read_card, write_card
from ecmpipe.dft.records import BatchCard, RunCard, Slab, SlabsCard, pick
from ecmpipe.errors import CardError, ConvergenceError
from ecmpipe.settings.dft import SurfacesStep
from ecmpipe.units import ANGSTROM, EV_PER_SQUARE_ANGSTROM


def collect_surfaces(step: SurfacesStep, *, slabs: list[Path], runs: list[Path], output: Path) -> dict[str, Any]:
    """Write the card of all materials; keys are the materials' names."""
    found: dict[str, dict[str, RunCard]] = {}
    engines = set()
    for path in runs:
        batch = read_card(BatchCard, path)
        engines.add(batch.engine)
        found.setdefault(batch.material, {}).update(batch.runs)
    if len(engines) != 1:
        raise CardError(f"surfaces: batches of different engines {sorted(engines)}; delete the older ones and rerun them")
    cuts = {card.material: card for card in (read_card(SlabsCard, path) for path in slabs)}
    surfaces: dict[str, Any] = {}
    for material, bulk in step.bulk.items():
        if material not in found or material not in cuts:
            raise CardError(f"surfaces: no runs or no slabs of '{material}' were given; rerun its batches")
        members = [pick(found[material], name) for name in step.slabs[material]]
        cut = cuts[material].slabs[step.slabs[material][-1]]
        surfaces[material] = {"material": material, "miller": step.miller[material]} | _surface(members, pick(found[material], bulk), cut)
        if surfaces[material]["Surface energy [J.m-2]"] <= 0:
            raise ConvergenceError(f"{material}: the slab lies below its bulk; look at the cut and at the relaxation of the bulk")
    engine = engines.pop()
    write_card(output, SurfacesCard.model_validate({"engine": engine, "surfaces": surfaces}))
    return {"engine": engine}


def _surface(runs: list[RunCard], bulk: RunCard, cut: Slab) -> dict[str, Any]:
    """The entry of the thickest of ``runs``, which stand thinnest first."""
    energies = [surface_energy(run, run.energy, bulk) for run in runs]
    last = runs[-1]
    return {
        "Surface energy [J.m-2]": energies[-1],
        "Change from the next thinner slab [J.m-2]": energies[-1] - energies[-2] if len(energies) > 1 else None,
        "Slab thickness [m], surface energy [J.m-2]": [
            [thickness(run) * ANGSTROM, energy] for run, energy in zip(runs, energies, strict=True)
        ],
        "Area [m2]": slab_area(last) * ANGSTROM**2,
        "Atoms [1]": len(last.cell.species),
        "Slab thickness [m]": thickness(last) * ANGSTROM,
        "Vacuum [m]": (last.cell.lattice[2][2] - thickness(last)) * ANGSTROM,
        "polar": cut.polar,
        "symmetric_cut": cut.symmetric_cut,
        "Largest residual force [eV.angstrom-1]": last.residual_force,
    }


def thickness(run: RunCard) -> float:
    """Distance of the outermost atoms along c, A."""
    return float(np.ptp(np.array(run.cell.positions)[:, 2]) * run.cell.lattice[2][2])


def slab_area(run: RunCard) -> float:
    """Area of one face, A2."""
    lattice = np.array(run.cell.lattice)
    return float(np.linalg.norm(np.cross(lattice[0], lattice[1])))


def surface_energy(run: RunCard, energy: float, bulk: RunCard) -> float:
    """(E_slab - n E_bulk) / 2A in J/m2; refused unless the compositions are the same."""
    ratio = len(run.cell.species) / len(bulk.cell.species)
    for species in set(run.cell.species) | set(bulk.cell.species):
        if abs(run.cell.species.count(species) - ratio * bulk.cell.species.count(species)) > 1e-9:
            raise CardError(f"slab and bulk differ in {species}: no surface energy without a chemical potential; change slab.layers")
    return float((energy - ratio * bulk.energy) / (2 * slab_area(run)) * EV_PER_SQUARE_ANGSTROM)
