"""One batch of calculations in one process; each run has a folder and an input hash, and what is there is not repeated."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from ecmpipe.cards import read_card, write_card
from ecmpipe.dft.inputs import vasp_files
from ecmpipe.dft.records import BatchCard, Cell, KeptRun, RunCard, StructuresCard, cell_of
from ecmpipe.dft.slabs import cut_of, place_slab
from ecmpipe.engines.launch import Engine, Outcome, Request
from ecmpipe.errors import CardError
from ecmpipe.settings.dft import RunStep, Task

RESULT = "result.json"
RATTLE_SEED = 1


def run_batch(
    step: RunStep, *, material: str, batch: str, structures: Path, upstream: list[Path], output: Path, work: Path
) -> dict[str, Any]:
    """Calculate the runs of a batch one after the other; a run starts from the relaxed ones that it can use."""
    card = read_card(StructuresCard, structures)
    known: dict[str, RunCard] = {}
    for path in upstream:
        known |= read_card(BatchCard, path).runs
    engine: Engine | None = None
    runs: dict[str, RunCard] = {}
    reused = 0
    for number, task in enumerate(step.tasks):
        start = starting_cell(task, card, known | runs)
        folder = work / task.name
        request = build_request(step, task, start, polar=task.kind == "slab" and card.slab.polar)
        name, digest = None, input_hash(step, request)
        found = _finished(folder, digest)
        if found is None:
            engine = engine or make_engine(step)
            name = engine.name
            began = time.process_time()
            print(f"{material} {batch} {number + 1}/{len(step.tasks)}: {task.name}", file=sys.stderr, flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            run = _record(task, engine.relax(request, folder), time.process_time() - began)
            write_card(folder / RESULT, KeptRun(digest=digest, engine=name, run=run))
        else:
            name, run = found.engine, found.run
            reused += 1
        runs[task.name] = run
    facts = {"parent": card.parent, "slab_polar": card.slab.polar, "slab_symmetric": card.slab.symmetric}
    write_card(output, BatchCard(material=material, batch=batch, engine=name, runs=runs, **facts))
    seconds = sum(run.seconds for run in runs.values())
    calls = sum(run.steps + 1 for run in runs.values())
    return {"engine": name, "runs": len(runs), "reused": reused, "calls": calls, "run cpu [s]": round(seconds, 1)}


def make_engine(step: RunStep) -> Engine:
    """The engine that the step names; its packages are imported only now."""
    if step.engine == "ase":
        from ecmpipe.engines.ase_engine import AseEngine

        return AseEngine(step.ase)
    from ecmpipe.engines.vasp import VaspEngine

    return VaspEngine(step.vasp)


def starting_cell(task: Task, card: StructuresCard, runs: dict[str, RunCard]) -> Cell:
    """Where a run starts: from relaxed runs where there are any, so that it needs fewer steps."""
    if task.kind == "bulk":
        return _rattled(card.bulk, task.rattle)
    if task.kind == "reference":
        return card.references[task.name]
    if task.kind == "delithiated":
        return _delithiated(task.name, card, runs)
    full = next((run for run in runs.values() if run.kind == "bulk"), None)
    if full is None:
        raise CardError(f"run '{task.name}' needs the relaxed bulk; give its batch as --upstream")
    if task.kind == "slab":
        slab = card.slab
        return cell_of(place_slab(cut_of(full.cell, slab), slab.in_plane, slab.sites, slab.species, slab.vacuum))
    return _strained(task, full, runs)


def _rattled(cell: Cell, size: float) -> Cell:
    """The atoms moved at random, always the same way: a symmetric start would end on a saddle."""
    if size == 0:
        return cell
    structure = cell.structure()
    moves = np.random.default_rng(RATTLE_SEED).normal(scale=size, size=(len(structure), 3))
    return cell_of(Structure(structure.lattice, cell.species, structure.cart_coords + moves, coords_are_cartesian=True))


def _delithiated(name: str, card: StructuresCard, runs: dict[str, RunCard]) -> Cell:
    """The host of the last composition calculated in this batch, with Li where the full cell has it; else the ideal cell."""
    removed = set(card.removed[name])
    kept = [k for k in range(len(card.bulk.species)) if k not in removed]
    full = next((run.cell for run in runs.values() if run.kind == "bulk"), card.bulk)
    places = {k: place for k, place in enumerate(full.positions)}
    lattice = full.lattice
    near = next((run for run in reversed(runs.values()) if run.kind == "delithiated"), None)
    if near is not None:
        gone = set(card.removed[near.name])
        places |= dict(zip([k for k in places if k not in gone], near.cell.positions, strict=True))
        lattice = near.cell.lattice
    return Cell.model_validate(
        {"Lattice [angstrom]": lattice, "species": [card.bulk.species[k] for k in kept], "Positions [1]": [places[k] for k in kept]}
    )


def strain_tensor(mode: str, strain: float) -> np.ndarray:
    """A symmetric small strain; a shear mode has the engineering strain ``strain``, twice the tensor component."""
    row, column = ("xyz".index(letter) for letter in mode)
    tensor = np.zeros((3, 3))
    tensor[row, column] = tensor[column, row] = strain if row == column else strain / 2
    return tensor


def _strained(task: Task, full: RunCard, runs: dict[str, RunCard]) -> Cell:
    """The relaxed bulk under strain; the ions of an opposite strain already relaxed show where they will go."""
    lattice = np.array(full.cell.lattice) @ (np.eye(3) + strain_tensor(task.mode, task.strain))
    places = np.array(full.cell.positions)
    twin = next((run for run in runs.values() if run.kind == "strain" and run.mode == task.mode), None)
    if twin is not None:
        shift = np.array(twin.cell.positions) - places
        places = places + (shift - np.round(shift)) * (task.strain / twin.strain)
    return cell_of(Structure(lattice, full.cell.species, places))


def build_request(step: RunStep, task: Task, start: Cell, *, polar: bool) -> Request:
    """All that an engine needs for one run."""
    structure = start.structure()
    made = vasp_files(
        structure,
        step.electronic,
        tolerance=task.tolerance,
        steps=step.steps,
        cell_relaxes=task.stress is not None,
        polar=polar,
        kpoints=task.kpoints,
    )
    return Request(
        name=task.name,
        atoms=AseAtomsAdaptor.get_atoms(structure, msonable=False),
        tolerance=task.tolerance,
        stress=task.stress,
        steps=step.steps,
        files=made.files,
        order=made.order,
        potentials=made.potentials,
        functional=step.electronic.functional,
    )


def input_hash(step: RunStep, request: Request) -> str:
    """What decides the result of a run: its input files, tolerances and engine."""
    engine = step.ase if step.engine == "ase" else step.vasp
    data = [
        step.version,
        step.engine,
        engine.canonical(),
        request.files,
        request.potentials,
        request.tolerance,
        request.stress,
        request.steps,
    ]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _finished(folder: Path, digest: str) -> KeptRun | None:
    try:
        kept = read_card(KeptRun, folder / RESULT)
    except CardError:
        return None  # missing, or left half-written by an interruption
    return kept if kept.digest == digest else None


def _record(task: Task, outcome: Outcome, seconds: float) -> RunCard:
    cell = cell_of(AseAtomsAdaptor.get_structure(outcome.atoms))
    return RunCard.model_validate(
        {
            "name": task.name,
            "kind": task.kind,
            "cell": cell,
            "Energy [eV]": outcome.energy,
            "Energy of the starting structure [eV]": outcome.initial_energy,
            "Stress [eV.angstrom-3]": outcome.stress.tolist(),
            "Largest residual force [eV.angstrom-1]": outcome.residual_force,
            "steps": outcome.steps,
            "mode": task.mode,
            "strain": task.strain,
            "ignored": outcome.ignored,
            "corrections": outcome.corrections,
            "CPU time [s]": round(seconds, 3),
        }
    )
