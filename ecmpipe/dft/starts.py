"""Where a run starts: from relaxed runs where there are any, so that it needs fewer steps."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Structure

from ecmpipe.dft.records import Arrangement, Cell, InterfaceCard, RunCard, StructuresCard, cell_of, pick
from ecmpipe.errors import CardError
from ecmpipe.settings.dft_runs import Task

RATTLE_SEED = 1


def material_start(task: Task, card: StructuresCard, runs: dict[str, RunCard]) -> tuple[Cell, int | None]:
    """The starting cell of a run of a material, and the arrangement (from 1) that it has."""
    if task.kind == "reference":
        return card.references[task.name], None
    if task.kind == "arrangement":
        return _arranged(task, card, runs), task.arrangement
    if task.kind == "bulk":
        best = min((run for run in runs.values() if run.kind == "arrangement"), key=lambda run: run.energy, default=None)
        return (best.cell, best.arrangement) if best else (rattled(card.arrangements[0].bulk, task.rattle), 1)
    full = next((run for run in runs.values() if run.kind == "bulk"), None)
    if full is None:
        raise CardError(f"run '{task.name}' needs the relaxed bulk; give its batch as --upstream")
    if task.kind == "delithiated":
        return _delithiated(task.name, card.arrangements[(full.arrangement or 1) - 1], full, runs), full.arrangement
    return _strained(task, full, runs), full.arrangement


def interface_start(task: Task, card: InterfaceCard, runs: dict[str, RunCard]) -> Cell:
    """The starting cell of a run of the interface: a registry, the best one, a half of the relaxed whole, or the halves drawn apart."""
    contact = card.faces[task.face]
    count = contact.cathode_atoms
    if task.kind == "registry":
        return _moved(contact.cell, count, contact.shifts[task.registry - 1])
    if task.kind == "together":
        tried = [run for run in runs.values() if run.kind == "registry" and run.name.startswith(f"{task.face}_")]
        if not tried:
            raise CardError(f"run '{task.name}' needs its registries; give their batches as --upstream")
        return min(tried, key=lambda run: run.energy).cell
    whole = pick(runs, f"{task.face}_together").cell
    if task.kind == "half":
        part = slice(None, count) if task.side == "cathode" else slice(count, None)
        data = {"Lattice [angstrom]": whole.lattice, "species": whole.species[part]}
        return Cell.model_validate({**data, "Positions [1]": whole.positions[part]})
    rise = task.separation if task.face == "lower" else -task.separation
    return _moved(whole, count, [0.0, 0.0, rise / whole.lattice[2][2]])


def rattled(cell: Cell, size: float) -> Cell:
    """The atoms moved at random, always the same way: a symmetric start would end on a saddle."""
    if size == 0:
        return cell
    structure = cell.structure()
    moves = np.random.default_rng(RATTLE_SEED).normal(scale=size, size=(len(structure), 3))
    return cell_of(Structure(structure.lattice, cell.species, structure.cart_coords + moves, coords_are_cartesian=True))


def strain_tensor(mode: str, strain: float) -> np.ndarray:
    """A symmetric small strain; a shear mode has the engineering strain ``strain``, twice the tensor component."""
    row, column = ("xyz".index(letter) for letter in mode)
    tensor = np.zeros((3, 3))
    tensor[row, column] = tensor[column, row] = strain if row == column else strain / 2
    return tensor


def _arranged(task: Task, card: StructuresCard, runs: dict[str, RunCard]) -> Cell:
    """Rattled; or the places of an arrangement already relaxed, if this one differs from it in species alone."""
    own = card.arrangements[task.arrangement - 1].bulk
    done = next((run for run in runs.values() if run.kind == "arrangement"), None)
    if done is None or card.arrangements[done.arrangement - 1].bulk.positions != own.positions:
        return rattled(own, task.rattle)
    return done.cell.model_copy(update={"species": own.species})


def _delithiated(name: str, arrangement: Arrangement, full: RunCard, runs: dict[str, RunCard]) -> Cell:
    """The host of the last composition calculated in this batch, with Li where the full cell has it; else the full cell's host."""
    removed = set(arrangement.removed[name])
    kept = [k for k in range(len(arrangement.bulk.species)) if k not in removed]
    places = dict(enumerate(full.cell.positions))
    lattice = full.cell.lattice
    near = next((run for run in reversed(runs.values()) if run.kind == "delithiated" and run.arrangement == full.arrangement), None)
    if near is not None:
        gone = set(arrangement.removed[near.name])
        places |= dict(zip([k for k in places if k not in gone], near.cell.positions, strict=True))
        lattice = near.cell.lattice
    return Cell.model_validate(
        {"Lattice [angstrom]": lattice, "species": [arrangement.bulk.species[k] for k in kept], "Positions [1]": [places[k] for k in kept]}
    )


def _strained(task: Task, full: RunCard, runs: dict[str, RunCard]) -> Cell:
    """The relaxed bulk under strain; the ions of an opposite strain already relaxed show where they will go."""
    lattice = np.array(full.cell.lattice) @ (np.eye(3) + strain_tensor(task.mode, task.strain))
    places = np.array(full.cell.positions)
    twin = next((run for run in runs.values() if run.kind == "strain" and run.mode == task.mode), None)
    if twin is not None:
        shift = np.array(twin.cell.positions) - places
        places = places + (shift - np.round(shift)) * (task.strain / twin.strain)
    return cell_of(Structure(lattice, full.cell.species, places))


def _moved(cell: Cell, count: int, shift: list[float]) -> Cell:
    """All atoms after the first ``count`` moved by a fractional ``shift``."""
    places = np.array(cell.positions)
    places[count:] += shift
    return cell_of(Structure(cell.lattice, cell.species, places))
