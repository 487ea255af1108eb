"""What a stage asks of an engine for one calculation, and what it gets back; the engines themselves are interchangeable."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from ecmpipe.errors import SettingsError
from ecmpipe.settings.dft import VaspInput
from ecmpipe.settings.dft_materials import Kpoints


@dataclass(frozen=True)
class Request:
    """One relaxation. ``stress`` in GPa: the cell relaxes too, down to it; None: the cell is fixed. ``steps`` 0: nothing moves.

    ``electronic`` and ``kpoints`` are what a DFT code is asked for; a potential ignores them and says so.
    ``files`` are the texts of INCAR, KPOINTS and POSCAR, whose atoms stand in the order ``order`` of ``atoms``;
    ``potentials`` the names of the pseudopotentials in POSCAR order. Engines without input files ignore them.
    """

    name: str
    atoms: Atoms
    tolerance: float
    stress: float | None
    steps: int
    files: dict[str, str]
    order: list[int]
    potentials: list[str]
    electronic: VaspInput
    kpoints: Kpoints


@dataclass(frozen=True)
class Outcome:
    """A converged relaxation or a single point: energy in eV, stress in eV/A3 (3, 3) with tension positive, largest force in eV/A."""

    atoms: Atoms
    energy: float
    initial_energy: float
    stress: np.ndarray
    residual_force: float
    steps: int
    ignored: list[str] = field(default_factory=list)
    corrections: list[str] = field(default_factory=list)


def deciding(files: dict[str, str]) -> dict[str, str]:
    """The input files without what cannot change a converged result: how many steps a relaxation may take."""
    return files | {"INCAR": "".join(line for line in files["INCAR"].splitlines(True) if not line.startswith("NSW"))} if files else {}


class Engine(Protocol):
    """``relax`` works in ``folder`` and keeps it when it fails."""

    name: str

    def relax(self, request: Request, folder: Path) -> Outcome:
        """Relax, or raise `EngineError` or `ConvergenceError`."""
        ...


def load_factory(text: str) -> Callable[..., Any]:
    """The function that ``module:factory`` names."""
    module, _, name = text.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise SettingsError(
            f"calculator.factory: '{text}' cannot be imported ({error}); install the package or name another factory"
        ) from None
    except AttributeError:
        raise SettingsError(f"calculator.factory: module '{module}' has no '{name}'; write it as module:factory") from None
