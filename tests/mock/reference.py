"""Recorded inputs that the mock holds its own against: a change of a tag, a potential or a k-grid must be meant.

Record them from a finished run: ``python tests/mock/reference.py results/dft tests/mock/reference.json``. The file maps
``material/pattern of run names`` to inputs; what belongs to a species is stored by species, so that one entry serves
every composition of a material. Runs whose names differ only in their numbers share an entry when their inputs agree.
"""

from __future__ import annotations

import json
import os
import re
import sys
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path

BY_ATOM, BY_SPECIES = ("MAGMOM",), ("LDAUU", "LDAUL", "LDAUJ")


def read_incar(folder: str | Path = ".") -> dict[str, str]:
    """Tags in upper case and their texts."""
    tags = {}
    for line in (Path(folder) / "INCAR").read_text().splitlines():
        if "=" in line:
            key, value = line.split("#")[0].split("=", 1)
            tags[key.strip().upper()] = value.strip()
    return tags


def read_kpoints(folder: str | Path = ".") -> tuple[str, list[int]]:
    """Scheme and grid."""
    lines = (Path(folder) / "KPOINTS").read_text().splitlines()
    return lines[2].strip(), [int(word) for word in lines[3].split()[:3]]


def read_titles(folder: str | Path = ".") -> list[str]:
    """The names of the potentials in POTCAR."""
    return [line.split()[3] for line in (Path(folder) / "POTCAR").read_text().splitlines() if "TITEL" in line]


def read_inputs(folder: str | Path) -> dict:
    """The inputs of a run in the form that is recorded."""
    lines = (Path(folder) / "POSCAR").read_text().splitlines()
    species, counts = lines[5].split(), [int(word) for word in lines[6].split()]
    tags: dict[str, object] = {tag: _values(text) for tag, text in read_incar(folder).items()}
    atoms = [name for name, count in zip(species, counts, strict=True) for _ in range(count)]
    for tag, owners in [(tag, atoms) for tag in BY_ATOM] + [(tag, species) for tag in BY_SPECIES]:
        if tag in tags:
            pairs = list(zip(owners, tags[tag], strict=True))
            tags[tag] = {name: sorted({value for owner, value in pairs if owner == name}) for name in species}
    potentials = dict(zip(species, read_titles(folder), strict=True))
    return {"species": species, "INCAR": tags, "KPOINTS": list(read_kpoints(folder)), "POTCAR": potentials}


def difference(folder: str | Path) -> str | None:
    """What is unlike the reference that the environment names; None for no reference, or for inputs that custodian has corrected."""
    name = os.environ.get("ECMPIPE_MOCK_REFERENCE")
    folder = Path(folder)
    if not name or _corrected(folder):
        return None
    entries = json.loads(Path(name).read_text())
    run = f"{folder.parent.parent.name}/{folder.name}"
    fitting = [key for key in entries if key == run or fnmatchcase(run, key)]
    if not fitting:
        return f"{run}: {name} has no reference for this run; record it, see {Path(__file__).name}"
    wrong = _compare(entries[max(fitting, key=lambda key: (key == run, len(key)))], read_inputs(folder))
    return f"{run}: {wrong}; the reference is {name}" if wrong else None


def record(results: Path) -> dict:
    """The reference of every run under ``results`` (material/any/run) that custodian left as it was asked for."""
    folders = sorted(path.parent for path in results.glob("*/*/*/POTCAR") if not _corrected(path.parent))
    found = {}
    for key, group in groupby(sorted((_pattern(folder), folder) for folder in folders), key=lambda pair: pair[0]):
        inputs = {folder: read_inputs(folder) for _, folder in group}
        widest = max(inputs.values(), key=lambda entry: len(entry["species"]))
        if all(_compare(widest, entry) is None for entry in inputs.values()):
            found[key] = widest
        else:
            found |= {f"{folder.parent.parent.name}/{folder.name}": entry for folder, entry in inputs.items()}
    return found


def _pattern(folder: Path) -> str:
    return f"{folder.parent.parent.name}/{re.sub(r'-?[0-9]+([.][0-9]+)?', '*', folder.name)}"


def _corrected(folder: Path) -> bool:
    """Whether custodian has changed the inputs."""
    try:
        return any(entry["corrections"] for entry in json.loads((folder / "custodian.json").read_text()))
    except (OSError, ValueError):
        return False


def _compare(expected: dict, found: dict) -> str | None:
    """The first difference in words. An expected species that is absent is none, another order is one."""
    if found["species"] != [name for name in expected["species"] if name in found["species"]]:
        return f"species are expected as {expected['species']}, found as {found['species']}"
    for tag in sorted(expected["INCAR"].keys() | found["INCAR"].keys()):
        wanted, value = expected["INCAR"].get(tag), found["INCAR"].get(tag)
        if isinstance(wanted, dict):
            wanted = {name: wanted[name] for name in found["species"]}
        if wanted != value:
            return f"INCAR {tag} is expected as {wanted}, found as {value}"
    if expected["KPOINTS"] != found["KPOINTS"]:
        return f"KPOINTS are expected as {expected['KPOINTS']}, found as {found['KPOINTS']}"
    wanted = {name: expected["POTCAR"][name] for name in found["species"]}
    return None if wanted == found["POTCAR"] else f"POTCAR is expected as {wanted}, found as {found['POTCAR']}"


def _values(text: str) -> list[float | bool | str]:
    """The values of a tag: 3*0.6 is written out, numbers and truths are compared as such."""
    out = []
    for word in text.split():
        times, _, value = word.rpartition("*")
        truth = value.upper().strip(".")
        try:
            item: float | bool | str = float(value)
        except ValueError:
            item = truth[0] == "T" if truth in ("T", "F", "TRUE", "FALSE") else value.upper()
        out += [item] * int(times or 1)
    return out


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(record(Path(sys.argv[1])), indent=1, sort_keys=True) + "\n")
