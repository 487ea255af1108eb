"""The files inside the DFT stage: starting structures and the results of batches of runs, in the units of the codes (eV, A)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from pymatgen.core import Lattice, Structure

from ecmpipe.cards import Card, Three, read_card
from ecmpipe.errors import CardError
from ecmpipe.settings.base import Model


class Cell(Model):
    """A periodic cell: lattice vectors in rows, species and fractional positions."""

    lattice: list[Three] = Field(alias="Lattice [angstrom]")
    species: list[str]
    positions: list[list[float]] = Field(alias="Positions [1]")

    def structure(self) -> Structure:
        """The cell as a pymatgen structure, in the same order of sites."""
        return Structure(Lattice(self.lattice), self.species, self.positions)


def cell_of(structure: Structure) -> Cell:
    """The record of a structure."""
    return _cell(structure.lattice.matrix, [site.specie.symbol for site in structure], structure.frac_coords)


def _cell(lattice: Any, species: list[str], positions: Any) -> Cell:
    data = {"species": species, "Lattice [angstrom]": np.round(lattice, 10).tolist()}
    return Cell.model_validate({**data, "Positions [1]": np.round(positions, 10).tolist()})


class Arrangement(Model):
    """One arrangement of the sites: the ordered bulk cell, and for each delithiated run the Li atoms that are missing."""

    bulk: Cell
    ewald: float = Field(alias="Ewald energy [eV]")
    multiplicity: int | None
    removed: dict[str, list[int]]


class StructuresCard(Card):
    """``results/dft/{material}/structures.json``; ``parent`` is the undecorated bulk cell, whose symmetry the material has."""

    material: str
    formula: str
    source: str
    parent: Cell
    arrangements: list[Arrangement]
    references: dict[str, Cell]
    orderings: dict[str, Any]


class Slab(Model):
    """One slab as it starts. ``symmetric_cut``: the two faces of the undecorated cut are alike; dipole and ``polar`` after decoration."""

    cell: Cell
    dipole: float = Field(alias="Dipole per area [e.angstrom-1]")
    polar: bool
    symmetric_cut: bool
    terminations: int
    intact_terminations: int


class SlabsCard(Card):
    """``results/dft/{material}/slabs.json``: the slabs of the relaxed bulk by run name, thinnest first."""

    material: str
    miller: list[int]
    slabs: dict[str, Slab]


class Contact(Model):
    """The two halves of an interface in one cell, cathode first, at the registry without shift; ``shifts`` of the others, fractional."""

    cell: Cell
    cathode_atoms: int
    shifts: list[list[float]]


class InterfaceCard(Card):
    """``results/dft/interface/structures.json``. Strains: principal, of the electrolyte, which is laid onto the cathode's cell."""

    cathode: str
    electrolyte: str
    area: float = Field(alias="Area [angstrom2]")
    strains: list[float] = Field(alias="Principal strains of the electrolyte [1]")
    cathode_cells: int
    electrolyte_cells: int
    cathode_formula: str
    electrolyte_formula: str
    faces: dict[str, Contact]


class RunCard(Card):
    """One finished run. Stress follows the sign of ASE: tension positive."""

    name: str
    kind: str
    cell: Cell
    energy: float = Field(alias="Energy [eV]")
    initial_energy: float = Field(alias="Energy of the starting structure [eV]")
    stress: list[Three] = Field(alias="Stress [eV.angstrom-3]")
    residual_force: float = Field(alias="Largest residual force [eV.angstrom-1]", ge=0)
    steps: int = Field(ge=0)
    mode: str | None = None
    strain: float | None = None
    arrangement: int | None = None
    separation: float | None = None
    ignored: list[str] = Field(default_factory=list)
    corrections: list[str] = Field(default_factory=list)
    seconds: float = Field(alias="CPU time [s]", default=0.0)


class KeptRun(Card):
    """A finished run in its work folder, with the hash of all that decided it."""

    digest: str
    engine: str
    run: RunCard


class BatchCard(Card):
    """``results/dft/{material}/runs/{batch}.json``."""

    material: str
    batch: str
    engine: str
    runs: dict[str, RunCard]


def read_runs(paths: list[Path], material: str) -> tuple[BatchCard, dict[str, RunCard]]:
    """The first batch and all runs of some batches, of one engine and of one material."""
    if not paths:
        raise CardError("no batch of runs was given; rerun the step with the files under results/dft/*/runs")
    cards = [read_card(BatchCard, path) for path in paths]
    engines = sorted({card.engine for card in cards})
    if len(engines) > 1:
        raise CardError(f"{paths[0].parent}: batches of different engines ({', '.join(engines)}); delete the older ones and rerun them")
    runs: dict[str, RunCard] = {}
    for path, card in zip(paths, cards, strict=True):
        if card.material != material:
            raise CardError(f"{path}: holds runs of '{card.material}', not of '{material}'; rerun the step that makes it")
        runs |= card.runs
    return cards[0], runs


def pick(runs: dict[str, RunCard], name: str) -> RunCard:
    """The run ``name``, or a `CardError` that lists what there is."""
    try:
        return runs[name]
    except KeyError:
        raise CardError(f"run '{name}' is missing among {sorted(runs)}; rerun its batch") from None
