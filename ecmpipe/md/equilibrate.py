"""Relax a grown box to its density: push-off, minimisation, then the stages of the settings, chunk by chunk."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import constants

from ecmpipe.cards import CellCard, read_card, whole_file, write_card
from ecmpipe.engines.lammps import Chunk, Deck, run_deck
from ecmpipe.errors import EngineError
from ecmpipe.md.deck import SKIN, after_data, before_data, note, npt, pair_coefficients, pair_commands, read_notes
from ecmpipe.md.seeds import derive_seed
from ecmpipe.provenance import hash_file
from ecmpipe.settings.md import EquilibrateStep, StageSettings
from ecmpipe.units import ANGSTROM, AVOGADRO, FEMTOSECOND, KCAL_PER_MOL

WINDOW = 50  # time steps in one row of the averages
BLOCKS = 8  # of the averaged time, for the standard error of its density


def equilibrate(
    step: EquilibrateStep, *, polymer: str, data: Path, cell: Path, output: Path, output_cell: Path, work: Path
) -> dict[str, Any]:
    """Run the protocol in ``work`` (resuming what is there) and write the relaxed data file and its card.

    Raises `EngineError` when LAMMPS fails or the box became smaller than the cutoff allows.
    """
    built = read_card(CellCard, cell)
    chunks = [_push_off(step, polymer, data)]
    for stage in step.stages:
        chunks += _stage(step, stage, polymer)
    chunks.append(Chunk("result", ["write_data relaxed.data pair ii"], 0))
    identity = hashlib.sha256((step.canonical() + hash_file(data)).encode()).hexdigest()
    deck = Deck(before_data(), after_data(step.dynamics, pair_coefficients(data)), chunks)
    steps = sum(chunk.steps or 0 for chunk in chunks)
    print(f"md-equilibrate {polymer}: {built.atoms} atoms, {steps} steps in {len(chunks)} chunks", file=sys.stderr)
    facts = run_deck(deck, data, work, identity)
    card = _card(step, built, facts["engine"], work)
    smallest = min(card.lengths)
    if smallest < step.dynamics.cutoff + SKIN * ANGSTROM:
        raise EngineError(
            f"{work}: the relaxed box is {smallest:.3e} m wide, narrower than cutoff and skin ({step.dynamics.cutoff:.2e} m + "
            f"{SKIN * ANGSTROM:.0e} m); lengthen md.polymers.{polymer}.chains or shorten md.dynamics.'cutoff [m]'"
        )
    with whole_file(output) as partial:
        shutil.copyfile(work / "relaxed.data", partial)
    write_card(output_cell, card)
    print(
        f"md-equilibrate {polymer}: {card.density:.1f} kg/m3 at {card.temperature:.1f} K, equilibrated: {card.equilibrated}",
        file=sys.stderr,
    )
    return facts


def _push_off(step: EquilibrateStep, polymer: str, data: Path) -> Chunk:
    """Overlaps end under a soft repulsion that grows; then PCFF takes over with a minimisation."""
    soft, dynamics = step.push_off, step.dynamics
    strength = [value / AVOGADRO / KCAL_PER_MOL for value in soft.strength]
    steps = round(soft.duration / soft.time_step)
    minimise = _minimise(step)
    commands = [
        "kspace_style none",
        f"pair_style soft {soft.cutoff / ANGSTROM:.6g}",
        f"pair_coeff * * {strength[0]:.6g}",
        "special_bonds lj/coul 0 0 0",
        minimise,
        f"velocity all create {soft.temperature:.6g} {derive_seed(step.seed, polymer, 'push off')} mom yes rot yes",
        f"variable strength equal ramp({strength[0]:.6g},{strength[1]:.6g})",
        "fix harder all adapt 1 pair soft a * * v_strength",
        *_limited(step, (soft.temperature, soft.temperature), derive_seed(step.seed, polymer, "push off bath")),
        f"timestep {soft.time_step / FEMTOSECOND:.6g}",
        f"run {steps}",
        "unfix harder",
        "unfix move",
        "unfix bath",
        *pair_commands(dynamics),
        *pair_coefficients(data),
        "special_bonds lj/coul 0 0 1",
        minimise,
        "reset_timestep 0",
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


def _stage(step: EquilibrateStep, stage: StageSettings, polymer: str) -> list[Chunk]:
    if stage.ensemble == "minimise":
        return [Chunk(stage.name, [_minimise(step), "reset_timestep 0"], None)]
    time_step = stage.time_step or step.dynamics.time_step
    # whole averaging windows in every chunk
    steps = WINDOW * max(1, round(stage.duration / time_step / stage.chunks / WINDOW))
    chunks = []
    for number in range(stage.chunks):
        name = f"{stage.name}_{number + 1}"
        heat = _part(stage.temperature, number, stage.chunks)
        if stage.ensemble == "limited":
            bath = _limited(step, heat, derive_seed(step.seed, polymer, name))
        else:
            bath = [npt(step.dynamics, heat, _part(stage.pressure, number, stage.chunks) if stage.pressure else None)]
        commands = [f"timestep {time_step / FEMTOSECOND:.6g}", *bath, note(name, WINDOW), f"run {steps}"]
        chunks.append(Chunk(name, commands, steps))
    return chunks


def _part(ends: list[float], number: int, chunks: int) -> tuple[float, float]:
    values = np.linspace(ends[0], ends[1], chunks + 1)
    return float(values[number]), float(values[number + 1])


def _card(step: EquilibrateStep, built: CellCard, engine: str, work: Path) -> CellCard:
    last = step.stages[-1]
    notes = read_notes(work, [f"{last.name}_{number + 1}" for number in range(last.chunks)])
    kept = notes.iloc[int(len(notes) * step.equilibrium.discard) :]
    time = len(kept) * WINDOW * (last.time_step or step.dynamics.time_step)
    density = kept["density"].to_numpy()
    mean = float(density.mean())
    halves = [float(half.mean()) for half in np.array_split(density, 2)]
    blocks = [block.mean() for block in np.array_split(density, min(BLOCKS, len(density)))]
    error = float(np.std(blocks, ddof=1) / len(blocks) ** 0.5) if len(blocks) > 1 else None
    # Two halves of a short run differ by chance: their difference has twice the error of the whole mean.
    allowed = max(step.equilibrium.drift * mean, 4 * (error or 0.0))
    calm = abs(halves[1] - halves[0]) <= allowed and time >= 2 * step.dynamics.barostat_time
    volume = (kept["length_x"] * kept["length_y"] * kept["length_z"]).to_numpy()
    spread = float(volume.var(ddof=1)) if len(volume) > 1 else 0.0
    temperature = float(kept["temperature"].mean())
    mean_volume = float(volume.mean())
    # Volume fluctuation at constant pressure gives the isothermal bulk modulus, to hold the fitted kappa against.
    bulk = constants.k * temperature * mean_volume / spread if spread > 0 else None
    return CellCard.model_validate(
        {
            **built.model_dump(),
            "engine": engine,
            "Density [kg.m-3]": mean,
            "Density standard error [kg.m-3]": error,
            "Temperature [K]": temperature,
            "Box lengths [m]": [float(mean_volume ** (1 / 3))] * 3,
            "equilibrated": calm,
            "details": {
                "stages": [stage.model_dump() for stage in step.stages],
                "cutoff [m]": step.dynamics.cutoff,
                "time averaged [s]": time,
                "density of the first half [kg.m-3]": halves[0],
                "density of the second half [kg.m-3]": halves[1],
                "bulk modulus from volume fluctuation [Pa]": bulk,
                "torsions left out": built.details.get("torsions left out", {}),
            },
        }
    )
