"""One uniaxial pull at constant engineering strain rate; the other two axes are free at the set pressure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecmpipe.cards import CellCard, read_card, write_curve
from ecmpipe.deadline import Deadline
from ecmpipe.engines.lammps import Chunk, Deck, run_deck
from ecmpipe.errors import EngineError, SettingsError
from ecmpipe.laws.virial import cauchy_stress
from ecmpipe.md.deck import STRESSES, after_data, before_data, note, npt, read_notes, time_step
from ecmpipe.md.seeds import derive_seed
from ecmpipe.provenance import hash_file
from ecmpipe.settings.md import TensileStep
from ecmpipe.units import ANGSTROM

REACHED = 1e-9  # relative; the box must be this close to its target at the end of every chunk


def pull(
    step: TensileStep,
    *,
    polymer: str,
    data: Path,
    cell: Path,
    box: int,
    axis: str,
    replica: int,
    output: Path,
    work: Path,
    runtime: float | None = None,
) -> dict[str, Any]:
    """Pull the box of ``data`` along ``axis`` in ``work`` (resuming what is there) and write the curve.

    Columns: time, stretches of the three axes, Cauchy stresses (S.32), temperature and density, each the mean over its window; the time is
    the window's end.
    A replica is a new draw of velocities. ``runtime``: minutes that the job may take.
    Raises `EngineError` when LAMMPS fails or a target length was missed.
    """
    if axis not in ("x", "y", "z"):
        raise SettingsError(f"axis: '{axis}' is not accepted: give x, y or z")
    start = read_card(CellCard, cell).lengths
    window = step.window
    steps_per_chunk = window * (step.points // step.chunks)
    lengths = [start["xyz".index(axis)] * (1 + step.largest_strain * (number + 1) / step.chunks) for number in range(step.chunks)]
    chunks = [_settle(step, derive_seed(step.seed, polymer, box, "pull", axis, replica), start)]
    for number, length in enumerate(lengths):
        chunks.append(_stretch(step, axis, number, length, window, steps_per_chunk))
    # of the card only the lengths decide the course: a new verdict on the same box must not repeat its pulls
    identity = step.identity(polymer, str(box), axis, str(replica), hash_file(data), *map(repr, start))
    print(
        f"md-tensile {polymer}, box {box}, {axis}, replica {replica}: {steps_per_chunk * step.chunks} steps "
        f"to {step.largest_strain:g} at {step.strain_rate:g} /s",
        file=sys.stderr,
    )
    facts = run_deck(
        Deck(before_data(), after_data(step.dynamics, []), chunks), data, work, identity, step.lammps.program, Deadline(runtime)
    )
    _see_targets(work, axis, lengths)
    notes = read_notes(work, [f"pull_{number + 1}" for number in range(step.chunks)], step.points // step.chunks)
    write_curve(output, _curve(notes, start, window * step.dynamics.time_step))
    rate = step.largest_strain / (steps_per_chunk * step.chunks * step.dynamics.time_step)
    return {**facts, "strain rate as run [s-1]": rate}


def _settle(step: TensileStep, seed: int, start: list[float]) -> Chunk:
    """New velocities in the box of the mean lengths: stretches count from there, not from a momentary fluctuation."""
    scales = " ".join(f"{name} scale $({length / ANGSTROM:.15g}/l{name}:%.15g)" for name, length in zip("xyz", start, strict=True))
    steps = round(step.decorrelation / step.dynamics.time_step)

    def commands(division: int) -> list[str]:
        return [
            time_step(step.dynamics.time_step, division),
            f"change_box all {scales} remap",
            f"velocity all create {step.temperature:.6g} {seed} mom yes rot yes dist gaussian",
            npt(step.dynamics, (step.temperature, step.temperature), None),
            f"run {steps * division}",
            "unfix bath",
        ]

    return Chunk("settle", commands, steps)


def _stretch(step: TensileStep, axis: str, number: int, length: float, window: int, steps: int) -> Chunk:
    """Absolute end positions about the box's middle: LAMMPS' `erate` would count from the box at the start of every run.

    The fix has a new name in every chunk, because a restart would hand an old one its first start.
    """
    name = f"pull_{number + 1}"
    middle, half = f"({axis}lo+{axis}hi)/2", f"{length / ANGSTROM / 2:.15g}"
    free = "".join(other for other in "xyz" if other != axis)

    def commands(division: int) -> list[str]:
        return [
            time_step(step.dynamics.time_step, division),
            npt(step.dynamics, (step.temperature, step.temperature), (step.pressure, step.pressure), free),
            f"fix {name} all deform 1 {axis} final $({middle}-{half}:%.15g) $({middle}+{half}:%.15g) remap x",
            note(name, window, division),
            f"run {steps * division}",
            f'print "$(lx:%.15g) $(ly:%.15g) $(lz:%.15g)" file {name}.box screen no',
        ]

    return Chunk(name, commands, steps)


def _see_targets(work: Path, axis: str, lengths: list[float]) -> None:
    for number, length in enumerate(lengths):
        path = work / f"pull_{number + 1}.box"
        found = float(path.read_text(encoding="utf-8").split()["xyz".index(axis)]) * ANGSTROM
        if abs(found / length - 1) > REACHED:
            raise EngineError(f"{path}: the box is {found:.9e} m long where {length:.9e} m was the target; delete the folder and run again")


def _curve(notes: pd.DataFrame, start: list[float], window: float) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {"Time [s]": window * np.arange(1, len(notes) + 1)}
    for name, length in zip("xyz", start, strict=True):
        columns[f"Stretch {name} [1]"] = notes[f"length_{name}"].to_numpy() / length
    for name in STRESSES:
        columns[f"Stress {name} [Pa]"] = cauchy_stress(notes[f"pressure_{name}"].to_numpy())
    columns["Temperature [K]"] = notes["temperature"].to_numpy()
    columns["Density [kg.m-3]"] = notes["density"].to_numpy()
    return pd.DataFrame(columns)
