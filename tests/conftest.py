"""Shared fixtures: the project's root, and one whole run of the chain on the test settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


def copy_project(target: Path) -> Path:
    """What a run needs besides the installed package."""
    for name in ("workflow", "inputs", "profiles"):
        shutil.copytree(ROOT / name, target / name)
    shutil.copy(ROOT / "Snakefile", target)
    (target / "slurm").symlink_to("profiles/slurm")
    return target


def snakemake(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The literal command line, in ``folder``."""
    command = [str(Path(sys.executable).with_name("snakemake")), *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The whole chain on inputs/test.yaml: mock VASP through custodian, real LAMMPS, real FEM. Folder and environment."""
    folder = copy_project(tmp_path_factory.mktemp("chain"))
    sys.path.insert(0, str(ROOT / "tests" / "mock"))
    from potentials import mock_environment

    env = mock_environment(folder / "potentials", dict(os.environ))
    done = snakemake(folder, "--profile", "profiles/local", "--configfile", "inputs/test.yaml", env=env)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return folder, env
