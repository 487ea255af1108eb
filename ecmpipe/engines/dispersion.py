"""Dispersion added to a potential that was trained without it: DFT-D3 with rational damping, from the dftd3 package.

Without it the empty layers of a delithiated oxide drift apart (c = 16.9 A at x = 0 where crystals have 13 to 14 A):
neither PBE nor a potential fitted to it binds them. D3 takes its coefficients from neutral atoms, which is too much for
cations that have given up their valence shell (Ehrlich, Moellmann, Grimme, Acc. Chem. Res. 46, 916 (2013), from memory):
Li+ at full weight raises the mean voltage by 0.3 V, Ni, Co and Mn at full weight make the emptied cell collapse by 11 %.
So each species has a weight, and a pair counts with the smaller weight of its two atoms.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.mixing import SumCalculator
from dftd3.ase import DFTD3

METHOD = "PBE"  # the functional of the training data


class Dispersion(Calculator):
    """D3 of all pairs, each times the smaller of its atoms' ``weights`` by species (1 where none is given)."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, damping: str, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.damping, self.weights = damping, dict(weights)
        self.parts: list[tuple[float, DFTD3]] | None = None

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Energy, forces and stress in ASE units."""
        super().calculate(atoms, properties, system_changes)
        if self.parts is None:
            self.parts = self._shells(atoms)
        self.results = {"energy": 0.0, "free_energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}
        for share, part in self.parts:
            part.calculate(atoms.copy(), ["energy", "forces", "stress"], system_changes)
            for key in self.implemented_properties:
                self.results[key] = self.results[key] + share * part.results[key]

    def _shells(self, atoms: Any) -> list[tuple[float, DFTD3]]:
        """D3 among the atoms of at least each weight, with the rise to that weight as its share: they sum up to the smaller weight."""
        own = np.array([self.weights.get(symbol, 1.0) for symbol in atoms.symbols])
        found, below = [], 0.0
        for level in np.unique(own[own > 0]):
            ghosts = np.flatnonzero(own < level).tolist()
            found.append((float(level - below), DFTD3(method=METHOD, damping=self.damping, ghost_atoms=ghosts or None)))
            below = level
        return found


def with_dispersion(calculator: Calculator, name: str, damping: str, weights: Mapping[str, float]) -> Calculator:
    """The sum of ``calculator`` and D3, under a name that says so."""
    made = SumCalculator([calculator, Dispersion(damping, weights)])
    kept = ", ".join(f"{species} x {weight:g}" for species, weight in weights.items())
    made.ecmpipe_name = f"{name} + {damping.upper()}{f' ({kept})' if kept else ''} (dftd3 {metadata.version('dftd3')})"
    return made
