"""Dispersion added to a potential that was trained without it: DFT-D3 with rational damping, from the dftd3 package.

Without it the empty layers of a delithiated oxide drift apart (c = 16.9 A at x = 0 where crystals have 13 to 14 A):
neither PBE nor a potential fitted to it binds them. Cations that have given up their valence shell are left out: D3 takes
its coefficients from neutral atoms, some hundred times too polarisable for Li+ (Ehrlich, Moellmann, Grimme, Acc. Chem.
Res. 46, 916 (2013), from memory); kept in, they raise the mean voltage by 0.3 V.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.mixing import SumCalculator
from dftd3.ase import DFTD3

METHOD = "PBE"  # the functional of the training data


class Dispersion(Calculator):
    """D3 of all atoms but those of the species ``without``; nothing where no other atom is left, as in Li metal."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, damping: str, without: list[str]) -> None:
        super().__init__()
        self.damping, self.without, self.inner = damping, frozenset(without), None

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Energy, forces and stress in ASE units."""
        super().calculate(atoms, properties, system_changes)
        left_out = [k for k, symbol in enumerate(atoms.symbols) if symbol in self.without]
        if len(left_out) == len(atoms):
            self.results = {"energy": 0.0, "free_energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}
            return
        if self.inner is None:
            self.inner = DFTD3(method=METHOD, damping=self.damping, ghost_atoms=left_out or None)
        self.inner.calculate(atoms.copy(), ["energy", "forces", "stress"], system_changes)
        self.results = {key: self.inner.results[key] for key in self.implemented_properties}


def with_dispersion(calculator: Calculator, name: str, damping: str, without: list[str]) -> Calculator:
    """The sum of ``calculator`` and D3, under a name that says so."""
    made = SumCalculator([calculator, Dispersion(damping, without)])
    excluded = f" without {', '.join(without)}" if without else ""
    made.ecmpipe_name = f"{name} + {damping.upper()}{excluded} (dftd3 {metadata.version('dftd3')})"
    return made
