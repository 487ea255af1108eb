"""LAMMPS commands in its `real` units: what every run shares, the chunks of a stage, and the tables that fixes write.

Functions that take ``division`` give the commands of a retry: the time step is divided by it, and what counts in time steps grows by it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ecmpipe.errors import EngineError
from ecmpipe.settings.md import SAMPLE, DynamicsSettings
from ecmpipe.units import ANGSTROM, ATMOSPHERE, FEMTOSECOND, GRAM_PER_CUBIC_CENTIMETRE, KCAL_PER_MOL

SKIN = 2.0  # angstrom, LAMMPS' neighbour skin
STRESSES = ("xx", "yy", "zz", "xy", "xz", "yz")  # the order of LAMMPS' pressure tensor
NOTED = [
    *(f"v_length_{axis}" for axis in "xyz"),
    *(f"c_thermo_press[{number}]" for number in range(1, 7)),
    "c_thermo_temp",
    "v_density",
    "v_energy",
]


def before_data() -> list[str]:
    """What LAMMPS must know before it reads atoms."""
    return [
        "units real",
        "atom_style full",
        "boundary p p p",
        *(f"{kind}_style class2" for kind in ("bond", "angle", "dihedral", "improper")),
        "pair_style lj/class2/coul/long 10.0",
        "special_bonds lj/coul 0 0 1",
    ]


def pair_commands(dynamics: DynamicsSettings) -> list[str]:
    """PCFF's 9-6 potential with its mixing rule, tail corrections and PPPM; the same in every run of a study."""
    return [
        f"pair_style lj/class2/coul/long {dynamics.cutoff / ANGSTROM:.6g}",
        "pair_modify mix sixthpower tail yes",
        f"kspace_style pppm {dynamics.kspace_accuracy:g}",
    ]


def after_data(dynamics: DynamicsSettings, coefficients: list[str]) -> list[str]:
    """What a restart does not bring back, and the averages' ingredients."""
    return [
        *pair_commands(dynamics),
        *coefficients,
        f"neighbor {SKIN:g} bin",
        "neigh_modify every 1 delay 4 check yes",
        *(f"variable length_{axis} equal l{axis}" for axis in "xyz"),
        "variable density equal density",
        "variable energy equal etotal",
        "thermo 500",
        "thermo_style custom step temp press density etotal pe ke vol",
        "thermo_modify flush yes",
    ]


def time_step(seconds: float, division: int) -> str:
    """The ``timestep`` command."""
    return f"timestep {seconds / FEMTOSECOND / division:.10g}"


def note(name: str, every: int, division: int) -> str:
    """Average what is `NOTED` over windows of ``every`` undivided time steps into ``{name}.txt``."""
    sample, window = SAMPLE * division, every * division
    return f"fix note all ave/time {sample} {window // sample} {window} {' '.join(NOTED)} file {name}.txt format ' %.15g'"


def npt(dynamics: DynamicsSettings, temperature: tuple[float, float], pressure: tuple[float, float] | None, axes: str = "iso") -> str:
    """A Nose-Hoover bath; ``axes`` is ``iso`` or the axes that are free, e.g. ``yz``; no pressure makes it constant volume."""
    thermostat = dynamics.thermostat_time / FEMTOSECOND
    heat = f"temp {temperature[0]:.6g} {temperature[1]:.6g} {thermostat:.6g}"
    if pressure is None:
        return f"fix bath all nvt {heat}"
    press = f"{pressure[0] / ATMOSPHERE:.9g} {pressure[1] / ATMOSPHERE:.9g} {dynamics.barostat_time / FEMTOSECOND:.6g}"
    return f"fix bath all npt {heat} " + " ".join(f"{axis} {press}" for axis in (["iso"] if axes == "iso" else axes))


def pair_coefficients(data: Path) -> list[str]:
    """``pair_coeff`` commands from the Pair Coeffs section of a data file: a soft push-off forgets them."""
    lines = data.read_text(encoding="utf-8").splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("Pair Coeffs")), None)
    if start is None:
        raise EngineError(f"{data}: has no section 'Pair Coeffs'; rerun the step that makes it")
    commands = []
    for line in lines[start + 2 :]:
        words = line.split("#")[0].split()
        if not words:
            break
        commands.append(f"pair_coeff {words[0]} {words[0]} {words[1]} {words[2]}")
    return commands


def read_notes(work: Path, names: list[str], rows_each: int) -> pd.DataFrame:
    """Join the tables of several chunks, a row per window: lengths [m], pressures [Pa] (positive in compression), K, kg/m3, energy [J].

    A table that is damaged or has another number of rows than ``rows_each`` is an `EngineError`.
    """
    tables = []
    for name in names:
        path = work / f"{name}.txt"
        if not path.is_file():
            raise EngineError(f"{path}: missing; delete the folder {work} and run the step again")
        try:
            rows = np.loadtxt(path, comments="#", ndmin=2)
        except ValueError:
            rows = np.empty((0, 0))
        if rows.size == 0 or rows.shape[1] != 1 + len(NOTED) or not np.isfinite(rows).all():
            raise EngineError(f"{path}: has no complete rows; delete the folder {work} and run the step again")
        rows = rows[rows[:, 0] > 0]  # a window of one sample also counts the state at the start
        if len(rows) != rows_each:
            raise EngineError(f"{path}: has {len(rows)} of {rows_each} rows; delete the folder {work} and run the step again")
        tables.append(rows)
    rows = np.concatenate(tables)
    columns = {f"length_{axis}": rows[:, 1 + number] * ANGSTROM for number, axis in enumerate("xyz")}
    columns |= {f"pressure_{name}": rows[:, 4 + number] * ATMOSPHERE for number, name in enumerate(STRESSES)}
    columns |= {"temperature": rows[:, 10], "density": rows[:, 11] * GRAM_PER_CUBIC_CENTIMETRE, "energy": rows[:, 12] * KCAL_PER_MOL}
    return pd.DataFrame(columns)
