"""Relax a grown box to its density: push-off, minimisation, then the stages of the settings, chunk by chunk.

The last stage is repeated until the density has come to rest, or as often as the settings allow; a run at constant energy then shows
whether the force field and the time step conserve it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ecmpipe.cards import CellCard, read_card, whole_file, write_card
from ecmpipe.deadline import Deadline
from ecmpipe.engines.lammps import Chunk, Deck, run_deck
from ecmpipe.errors import EngineError
from ecmpipe.md.deck import SKIN, after_data, before_data, note, npt, pair_coefficients, pair_commands, read_notes, time_step
from ecmpipe.md.rest import Rest, energy_drift, judge
from ecmpipe.md.seeds import derive_seed
from ecmpipe.provenance import hash_file
from ecmpipe.settings.md import WINDOW, EquilibrateStep, StageSettings
from ecmpipe.units import ANGSTROM, AVOGADRO, FEMTOSECOND, KCAL_PER_MOL

PERIODS = 2  # of the barostat; a shorter average cannot tell rest from the slope of one swing


def equilibrate(
    step: EquilibrateStep,
    *,
    polymer: str,
    data: Path,
    cell: Path,
    box: int,
    output: Path,
    output_cell: Path,
    work: Path,
    runtime: float | None = None,
) -> dict[str, Any]:
    """Run the protocol in ``work`` (resuming what is there) and write the relaxed data file and its card.

    ``runtime``: minutes that the job may take.

    Raises `EngineError` when LAMMPS fails or the box became smaller than the cutoff allows.
    """
    built = read_card(CellCard, cell)
    print(f"md-equilibrate {polymer}, box {box}: {built.atoms} atoms", file=sys.stderr)
    deadline = Deadline(runtime)
    rest, relaxed, facts = _run_to_rest(step, (step.seed, polymer, box), data, work, deadline)
    smallest = min(rest.lengths)
    if smallest < step.dynamics.cutoff + SKIN * ANGSTROM:
        raise EngineError(
            f"{work}: the relaxed box is {smallest:.3e} m wide, narrower than cutoff and skin ({step.dynamics.cutoff:.2e} m + "
            f"{SKIN * ANGSTROM:.0e} m); lengthen md.polymers.{polymer}.chains or shorten md.dynamics.'cutoff [m]'"
        )
    drift, whole_steps = _conserve(step, relaxed, work / "conservation")
    drift /= built.atoms
    with whole_file(output) as partial:
        shutil.copyfile(relaxed, partial)
    card = _card(step, built, rest, (drift, whole_steps and abs(drift) <= step.conservation.largest_drift), facts)
    write_card(output_cell, card)
    print(
        f"md-equilibrate {polymer}, box {box}: {card.density:.1f} kg/m3 at {card.temperature:.1f} K, equilibrated: {card.equilibrated} "
        f"({rest.words}), energy drift {drift / KCAL_PER_MOL * 1e-9:.2g} kcal/mol per atom and ns",
        file=sys.stderr,
    )
    return facts


def _run_to_rest(step: EquilibrateStep, seeds: tuple, data: Path, work: Path, deadline: Deadline) -> tuple[Rest, Path, dict[str, Any]]:
    """Run the stages, the last one again and again until the density rests; the verdict, the data file it left, and the engine's facts."""
    chunks = [_push_off(step, seeds, data)]
    for stage in step.stages:
        chunks += _stage(step, stage, stage.name, seeds)
    last, names = step.stages[-1], []
    always, identity = after_data(step.dynamics, pair_coefficients(data)), step.identity(*map(str, seeds), hash_file(data))
    window = WINDOW * (last.time_step or step.dynamics.time_step)
    for extension in range(step.equilibrium.extensions + 1):
        title = f"{last.name}_again{extension}" if extension else last.name
        if extension:
            chunks += _stage(step, last, title, seeds)
        facts = run_deck(Deck(before_data(), always, chunks), data, work, identity, step.lammps.program, deadline)
        names += [f"{title}_{number + 1}" for number in range(last.chunks)]
        rows = read_notes(work, names, step.steps(last) // WINDOW)
        rest = judge(rows, window, PERIODS * step.dynamics.barostat_time, step.equilibrium)
        print(f"  {'at rest' if rest.calm else 'not at rest'}: {rest.words}", file=sys.stderr, flush=True)
        if rest.calm:
            break
    return rest, work / f"{title}.data", facts | {"extensions of the last stage [1]": extension}


def _push_off(step: EquilibrateStep, seeds: tuple, data: Path) -> Chunk:
    """Overlaps end under a soft repulsion that grows; then PCFF takes over with a minimisation."""
    soft, dynamics = step.push_off, step.dynamics
    strength = [value / AVOGADRO / KCAL_PER_MOL for value in soft.strength]
    steps = round(soft.duration / soft.time_step)
    minimise = _minimise(step)

    def commands(division: int) -> list[str]:
        return [
            "kspace_style none",
            f"pair_style soft {soft.cutoff / ANGSTROM:.6g}",
            f"pair_coeff * * {strength[0]:.6g}",
            "special_bonds lj/coul 0 0 0",
            minimise,
            f"velocity all create {soft.temperature:.6g} {derive_seed(*seeds, 'push off')} mom yes rot yes",
            f"variable strength equal ramp({strength[0]:.6g},{strength[1]:.6g})",
            "fix harder all adapt 1 pair soft a * * v_strength",
            *_limited(step, (soft.temperature, soft.temperature), derive_seed(*seeds, "push off bath")),
            time_step(soft.time_step, division),
            f"run {steps * division}",
            "unfix harder",
            "unfix move",
            "unfix bath",
            *pair_commands(dynamics),
            *pair_coefficients(data),
            "special_bonds lj/coul 0 0 1",
            minimise,
        ]

    return Chunk("push_off", commands, None)


def _minimise(step: EquilibrateStep) -> str:
    return f"minimize {step.minimise.energy_tolerance:g} 0.0 {step.minimise.iterations} {10 * step.minimise.iterations}"


def _limited(step: EquilibrateStep, temperature: tuple[float, float], seed: int) -> list[str]:
    damping = step.dynamics.thermostat_time / FEMTOSECOND
    return [
        f"fix move all nve/limit {step.push_off.largest_move / ANGSTROM:.6g}",
        f"fix bath all langevin {temperature[0]:.6g} {temperature[1]:.6g} {damping:.6g} {seed}",
    ]


def _stage(step: EquilibrateStep, stage: StageSettings, title: str, seeds: tuple) -> list[Chunk]:
    """The chunks of one stage, named after ``title``; the last one leaves its state as ``{title}.data``."""
    if stage.ensemble == "minimise":
        return [Chunk(title, lambda division: [_minimise(step)], None)]
    seconds = stage.time_step or step.dynamics.time_step
    steps = step.steps(stage)

    def chunk(number: int) -> Chunk:
        name = f"{title}_{number + 1}"
        heat = _part(stage.temperature, number, stage.chunks)
        if stage.ensemble == "limited":
            bath = _limited(step, heat, derive_seed(*seeds, name))
        else:
            bath = [npt(step.dynamics, heat, _part(stage.pressure, number, stage.chunks) if stage.pressure else None)]
        end = [f"write_data {title}.data pair ii"] if number == stage.chunks - 1 else []

        def commands(division: int) -> list[str]:
            return [time_step(seconds, division), *bath, note(name, WINDOW, division), f"run {steps * division}", *end]

        return Chunk(name, commands, steps)

    return [chunk(number) for number in range(stage.chunks)]


def _part(ends: list[float], number: int, chunks: int) -> tuple[float, float]:
    values = np.linspace(ends[0], ends[1], chunks + 1)
    return float(values[number]), float(values[number + 1])


def _conserve(step: EquilibrateStep, relaxed: Path, work: Path) -> tuple[float, bool]:
    """The drift [W] of the total energy of ``relaxed`` at constant volume without a thermostat, and whether the set time step held."""
    steps = WINDOW * max(2, round(step.conservation.duration / step.dynamics.time_step / WINDOW))

    def commands(division: int) -> list[str]:
        return [
            time_step(step.dynamics.time_step, division),
            "fix move all nve",
            note("energy", WINDOW, division),
            f"run {steps * division}",
        ]

    deck = Deck(before_data(), after_data(step.dynamics, pair_coefficients(relaxed)), [Chunk("energy", commands, steps)])
    facts = run_deck(deck, relaxed, work, step.identity(hash_file(relaxed), str(steps)), step.lammps.program)
    drift = energy_drift(read_notes(work, ["energy"], steps // WINDOW), WINDOW * step.dynamics.time_step)
    return drift, not facts.get("divided time steps")


def _card(step: EquilibrateStep, built: CellCard, rest: Rest, energy: tuple[float, bool], facts: dict[str, Any]) -> CellCard:
    return CellCard.model_validate(
        {
            **built.model_dump(),
            "engine": facts["engine"],
            "Density [kg.m-3]": rest.density,
            "Density standard error [kg.m-3]": rest.density_error,
            "Temperature [K]": rest.temperature,
            "Box lengths [m]": rest.lengths,
            "Bulk modulus from volume fluctuation [Pa]": rest.bulk_modulus,
            "Bulk modulus from volume fluctuation, standard error [Pa]": rest.bulk_modulus_error,
            "NVE energy drift per atom [J.s-1]": energy[0],
            "conserves_energy": energy[1],
            "equilibrated": rest.calm,
            "details": {
                "stages": [stage.model_dump() for stage in step.stages],
                "cutoff [m]": step.dynamics.cutoff,
                "time averaged [s]": rest.time,
                "extensions of the last stage [1]": facts["extensions of the last stage [1]"],
                "divided time steps": facts.get("divided time steps", {}),
                "densities of the two halves [kg.m-3]": rest.halves,
                "difference of the halves [1]": rest.difference,
                "density drift over the averaged time [1]": rest.drift,
                "torsions left out": built.details.get("torsions left out", {}),
            },
        }
    )
