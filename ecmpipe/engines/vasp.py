"""The engine ``vasp``: VASP under custodian, which corrects what it can and lists what it did.

A run that was stopped or killed is continued by the next call with the same inputs: its files are moved to ``attempt_1``,
``attempt_2``... in the folder, and VASP goes on from the last whole CONTCAR.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from custodian import Custodian
from custodian.vasp import handlers
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator
from pymatgen.core import SETTINGS, Structure
from pymatgen.io.vasp import Poscar, Potcar, Vasprun

from ecmpipe.engines.custodian_job import GuardedJob, WalltimeHandler, run_guarded
from ecmpipe.engines.launch import Outcome, Request, deciding
from ecmpipe.errors import ConvergenceError, EcmpipeError, EngineError
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
DIGEST, LOG = "inputs.sha256", "vasp.out"
KEPT = ("INCAR", "KPOINTS", "POSCAR", "CONTCAR", "OSZICAR", "OUTCAR", "XDATCAR", "vasprun.xml", "std_err.txt", "custodian.json", LOG)
PACKED = "error.*.tar*"  # custodian's: the files of a run that it corrected
NEVER_KEPT = ("STOPCAR", "WAVECAR", "CHGCAR")
IONIC_STEP = re.compile(r"E0=\s*(\S+)\s+d E")  # of OSZICAR; a line that a kill cut short does not count
LAST_LINES = 8
KILOBAR = 1e8 / EV_PER_CUBIC_ANGSTROM  # eV/A3
LONGEST_BUFFER, BUFFER_SHARE = 300.0, 0.1  # s; of the walltime
SAME_BASIS, MOST_BASES = 0.005, 5  # relative volume: VASP keeps the plane waves of the cell that it started with
SLACK = 1.001  # VASP compares forces before it rounds them


class VaspEngine:
    """One folder per run; POTCAR comes from the user's own files and is written only there.

    ``walltime``: the seconds that this process may still use, None for no limit. Before they are over VASP is asked to
    stop after its ionic step, and `relax` raises `EngineError`; called again on the folder it continues.
    """

    def __init__(self, settings: VaspSettings, walltime: float | None = None) -> None:
        self.settings = settings
        self.walltime, self.began = walltime, time.monotonic()
        name = settings.command[0]
        program = shutil.which(name)
        if program is None:
            fault = "is no file that can be executed" if "/" in name else "is not on the PATH"
            raise EngineError(f"dft.vasp.command: '{name}' {fault}; load the module that has it, or set dft.engine to ase")
        if not SETTINGS.get(POTENTIALS):
            raise EngineError(
                f"{POTENTIALS} is not set: VASP needs your licensed potentials; "
                f"export {POTENTIALS}=<folder that holds POT_GGA_PAW_PBE_54>, or set dft.engine to ase"
            )
        self.command = [os.path.abspath(program), *settings.command[1:]]  # it is started in the run's folder
        self.name = f"VASP ({settings.functional})"

    def relax(self, request: Request, folder: Path) -> Outcome:
        """Write the inputs, or continue what lies there; run under custodian; read vasprun.xml. A failed folder is kept."""
        timer = self._timer(request, folder)
        try:
            for _ in range(MOST_BASES):
                prepare_folder(request, folder)
                self._run(request, folder, timer)
                found = read_vasprun(request, folder)
                if request.stress is None or _volume_change(found, folder) < SAME_BASIS:
                    break
        except EcmpipeError:
            if timer is None or not timer.stopped:
                raise
            count = sum(len(run.energies) for run in _runs(folder))
            raise EngineError(
                f"{folder}: run '{request.name}' stopped before its walltime after {count} ionic steps; "
                f"the next attempt continues from CONTCAR"
            ) from None
        return _with_history(found, request, folder)

    def _timer(self, request: Request, folder: Path) -> WalltimeHandler | None:
        if self.walltime is None:
            return None
        left, buffer = self.walltime - (time.monotonic() - self.began), min(LONGEST_BUFFER, BUFFER_SHARE * self.walltime)
        if left <= buffer:
            raise EngineError(f"{folder}: run '{request.name}' was not started: its walltime is over; the next attempt starts with it")
        return WalltimeHandler(left, buffer)

    def _run(self, request: Request, folder: Path, timer: WalltimeHandler | None) -> None:
        job = GuardedJob(self.command, auto_npar=False, auto_gamma=False, backup=False)
        polls = 30 if timer is None else int(timer.buffer_time / self.settings.polling / 4)  # between two looks of the handlers
        custodian = Custodian(
            [*(handler() for handler in HANDLERS), *([timer] if timer else [])],
            [job],
            validators=[VasprunXMLValidator(), VaspFilesValidator()],
            max_errors=max(1, self.settings.max_errors),  # with 0 custodian would not start VASP at all
            polling_time_step=self.settings.polling,
            monitor_freq=min(30, max(1, polls)),
            directory=str(folder),
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run_guarded(custodian, job)
        except Exception as error:  # custodian's own, and whatever a handler meets in half-written files
            text = f"{type(error).__name__}: {error}"
            raise EngineError(f"{folder}: VASP run '{request.name}' failed: {text}\n{_tail(folder)}\nsee custodian.json there") from None


def _volume_change(found: Outcome, folder: Path) -> float:
    """How much the cell has left the one that this run's plane waves were chosen for."""
    return abs(found.atoms.get_volume() / Structure.from_file(str(folder / "POSCAR")).volume - 1)


def read_vasprun(request: Request, folder: Path) -> Outcome:
    """The converged result in the order of the request's atoms; a truncated, foreign or unconverged file is refused."""
    path = folder / "vasprun.xml"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = Vasprun(str(path), parse_dos=False, parse_eigen=False, parse_potcar_file=False)
            final, steps = run.final_structure, run.ionic_steps
            forces, stress = np.array(steps[-1]["forces"], dtype=float), -KILOBAR * np.array(steps[-1]["stress"], dtype=float)
            pressure = KILOBAR * run.incar.get("PSTRESS", 0.0)
            energies = [_energy(step, pressure) for step in (steps[0], steps[-1])]
            faults = [name for name in ("converged_electronic", "converged_ionic") if not getattr(run, name)]
    except Exception as error:  # pymatgen raises whatever its parser meets
        raise EngineError(f"{path}: not a whole vasprun.xml ({type(error).__name__}: {error})\n{_tail(folder)}\nsee {folder}") from None
    if [site.specie.symbol for site in final] != [request.atoms.symbols[k] for k in request.order]:
        raise EngineError(f"{path}: holds {final.composition.formula}, not the atoms of '{request.name}'; delete {folder} and rerun")
    residual = float(np.linalg.norm(forces, axis=1).max())
    if faults:
        remedy = "raise dft.tolerances.steps" if faults == ["converged_ionic"] else "set ALGO, NELM or mixing in dft.vasp.incar"
        raise ConvergenceError(
            f"{path}: '{request.name}' is not converged after {len(steps)} steps ({', '.join(faults)} is false); {remedy}"
        )
    if request.steps and residual > request.tolerance * SLACK:  # pymatgen takes a run that STOPCAR ended for a converged one
        raise ConvergenceError(
            f"{path}: '{request.name}' stopped with {residual:.4f} eV/A left (wanted {request.tolerance:g}); run it again"
        )
    back = np.argsort(request.order)
    atoms = Atoms(request.atoms.symbols, cell=final.lattice.matrix, scaled_positions=final.frac_coords[back], pbc=True)
    return Outcome(atoms, energies[1], energies[0], stress, residual, len(steps) - 1, ["stress tolerance"])


def _energy(step: dict, pressure: float) -> float:
    """E0 of an ionic step. VASP's own last entry of E0 is wrong in some versions, but its free energy is right, dispersion
    included; what E0 differs by stands in the last electronic step. With PSTRESS the free energy is an enthalpy: less p V."""
    last = step["electronic_steps"][-1]
    return float(step["e_fr_energy"] + last["e_0_energy"] - last["e_fr_energy"] - pressure * step["structure"].volume)


def prepare_folder(request: Request, folder: Path) -> None:
    """Set an unfinished attempt with the same inputs aside, clear what is of other inputs, write the inputs."""
    potcar = assemble_potcar(request.potentials, request.electronic.functional)
    data = [deciding(request.files), hashlib.sha256(potcar.encode()).hexdigest()]
    digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    for name in NEVER_KEPT:
        (folder / name).unlink(missing_ok=True)
    if _text(folder / DIGEST).strip() == digest:
        _set_aside(folder)
    else:
        (folder / DIGEST).unlink(missing_ok=True)
        for attempt in folder.glob("attempt_*"):
            shutil.rmtree(attempt)
        for path in _open_files(folder):
            path.unlink()
    tried = _attempts(folder)
    texts = request.files | ({"POSCAR": _continuation(request, tried[-1])[1]} if tried else {})
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "POTCAR.spec").write_text("\n".join(request.potentials) + "\n", encoding="utf-8")
    (folder / "POTCAR").write_text(potcar, encoding="utf-8")
    (folder / DIGEST).write_text(digest + "\n", encoding="utf-8")


def assemble_potcar(potentials: list[str], functional: str) -> str:
    """POTCAR from the user's own files."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen warns of potentials that it has no fingerprint of
            return str(Potcar(symbols=potentials, functional=functional))
    except (FileNotFoundError, ValueError, KeyError) as error:
        text = " ".join(str(error).split())
        raise EngineError(f"no potentials {potentials} for {functional}: {text}; correct {POTENTIALS}") from None


def _open_files(folder: Path) -> list[Path]:
    return [path for path in (folder / name for name in KEPT) if path.is_file()] + list(folder.glob(PACKED))


def _set_aside(folder: Path) -> None:
    """Move the files of an attempt that had started VASP; an interruption of the move is made good by the next call."""
    target = folder / f"attempt_{len(_attempts(folder)) + 1}"
    partial = target.with_suffix(".partial")
    if (folder / LOG).is_file() or partial.is_dir():
        partial.mkdir(exist_ok=True)
        for path in _open_files(folder):
            path.rename(partial / path.name)
        partial.rename(target)


def _attempts(folder: Path) -> list[Path]:
    """The attempts that were set aside, in their order."""
    numbers = sorted(int(path.name.split("_")[1]) for path in folder.glob("attempt_*") if re.fullmatch(r"attempt_\d+", path.name))
    return [folder / f"attempt_{number}" for number in numbers]


def _continuation(request: Request, attempt: Path) -> tuple[str, str]:
    """How the run went on after an attempt, in words and as POSCAR."""
    for name in ("CONTCAR", "POSCAR"):
        text, number = _text(attempt / name), attempt.name.split("_")[1]
        found, wanted = _structure(text), _structure(request.files["POSCAR"])
        if found is not None and found.species == wanted.species:
            return f"resumed from {name} of attempt {number}", text
    return f"begun again after attempt {number}", request.files["POSCAR"]


@dataclass(frozen=True)
class Run:
    """One start of VASP: where it began, and its log of ionic steps."""

    poscar: str
    oszicar: str

    @property
    def energies(self) -> list[float]:
        """E0 of every ionic step that was finished."""
        return [float(text) for text in IONIC_STEP.findall(self.oszicar)]


def _runs(folder: Path) -> list[Run]:
    """Every start of VASP in an attempt: custodian packed those that it corrected, the last one's files lie open."""
    found = []
    for pack in sorted(folder.glob(PACKED), key=lambda path: int(path.name.split(".")[1])):
        try:
            with tarfile.open(pack) as tar:
                texts = {Path(item.name).name: tar.extractfile(item).read() for item in tar if item.name.endswith(("POSCAR", "OSZICAR"))}
        except (tarfile.TarError, EOFError, OSError):  # cut short by a kill
            continue
        found.append(Run(*(texts.get(name, b"").decode(errors="replace") for name in ("POSCAR", "OSZICAR"))))
    last = Run(_text(folder / "POSCAR"), _text(folder / "OSZICAR"))
    return found if found and found[-1].oszicar == last.oszicar else [*found, last]  # the same when nothing followed a correction


def _with_history(found: Outcome, request: Request, folder: Path) -> Outcome:
    """With the first energy, the ionic steps and the corrections of all attempts, not only of VASP's last start."""
    tried = _attempts(folder)
    runs = [run for attempt in (*tried, folder) for run in _runs(attempt)]
    first = [run for run in runs if run.energies and _same_place(run.poscar, request.files["POSCAR"])]
    initial = first[-1].energies[0] if first and first[-1] is not runs[-1] else found.initial_energy
    notes = [note for attempt in tried for note in (*_corrections(attempt), _continuation(request, attempt)[0])]
    steps = sum(len(run.energies) for run in runs) - 1
    return replace(found, initial_energy=initial, steps=steps, corrections=notes + _corrections(folder))


def _corrections(folder: Path) -> list[str]:
    """What custodian did in an attempt; nothing is known of one that was killed while custodian wrote."""
    try:
        log = json.loads(_text(folder / "custodian.json"))
        return [f"{item['handler']['@class']}: {', '.join(map(str, item['errors']))}" for entry in log for item in entry["corrections"]]
    except (ValueError, KeyError, TypeError):
        return []


def _structure(text: str) -> Structure | None:
    """The atoms of a POSCAR or CONTCAR, None when it is not whole."""
    try:
        found = Poscar.from_str(text).structure
    except Exception:  # pymatgen raises whatever its parser meets
        return None
    return found if text.endswith("\n") and np.isfinite(found.lattice.matrix).all() and np.isfinite(found.frac_coords).all() else None


def _same_place(text: str, other: str) -> bool:
    found, wanted = _structure(text), _structure(other)
    if found is None or found.species != wanted.species:
        return False
    shift = found.frac_coords - wanted.frac_coords
    return np.allclose(found.lattice.matrix, wanted.lattice.matrix, atol=1e-6) and np.allclose(shift, np.round(shift), atol=1e-6)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _tail(folder: Path) -> str:
    lines = [f"{name}: {line}" for name in (LOG, "std_err.txt") for line in _text(folder / name).splitlines()[-LAST_LINES:]]
    return "\n".join(lines) or "no output"
