"""GPAW as an ASE calculator: the spin-polarised PBE+U that the SI asks of VASP, without a licence.

The potentials are GPAW's own, so its energies compare with each other alone, and they are harder than VASP's: at the SI's
500 eV LiNiO2 is left with 20 GPa of Pulay stress, at 700 eV with 1, at 800 eV with 0.2: a cell needs 800 eV to relax.
Methfessel-Paxton of order 0 is INCAR's Gaussian smearing. Not honoured: the dipole correction of polar slabs.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from ase.calculators.calculator import Calculator

from ecmpipe.engines.ase_engine import IGNORED
from ecmpipe.engines.launch import Request
from ecmpipe.errors import EngineError

D_SHELL = ":d,{:g}"  # the default potential with U in eV on its d electrons, Dudarev's form
TIGHT = {"energy": 1e-6, "density": 1e-5}  # eV and electrons per valence electron; GPAW's own 5e-4 eV leaves noise in a stress


def calculator(request: Request | None = None, folder: Path | None = None, cutoff: float | None = None, width: float = 0.05) -> Calculator:
    """A calculator of what ``request`` asks for, logging to ``folder``; without a request it only has a name.

    ``cutoff`` in eV stands in for the cut-off energy that is asked for; ``width`` in eV is INCAR's SIGMA.
    No point group: a relaxation may break the symmetry that it starts from.
    """
    try:
        from gpaw import GPAW, PW
    except ImportError as error:
        raise EngineError(f"calculator.factory: GPAW does not import ({error}); inputs/gpaw.yaml says how to install it") from None
    asked = {"mode": "pw", "txt": None}
    if request:
        grid, hubbard = request.kpoints, request.electronic.hubbard_u
        asked = {
            "mode": PW(cutoff or request.electronic.cutoff_energy),
            "setups": {element: D_SHELL.format(value) for element, value in hubbard.items() if value},
            "kpts": {"size": grid.grid} | ({"gamma": True} if grid.scheme == "gamma" else {}),
            "occupations": {"name": "methfessel-paxton", "order": 0, "width": width},
            "convergence": TIGHT,
            "txt": str(folder / "gpaw.txt"),
        }
    made = GPAW(xc="PBE", symmetry={"point_group": False}, **asked)
    made.ecmpipe_name = f"GPAW {metadata.version('gpaw')}" + (f" at {cutoff:g} eV" if cutoff else "")
    return made


calculator.honours = frozenset(IGNORED)
