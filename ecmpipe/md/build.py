"""Build an amorphous box: chains from a description, PCFF terms from the installed LAMMPS, one LAMMPS data file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from ecmpipe.cards import CellCard, write_card
from ecmpipe.engines.lammps import force_field_file
from ecmpipe.md.datafile import System, assemble, write_data
from ecmpipe.md.description import PolymerDescription, read_description
from ecmpipe.md.forcefield import ForceField, read_force_field
from ecmpipe.md.growth import grow_chains
from ecmpipe.md.seeds import derive_seed
from ecmpipe.md.topology import Chain, build_chain
from ecmpipe.settings.md import BuildStep, ChainSettings
from ecmpipe.units import ANGSTROM, AVOGADRO

ENGINE = "ecmpipe chain growth with PCFF"


def build_cell(step: BuildStep, *, polymer: str, description: Path, output: Path, output_cell: Path) -> dict[str, Any]:
    """Grow one box and write its data file and its card. A term that PCFF lacks is a `SettingsError` with its name."""
    told = read_description(description)
    force_field = read_force_field(force_field_file("pcff.frc"))
    chains = build_chains(told, step.chains)
    system = assemble(chains, force_field, step.linear_angle if step.torsions == "linear_safe" else None)
    mass = sum(force_field.mass(name) for name in system.types) * 1e-3 / AVOGADRO
    length = (mass / step.growth_density) ** (1 / 3)
    print(f"md-build {polymer}: {system.atoms} atoms in {len(chains)} chains, box {length:.3e} m", file=sys.stderr)
    seed = derive_seed(step.seed, polymer, "build")
    positions = grow_chains(chains, told, force_field, step.growth, length / ANGSTROM, np.random.default_rng(seed))
    title = f"{told.name}: {len(chains)} chains, PCFF, torsions {step.torsions}, seed {seed} (units real)"
    write_data(output, title, system, force_field, positions, length / ANGSTROM)
    write_card(output_cell, _card(step, polymer, told, chains, system, force_field, length, seed))
    return {"engine": ENGINE, "force field": Path(force_field.source).name, "atoms": system.atoms}


def build_chains(description: PolymerDescription, chains: list[ChainSettings]) -> list[Chain]:
    """All chains of a box; equal chains share one object, which growth does not change."""
    return [chain for group in chains for chain in [build_chain(description, group.units)] * group.count]


def _card(
    step: BuildStep,
    polymer: str,
    told: PolymerDescription,
    chains: list[Chain],
    system: System,
    force_field: ForceField,
    length: float,
    seed: int,
) -> CellCard:
    return CellCard.model_validate(
        {
            "polymer": polymer,
            "engine": ENGINE,
            "Atoms [1]": system.atoms,
            "Chains [1]": len(chains),
            "Density [kg.m-3]": step.growth_density,
            "Box lengths [m]": [length] * 3,
            "Net charge [e]": round(sum(system.charges), 9) + 0.0,
            "seed": seed,
            "torsion_mode": step.torsions,
            "details": {
                "name": told.name,
                "source": told.source,
                "units per chain": [group.units for group in step.chains for _ in range(group.count)],
                "force field": Path(force_field.source).name,
                "torsions left out": system.left_out,
                "cross terms that PCFF leaves at zero": system.zero_cross_terms,
            },
        }
    )
