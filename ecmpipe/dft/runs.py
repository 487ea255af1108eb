"""One batch of calculations in one process; each run has a folder and an input hash, and what is there is not repeated."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from pymatgen.io.ase import AseAtomsAdaptor

from ecmpipe.cards import read_card, write_card
from ecmpipe.deadline import Deadline
from ecmpipe.dft.inputs import vasp_files
from ecmpipe.dft.records import BatchCard, Cell, InterfaceCard, KeptRun, RunCard, SlabsCard, StructuresCard, cell_of
from ecmpipe.dft.starts import interface_start, material_start
from ecmpipe.engines.launch import Engine, Outcome, Request, deciding
from ecmpipe.engines.process import hold
from ecmpipe.errors import CardError, EngineError, SettingsError
from ecmpipe.settings.dft import INTERFACE
from ecmpipe.settings.dft_runs import RunStep, Task

RESULT = "result.json"
WITH_VACUUM = ("slab", "registry", "together", "half", "apart")


def run_batch(
    step: RunStep,
    *,
    material: str,
    batch: str,
    cells: Path,
    upstream: list[Path],
    output: Path,
    work: Path,
    runtime: float | None = None,
) -> dict[str, Any]:
    """Calculate the runs of a batch one after the other; a run starts from the relaxed ones that it can use.

    ``cells`` is the file of starting cells: structures.json, for slabs slabs.json. ``runtime``: minutes that the job may take.
    """
    if runtime is not None and not 0 < runtime < 1e9:
        raise SettingsError(f"dft-run: runtime {runtime} min is no time to work in; correct the rule's resource 'runtime'")
    deadline, began = Deadline(runtime), time.monotonic()
    start = _starts(step, material, cells)
    known: dict[str, RunCard] = {}
    for path in upstream:
        known |= read_card(BatchCard, path).runs
    engine: Engine | None = None
    runs: dict[str, RunCard] = {}
    reused = 0
    locks = []
    for number, task in enumerate(step.tasks):
        locks.append(hold(work / task.name))
        cell, facts = start(task, known | runs)
        folder = work / task.name
        request = build_request(step, task, cell, polar=facts.pop("polar"))
        name, digest = None, input_hash(step, request)
        found = _finished(folder, digest)
        if found is None:
            left = None if deadline.minutes is None else 60 * deadline.minutes - (time.monotonic() - began)
            engine = engine or make_engine(step, left)
            name = engine.name
            used = time.process_time()
            print(f"{material} {batch} {number + 1}/{len(step.tasks)}: {task.name}", file=sys.stderr, flush=True)
            run = _record(task, engine.relax(request, folder), time.process_time() - used, facts)
            write_card(folder / RESULT, KeptRun(digest=digest, engine=name, run=run))
            if not deadline.lap() and number + 1 < len(step.tasks):
                raise EngineError(f"{material} {batch}: {number + 1} of {len(step.tasks)} runs; {deadline.words}")
        else:
            name, run = found.engine, found.run
            reused += 1
        runs[task.name] = run
    write_card(output, BatchCard(material=material, batch=batch, engine=name, runs=runs))
    seconds = sum(run.seconds for run in runs.values())
    calls = sum(run.steps + 1 for run in runs.values())
    corrected = {run.name: run.corrections for run in runs.values() if run.corrections}
    return {"engine": name, "runs": len(runs), "reused": reused, "calls": calls, "run cpu [s]": round(seconds, 1), "corrections": corrected}


def _starts(step: RunStep, material: str, cells: Path) -> Any:
    """The function that gives a task its starting cell and what is to be remembered of it."""
    if material == INTERFACE:
        card = read_card(InterfaceCard, cells)
        return lambda task, runs: (interface_start(task, card, runs), {"polar": True})
    if step.tasks[0].kind == "slab":
        slabs = read_card(SlabsCard, cells).slabs
        return lambda task, runs: (_slab(slabs, task.name, cells).cell, {"polar": slabs[task.name].polar})
    structures = read_card(StructuresCard, cells)
    if structures.material != material:
        raise CardError(f"{cells}: holds '{structures.material}' where '{material}' belongs; rerun dft-structures")

    def start(task: Task, runs: dict[str, RunCard]) -> tuple[Cell, dict[str, Any]]:
        cell, arrangement = material_start(task, structures, runs)
        return cell, {"polar": False, "arrangement": arrangement}

    return start


def _slab(slabs: dict, name: str, path: Path) -> Any:
    if name not in slabs:
        raise CardError(f"{path}: holds no '{name}' among {sorted(slabs)}; rerun the step that makes it")
    return slabs[name]


def make_engine(step: RunStep, walltime: float | None = None) -> Engine:
    """The engine that the step names; its packages are imported only now."""
    if step.engine == "ase":
        from ecmpipe.engines.ase_engine import AseEngine

        return AseEngine(step.ase)
    from ecmpipe.engines.vasp import VaspEngine

    return VaspEngine(step.vasp, walltime)


def build_request(step: RunStep, task: Task, start: Cell, *, polar: bool) -> Request:
    """All that an engine needs for one run."""
    structure = start.structure()
    made = vasp_files(
        structure,
        step.electronic,
        tolerance=task.tolerance,
        steps=task.steps,
        cell_relaxes=task.stress is not None,
        slab=task.kind in WITH_VACUUM,
        polar=polar,
        kpoints=task.kpoints,
    )
    return Request(
        name=task.name,
        atoms=AseAtomsAdaptor.get_atoms(structure, msonable=False),
        tolerance=task.tolerance,
        stress=task.stress,
        steps=task.steps,
        files=made.files,
        order=made.order,
        potentials=made.potentials,
        electronic=step.electronic,
        kpoints=task.kpoints or step.electronic.kpoints,
    )


def input_hash(step: RunStep, request: Request) -> str:
    """What decides the result of a run: its input files, tolerances and engine. Not how it is launched, nor how long it may take."""
    if step.engine == "ase":
        engine = step.ase.canonical()
    else:
        from ecmpipe.engines.vasp import assemble_potcar

        engine = hashlib.sha256(assemble_potcar(request.potentials, step.electronic.functional).encode()).hexdigest()
    data = [step.version, step.engine, engine, deciding(request.files), request.tolerance, request.stress, bool(request.steps)]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _finished(folder: Path, digest: str) -> KeptRun | None:
    try:
        kept = read_card(KeptRun, folder / RESULT)
    except CardError:
        return None  # missing, or left half-written by an interruption
    return kept if kept.digest == digest else None


def _record(task: Task, outcome: Outcome, seconds: float, facts: dict[str, Any]) -> RunCard:
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
            "separation": task.separation,
            **facts,
        }
    )
