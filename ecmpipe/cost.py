"""What a scheduler must grant to the long steps, from the size of the settings; measured on one core of a shared server, then doubled."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

from ecmpipe.md.description import read_description
from ecmpipe.settings import Settings
from ecmpipe.settings.md import PolymerSettings, StageSettings

PER_ATOM_STEP = 4e-6  # s, PCFF with PPPM
PER_NODE_STEP = 6e-5  # s, an accepted step of a cell with its staggers
SAFE = 2.0
SHORTEST, LONGEST = 30, 2880  # min; longer steps resume in the next attempt
SNAKEMAKE = 600  # MB, itself beside the step


def dft_minutes(settings: Settings) -> int:
    """Minutes of one ``dft_run``: a batch of the embedded engine takes some; of VASP, and of other calculators, nobody knows."""
    return 120 if _is_embedded(settings) else 1440


def dft_memory(settings: Settings, attempt: int) -> int:
    """MB of one ``dft_run``, more at every attempt; a guess for VASP on one node."""
    return attempt * (3000 if _is_embedded(settings) else 64000)


def _is_embedded(settings: Settings) -> bool:
    return settings.dft.engine == "ase" and "gpaw" not in settings.dft.ase.calculator.factory.lower()


def equilibrate_minutes(settings: Settings, polymer: str) -> int:
    """Minutes of ``md_equilibrate`` on one core, with every extension of the last stage."""
    chosen, dynamics = settings.md.polymers[polymer], settings.md.dynamics

    def steps(stage: StageSettings) -> float:
        return stage.duration / (stage.time_step or dynamics.time_step)

    extensions = settings.md.equilibrium.extensions * steps(chosen.equilibration[-1])
    whole = sum(map(steps, chosen.equilibration)) + extensions + settings.md.conservation.duration / dynamics.time_step
    return _minutes(whole * _atoms(chosen) * PER_ATOM_STEP)


def tensile_minutes(settings: Settings, polymer: str) -> int:
    """Minutes of one ``md_tensile`` on one core."""
    chosen = settings.md.polymers[polymer]
    steps = (chosen.decorrelation + chosen.largest_strain / chosen.strain_rate) / settings.md.dynamics.time_step
    return _minutes(steps * _atoms(chosen) * PER_ATOM_STEP)


def md_memory(settings: Settings, polymer: str, attempt: int) -> int:
    """MB of a run of ``polymer``, more at every attempt."""
    return attempt * (SNAKEMAKE + 400 + _atoms(settings.md.polymers[polymer]) // 20)


def fem_minutes(settings: Settings) -> int:
    """Minutes of one ``fem_run``, by the nodes that the default geometry asks for and the cap on its steps."""
    length = settings.parameters.fem.length_scale.value / settings.fem.geometry.elements_per_length_scale
    width = getattr(settings.fem.geometry, "width", 4e-6)
    nodes = width / length * 10 * settings.fem.geometry.elements_per_length_scale * settings.fem.geometry.band_half_width
    return _minutes(settings.fem.time.most_steps * nodes * PER_NODE_STEP * 2)


def calibrate_minutes(settings: Settings) -> int:
    """Minutes of ``fem_calibrate``: some cells up to their onset; finished trials are kept for the next attempt."""
    return min(LONGEST, 4 * fem_minutes(settings))


def fem_memory(attempt: int) -> int:
    """MB of one ``fem_run``, more at every attempt."""
    return attempt * (SNAKEMAKE + 1400)


def _minutes(seconds: float) -> int:
    return min(LONGEST, max(SHORTEST, math.ceil(SAFE * seconds / 60)))


def _atoms(polymer: PolymerSettings) -> int:
    unit = _unit_atoms(polymer.description)
    return sum(chain.count * chain.units for chain in polymer.chains) * unit


@cache
def _unit_atoms(description: str) -> int:
    return len(read_description(Path(description)).unit.atoms)
