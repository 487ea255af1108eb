"""The engine ``ase``: any ASE calculator, relaxed in this process.

A factory is called with the arguments of the settings, and what it makes is a potential: what only a DFT code can honour
is recorded as ignored. The factory of a DFT code has an attribute ``honours``, names out of `IGNORED`, and then gets
``request`` and ``folder`` too; without them it is only asked for a calculator with a name.
"""

from __future__ import annotations

import sys
import warnings
from importlib import metadata
from pathlib import Path

import ase.units
import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE, FIRE2, LBFGS

from ecmpipe.engines.launch import Outcome, Request, load_factory
from ecmpipe.errors import ConvergenceError, EcmpipeError, EngineError
from ecmpipe.settings.dft import AseSettings

OPTIMISERS = {"BFGS": BFGS, "LBFGS": LBFGS, "FIRE": FIRE, "FIRE2": FIRE2}
IGNORED = ["hubbard_u", "kpoints", "cutoff_energy", "initial moments"]
DIPOLE = "dipole correction"  # asked for by INCAR of polar slabs alone


class AseEngine:
    """Relaxations with one calculator per run; what the calculator cannot honour is listed as ignored."""

    def __init__(self, settings: AseSettings) -> None:
        self.settings = settings
        self.factory = load_factory(settings.calculator.factory)
        self.honours = frozenset(getattr(self.factory, "honours", ()))
        self.calls = 0
        made = self._calculator()
        self.name = getattr(made, "ecmpipe_name", f"{type(made).__name__} (ase {metadata.version('ase')})")

    def relax(self, request: Request, folder: Path) -> Outcome:
        """Relax until the largest force and, with the cell, the largest stress component are small enough."""
        try:
            return self._relax(request, folder)
        except (EcmpipeError, OSError):
            raise
        except Exception as error:  # a foreign calculator may raise anything
            raise EngineError(
                f"{folder}: {self.name} fails on '{request.name}' ({type(error).__name__}: {error}); "
                "see dft.ase.calculator, and what of the elements and arguments it knows"
            ) from error

    def _relax(self, request: Request, folder: Path) -> Outcome:
        for name, text in request.files.items():  # a user with a licence can repeat any run with VASP
            (folder / name).write_text(text, encoding="utf-8")
        atoms = request.atoms.copy()
        if "initial moments" in self.honours:
            atoms.set_initial_magnetic_moments([request.electronic.moments.get(symbol, 0.0) for symbol in atoms.symbols])
        atoms.calc = self._calculator(**({"request": request, "folder": folder} if self.honours else {}))
        moving = FrechetCellFilter(atoms, exp_cell_factor=_cell_factor(atoms)) if request.stress is not None else atoms
        # the filter's own criterion is the virial per atom, which lets 0.4 GPa pass here: forces and stress are looked at apart
        optimiser = OPTIMISERS[self.settings.optimiser](moving, logfile=str(folder / "relax.log"))
        initial, step, force, stress = 0.0, -1, np.inf, np.inf
        warnings.filterwarnings("ignore", message="logm result may be inaccurate")  # errors of 1e-13 in the cell filter
        for _ in optimiser.irun(fmax=0.0, steps=request.steps):
            step += 1
            energy = float(atoms.get_potential_energy())
            initial = energy if step == 0 else initial
            force, stress = _largest_force(atoms), float(np.abs(atoms.get_stress()).max()) / ase.units.GPa
            if not np.isfinite([energy, force, stress]).all():
                raise EngineError(
                    f"{folder}: {self.name} gave energy {energy}, force {force} at step {step}; look at the starting structure"
                )
            if step % 20 == 0:
                print(f"  {request.name}: step {step}, {energy:.4f} eV, {force:.4f} eV/A, {stress:.3f} GPa", file=sys.stderr, flush=True)
            if request.steps == 0 or (force <= request.tolerance and (request.stress is None or stress <= request.stress)):
                break
        else:
            raise ConvergenceError(
                f"{folder}: '{request.name}' has {force:.4f} eV/A and {stress:.3f} GPa left after {step} steps "
                f"(wanted {request.tolerance:g} and {request.stress}); raise dft.tolerances, see relax.log there"
            )
        self.calls += step + 1
        found = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
        tensor = np.asarray(atoms.get_stress(voigt=False), dtype=float)
        return Outcome(found, float(atoms.get_potential_energy()), initial, tensor, force, step, self._ignored(request))

    def _ignored(self, request: Request) -> list[str]:
        asked = [*IGNORED, DIPOLE] if "LDIPOL" in request.files.get("INCAR", "") else IGNORED
        return [name for name in asked if name not in self.honours]

    def _calculator(self, **asked):
        """A calculator; an argument that is null is not given, so that an overlay can take back what it inherits."""
        arguments = {key: value for key, value in self.settings.calculator.arguments.items() if value is not None}
        try:
            return self.factory(**arguments, **asked)
        except (EcmpipeError, OSError):
            raise
        except Exception as error:  # the factory is the user's
            text = f"{type(error).__name__}: {error}"
            raise EngineError(f"calculator.arguments: {self.settings.calculator.factory} refuses them: {text}") from None


def _largest_force(atoms: Atoms) -> float:
    return float(np.linalg.norm(atoms.get_forces(), axis=1).max())


def _cell_factor(atoms: Atoms) -> float:
    """Makes the cell as stiff as the atoms in the optimiser's first guess; ASE's own factor makes it a hundred times softer.

    The curvature along a strain is V C / factor2, that along an atom 70 eV/A2 (the guess of ASE's BFGS); C = 1 eV/A3 (160 GPa).
    For the 48 atoms of NCM811 this takes 50 steps instead of 110.
    """
    return float(np.sqrt(atoms.get_volume() / 70.0))
