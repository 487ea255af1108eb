"""The engine ``vasp``: VASP under custodian, which corrects what it can and lists what it did."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
from ase import Atoms
from custodian import Custodian
from custodian.custodian import CustodianError
from custodian.vasp import handlers
from custodian.vasp.jobs import VaspJob
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator
from pymatgen.core import SETTINGS
from pymatgen.io.vasp import Potcar, Vasprun

from ecmpipe.engines.launch import Outcome, Request
from ecmpipe.errors import ConvergenceError, EngineError
from ecmpipe.settings.dft import VaspSettings
from ecmpipe.units import EV_PER_CUBIC_ANGSTROM

POTENTIALS = "PMG_VASP_PSP_DIR"
HANDLERS = (
    handlers.VaspErrorHandler,
    handlers.MeshSymmetryErrorHandler,
    handlers.UnconvergedErrorHandler,
    handlers.NonConvergingErrorHandler,
    handlers.PotimErrorHandler,
    handlers.PositiveEnergyErrorHandler,
    handlers.FrozenJobErrorHandler,
    handlers.StdErrHandler,
    handlers.LargeSigmaHandler,
)
LAST_LINES = 8
KILOBAR = 1e8 / EV_PER_CUBIC_ANGSTROM  # eV/A3


class VaspEngine:
    """One folder per run; POTCAR comes from the user's own files and is written only there."""

    def __init__(self, settings: VaspSettings) -> None:
        self.settings = settings
        if shutil.which(settings.command[0]) is None:
            raise EngineError(
                f"dft.vasp.command: '{settings.command[0]}' is not on the PATH; load the module that has it, or set dft.engine to ase"
            )
        if not SETTINGS.get(POTENTIALS):
            raise EngineError(
                f"{POTENTIALS} is not set: VASP needs your licensed potentials; "
                f"export {POTENTIALS}=<folder that holds POT_GGA_PAW_PBE_54>, or set dft.engine to ase"
            )
        self.name = f"VASP ({' '.join(settings.command)})"

    def relax(self, request: Request, folder: Path) -> Outcome:
        """Write the inputs, run under custodian, read vasprun.xml; a failed folder stays as it is."""
        self._write(request, folder)
        job = VaspJob(self.settings.command, auto_npar=False, auto_gamma=False)
        custodian = Custodian(
            [handler() for handler in HANDLERS],
            [job],
            validators=[VasprunXMLValidator(), VaspFilesValidator()],
            max_errors=self.settings.max_errors,
            polling_time_step=self.settings.polling,
            directory=str(folder),
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                log = custodian.run()
        except CustodianError as error:
            raise EngineError(f"{folder}: VASP run '{request.name}' failed: {error}\n{_tail(folder)}\nsee custodian.json there") from None
        corrections = [
            f"{type(item['handler']).__name__}: {', '.join(map(str, item['errors']))}" for entry in log for item in entry["corrections"]
        ]
        return read_vasprun(request, folder, corrections)

    def _write(self, request: Request, folder: Path) -> None:
        for stale in folder.glob("error.*.tar.gz"):
            stale.unlink()
        for name, text in request.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / "POTCAR.spec").write_text("\n".join(request.potentials) + "\n", encoding="utf-8")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pymatgen warns of potentials that it has no fingerprint of
                Potcar(symbols=request.potentials, functional=request.functional).write_file(folder / "POTCAR")
        except (FileNotFoundError, ValueError, KeyError) as error:
            text = " ".join(str(error).split())
            raise EngineError(
                f"{folder}: no potentials {request.potentials} for {request.functional}: {text}; correct {POTENTIALS}"
            ) from None


def read_vasprun(request: Request, folder: Path, corrections: list[str]) -> Outcome:
    """The converged result in the order of the request's atoms; a truncated or foreign file is refused."""
    path = folder / "vasprun.xml"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = Vasprun(str(path), parse_dos=False, parse_eigen=False, parse_potcar_file=False)
            final, steps = run.final_structure, run.ionic_steps
            forces, stress = np.array(steps[-1]["forces"], dtype=float), -KILOBAR * np.array(steps[-1]["stress"], dtype=float)
            energies = [float(item["e_0_energy"]) for item in (steps[0], steps[-1])]
    except Exception as error:  # pymatgen raises whatever its parser meets
        raise EngineError(f"{path}: not a whole vasprun.xml ({type(error).__name__}: {error})\n{_tail(folder)}\nsee {folder}") from None
    wanted = [request.atoms.symbols[k] for k in request.order]
    if [site.specie.symbol for site in final] != wanted:
        raise EngineError(f"{path}: holds {final.composition.formula}, not the atoms of '{request.name}'; delete {folder} and rerun")
    if not run.converged:
        raise ConvergenceError(f"{path}: '{request.name}' is not converged after {len(steps)} steps; raise dft.tolerances.steps")
    back = np.argsort(request.order)
    atoms = Atoms(request.atoms.symbols, cell=final.lattice.matrix, scaled_positions=final.frac_coords[back], pbc=True)
    residual = float(np.linalg.norm(forces, axis=1).max())
    return Outcome(atoms, energies[1], energies[0], stress, residual, len(steps) - 1, ["stress tolerance"], corrections)


def _tail(folder: Path) -> str:
    lines: list[str] = []
    for name in ("vasp.out", "std_err.txt"):
        path = folder / name
        if path.is_file():
            lines += [f"{name}: {line}" for line in path.read_text(errors="replace").splitlines()[-LAST_LINES:]]
    return "\n".join(lines) or "no output"
