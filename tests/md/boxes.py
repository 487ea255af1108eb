"""Small boxes for the tests: a description, its system and positions, without LAMMPS."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import yaml

from ecmpipe.engines.lammps import force_field_file
from ecmpipe.md.build import build_chains
from ecmpipe.md.datafile import System, assemble, write_data
from ecmpipe.md.description import PolymerDescription, read_description
from ecmpipe.md.forcefield import ForceField, read_force_field
from ecmpipe.md.growth import grow_chains
from ecmpipe.md.topology import Chain
from ecmpipe.settings.md import ChainSettings, GrowthSettings

ROOT = Path(__file__).resolve().parents[2]
GROWTH = GrowthSettings.model_validate({"tries": 40, "room [m]": 2.2e-10, "closest [m]": 1.7e-10, "retreats": 1000, "restarts": 20})


@cache
def force_field() -> ForceField:
    return read_force_field(force_field_file("pcff.frc"))


def described(polymer: str) -> PolymerDescription:
    return read_description(ROOT / "inputs" / "polymers" / f"{polymer}.yaml")


def methyl_capped_polyamide() -> PolymerDescription:
    """Polyamide 6 from acetyl to methylamide: none of the end groups that msi2lmp types wrongly."""
    data = yaml.safe_load((ROOT / "inputs" / "polymers" / "polyamide.yaml").read_text(encoding="utf-8"))
    methyl = {"CM": "c3", "HM1": "hc", "HM2": "hc", "HM3": "hc"}
    joined = [["CM", "HM1"], ["CM", "HM2"], ["CM", "HM3"]]
    data["start"] = {"link": "CA", "atoms": {**methyl, "CA": "c_1", "OA": "o_1"}, "bonds": [*joined, ["CM", "CA"], ["CA", "OA"]]}
    data["end"] = {"link": "NA", "atoms": {**methyl, "NA": "n_2", "HA": "hn2"}, "bonds": [*joined, ["CM", "NA"], ["NA", "HA"]]}
    return PolymerDescription.model_validate(data)


def grown(
    description: PolymerDescription, count: int, units: int, length: float, linear_angle: float | None = None, seed: int = 1
) -> tuple[list[Chain], System, np.ndarray]:
    chains = build_chains(description, [ChainSettings(count=count, units=units)])
    positions = grow_chains(chains, description, force_field(), GROWTH, length, np.random.default_rng(seed))
    return chains, assemble(chains, force_field(), linear_angle), positions


def data_file(
    path: Path, description: PolymerDescription, count: int, units: int, length: float, linear_angle: float | None = None
) -> Path:
    _, system, positions = grown(description, count, units, length, linear_angle)
    # displaced, so that no bonded term stands at its minimum
    positions = positions + np.random.default_rng(2).normal(0, 0.04, positions.shape)
    write_data(path, description.name, system, positions, length)
    return path
