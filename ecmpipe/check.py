"""``python -m ecmpipe check``: are these settings, and the files they name, sound? Asked before ``make run`` starts anything."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from ecmpipe.dft.cuts import make_slabs
from ecmpipe.dft.structures import build_crystal, make_structures, read_crystal
from ecmpipe.errors import SettingsError
from ecmpipe.fem.mesh import BACKING, FILLER
from ecmpipe.fem.shapes import build_cell
from ecmpipe.md.build import check_polymer
from ecmpipe.settings import Settings, read_settings
from ecmpipe.settings.dft import slabs_step, structures_step
from ecmpipe.settings.fem import NO_FILLER, FemParameters, Geometry, variant_settings

BASE = [Path("inputs/parameters.yaml"), Path("inputs/default.yaml")]


def check(*, overlay: list[Path] | None = None) -> int:
    """Validate the default settings with the given overlays on top; every problem is one line, the exit code 2."""
    settings = read_settings([*BASE, *(overlay or [])])
    check_files(settings)
    for name, material in settings.dft.materials.items():
        try:
            crystal = Path(material.crystal)
            structures = make_structures(structures_step(settings, name), name, crystal)
            make_slabs(slabs_step(settings, name), name, crystal, structures)
        except SettingsError as error:
            raise SettingsError(f"dft.materials.{name}.{error}") from None
    print(f"the settings are sound: {' + '.join(str(path) for path in [*BASE, *(overlay or [])])}")
    return 0


def check_files(settings: Settings) -> None:
    """Read every crystal, polymer and mesh file that the settings name, and mesh every cell; the workflow asks this before it plans."""
    if settings.dft.engine == "ase":
        check_calculator(settings.dft.ase.calculator.factory)
    for name, material in settings.dft.materials.items():
        crystal = read_crystal(Path(material.crystal))
        try:
            build_crystal(crystal)
        except SettingsError as error:
            raise SettingsError(f"dft.materials.{name}.crystal {material.crystal}: {error}") from None
    for polymer in settings.md.polymers.values():
        check_polymer(Path(polymer.description), polymer.chains)
    for variant, fillers in settings.fem.cases.items():
        case, numbers = variant_settings(settings, variant)
        for filler in fillers:
            check_cell(case.geometry, numbers, filler, variant)


def check_calculator(factory: str) -> None:
    """Refuse a calculator whose package is not installed here, without importing it."""
    module = factory.partition(":")[0]
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package it lies in
        found = False
    if not found:
        raise SettingsError(f"dft.ase.calculator.factory: there is no module '{module}' here; install its package or name another factory")


def check_cell(geometry: Geometry, numbers: FemParameters, filler: str, variant: str) -> None:
    """Refuse a cell that cannot be meshed, or a mesh file that does not fit its case."""
    try:
        cell = build_cell(geometry, numbers.length_scale.value, 0.0 if filler == NO_FILLER else numbers.filler_thickness_ratio.value)
    except SettingsError as error:
        raise SettingsError(f"fem.cases [h-1].{variant}.{filler}: {error}") from None
    if (filler != NO_FILLER) != bool(np.isin(cell.layer, (FILLER, BACKING)).any()):
        found = "no" if filler != NO_FILLER else "a"
        raise SettingsError(f"fem.cases [h-1].{variant}.{filler}: the mesh has {found} surface of a filler; change the mesh or the case")
