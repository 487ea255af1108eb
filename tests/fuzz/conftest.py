"""No fuzzed input may start anything; crystals and polymers that an input does not touch are built once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ecmpipe.check
import ecmpipe.engines.ase_engine
import ecmpipe.engines.lammps
import ecmpipe.engines.launch
import ecmpipe.engines.vasp
import ecmpipe.md.build
import ecmpipe.settings

STARTERS = [
    (subprocess, "Popen"),
    *((os, name) for name in ("system", "fork", "forkpty", "posix_spawn", "posix_spawnp", "popen") if hasattr(os, name)),
    *((os, f"exec{ending}") for ending in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
]


KEPT: dict[Any, Any] = {}


@pytest.fixture(autouse=True)
def nothing_starts(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Processes and engines only leave a note, which fails the test; every input is read in the project's folder."""
    started: list[str] = []

    def refuse(name: str) -> Callable[..., Any]:
        def start(*arguments: Any, **options: Any) -> Any:
            started.append(f"{name} {arguments}"[:200])
            raise AssertionError(f"{name} was started")

        return start

    for module, name in STARTERS:
        monkeypatch.setattr(module, name, refuse(f"{module.__name__}.{name}"))
    for engine in (ecmpipe.engines.ase_engine, ecmpipe.engines.lammps, ecmpipe.engines.launch, ecmpipe.engines.vasp):
        own = [name for name, item in vars(engine).items() if callable(item) and getattr(item, "__module__", "") == engine.__name__]
        for name in own:
            if name != "force_field_file":  # a file of the installed wheel, which `check` reads
                monkeypatch.setattr(engine, name, refuse(f"{engine.__name__}.{name}"))
    monkeypatch.chdir(root)
    yield started
    assert not started
    assert not [folder for folder in (root, tmp_path) if (folder / "pwned").exists()]


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `check` builds of equal settings and equal files is built once."""

    def once(module: Any, name: str) -> None:
        function = getattr(module, name)

        def remembered(*arguments: Any) -> Any:
            key = (name, *(_key(argument) for argument in arguments))
            if key not in KEPT:
                KEPT[key] = function(*arguments)
            return KEPT[key]

        monkeypatch.setattr(module, name, remembered)

    for name in ("read_crystal", "build_crystal", "check_polymer", "make_structures", "make_slabs", "build_cell"):
        once(ecmpipe.check, name)
    once(ecmpipe.settings, "read_yaml")
    once(ecmpipe.md.build, "read_force_field")


def _key(item: Any) -> Any:
    if isinstance(item, Path):
        return item, item.read_bytes() if item.is_file() else None
    if isinstance(item, list):
        return tuple(_key(each) for each in item)
    if hasattr(item, "file"):
        return item.canonical(), Path(item.file).read_bytes()
    return item.canonical() if hasattr(item, "canonical") else item
