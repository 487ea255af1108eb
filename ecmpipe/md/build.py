"""Build an amorphous box: chains from a description, PCFF terms from the installed LAMMPS, one LAMMPS data file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ecmpipe.cards import CellCard, write_card
from ecmpipe.engines.lammps import force_field_file
from ecmpipe.errors import SettingsError
from ecmpipe.md.datafile import System, assemble, write_data
from ecmpipe.md.description import PolymerDescription, read_description
from ecmpipe.md.forcefield import ForceField, read_force_field
from ecmpipe.md.growth import ALONG, grow_chains
from ecmpipe.md.ringwatch import RingWatch
from ecmpipe.md.seeds import derive_seed
from ecmpipe.md.topology import Chain, build_chain
from ecmpipe.settings.md import BuildStep, ChainSettings
from ecmpipe.units import ANGSTROM, AVOGADRO

ENGINE = "ecmpipe chain growth with PCFF"


def build_cell(step: BuildStep, *, polymer: str, description: Path, box: int, output: Path, output_cell: Path) -> dict[str, Any]:
    """Grow one box and write its data file and its card. Terms that PCFF lacks are a `SettingsError` with their names."""
    force_field = read_force_field(force_field_file("pcff.frc"))
    linear_angle = step.linear_angle if step.torsions == "linear_safe" else None
    told, chains, system = read_polymer(description, step.chains, force_field, linear_angle)
    mass = sum(system.masses[name] for name in system.types) * 1e-3 / AVOGADRO
    length = (mass / step.growth_density) ** (1 / 3)
    print(f"md-build {polymer}, box {box}: {system.atoms} atoms in {len(chains)} chains, {length:.3e} m wide", file=sys.stderr)
    seed = derive_seed(step.seed, polymer, box, "build")
    positions = grow_chains(chains, told, force_field, step.growth, length / ANGSTROM, np.random.default_rng(seed))
    title = f"{told.name}: {len(chains)} chains, PCFF, torsions {step.torsions}, seed {seed} (units real)"
    write_data(output, title, system, positions, length / ANGSTROM)
    card = CellCard.model_validate(
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
            "details": _details(step, told, chains, system, force_field)
            | {
                f"closest pair more than {ALONG} bonds apart [m]": closest_pair(chains, positions, length / ANGSTROM) * ANGSTROM,
                "bonds through rings": RingWatch(chains, length / ANGSTROM).count(positions),
            },
        }
    )
    write_card(output_cell, card)
    return {"engine": ENGINE, "force field": Path(force_field.source).name, "atoms": system.atoms}


def build_chains(description: PolymerDescription, chains: list[ChainSettings]) -> list[Chain]:
    """All chains of a box; equal chains share one object, which growth does not change."""
    return [chain for group in chains for chain in [build_chain(description, group.units)] * group.count]


def read_polymer(
    description: Path, chains: list[ChainSettings], force_field: ForceField, linear_angle: float | None
) -> tuple[PolymerDescription, list[Chain], System]:
    """The description, its chains and all their terms; whatever is wrong is a `SettingsError` that names the file."""
    told = read_description(description)
    try:
        built = build_chains(told, chains)
        return told, built, assemble(built, force_field, linear_angle)
    except SettingsError as error:
        raise SettingsError("\n".join(f"{description}: {line}" for line in str(error).splitlines())) from None


def check_polymer(description: Path, chains: list[ChainSettings]) -> None:
    """Refuse a description that PCFF cannot serve, before anything starts."""
    # six units have every term of a long chain, whatever the ends retype: a torsion spans at most four
    short = [ChainSettings(count=1, units=min(group.units, 6)) for group in chains]
    read_polymer(description, short, read_force_field(force_field_file("pcff.frc")), None)


def closest_pair(chains: list[Chain], positions: np.ndarray, length: float) -> float:
    """The least distance [angstrom] of two atoms more than `ALONG` bonds apart in a periodic cube of side ``length`` [angstrom]."""
    owner = [
        (chain, offset)
        for chain, offset in zip(chains, np.cumsum([0, *(len(chain.types) for chain in chains)]), strict=False)
        for _ in chain.types
    ]
    tree = cKDTree(np.mod(positions, length), boxsize=length)
    reach = 1.0
    while True:
        pairs = tree.query_pairs(reach, output_type="ndarray")
        gaps = positions[pairs[:, 0]] - positions[pairs[:, 1]]
        distances = np.linalg.norm(gaps - length * np.round(gaps / length), axis=1)
        for at in np.argsort(distances):
            first, second = (int(index) for index in pairs[at])
            (chain, offset), (_, start) = owner[first], owner[second]
            if offset != start or second - start not in chain.within(first - offset, ALONG):
                return float(distances[at])
        reach *= 1.3


def _details(step: BuildStep, told: PolymerDescription, chains: list[Chain], system: System, force_field: ForceField) -> dict[str, Any]:
    return {
        "name": told.name,
        "source": told.source,
        "tacticity": told.tacticity,
        "units per chain": [group.units for group in step.chains for _ in range(group.count)],
        "force field": Path(force_field.source).name,
        "torsions left out": system.left_out,
        "cross terms that PCFF leaves at zero": system.zero_cross_terms,
    }
