"""The crystal card of a material: cell, energy and density of the relaxed bulk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy import constants

from ecmpipe.cards import CrystalCard, write_card
from ecmpipe.dft.records import pick, read_runs
from ecmpipe.settings.dft import CrystalStep
from ecmpipe.units import ANGSTROM, CUBIC_ANGSTROM, EV


def collect_crystal(step: CrystalStep, *, material: str, runs: list[Path], output: Path) -> dict[str, Any]:
    """Write the card of the relaxed bulk run."""
    first, found = read_runs(runs, material)
    run = pick(found, step.bulk)
    structure = run.cell.structure()
    volume = structure.volume * CUBIC_ANGSTROM
    card = CrystalCard.model_validate(
        {
            "material": material,
            "engine": first.engine,
            "formula": structure.composition.formula,
            "Formula units per cell [1]": step.formula_units,
            "Li atoms per cell [1]": run.cell.species.count("Li"),
            "Cell volume [m3]": volume,
            "Cell lengths [m]": [float(length) * ANGSTROM for length in structure.lattice.abc],
            "Cell angles [deg]": [float(angle) for angle in np.round(structure.lattice.angles, 6)],
            "Energy [J]": run.energy * EV,
            "Density [kg.m-3]": float(structure.composition.weight) * constants.atomic_mass / volume,
            "Largest residual force [eV.angstrom-1]": run.residual_force,
        }
    )
    write_card(output, card)
    return {"engine": first.engine, "source run": step.bulk}
