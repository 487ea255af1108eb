"""``python -m ecmpipe check``: are these settings, and the files they name, sound? Asked before ``make run`` starts anything."""

from __future__ import annotations

from pathlib import Path

from ecmpipe.dft.cuts import make_slabs
from ecmpipe.dft.structures import build_crystal, make_structures, read_crystal
from ecmpipe.errors import SettingsError
from ecmpipe.md.build import check_polymer
from ecmpipe.settings import Settings, read_settings
from ecmpipe.settings.dft import slabs_step, structures_step

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
    """Read every crystal and polymer file that the settings name; the workflow asks this before it plans."""
    for material in settings.dft.materials.values():
        build_crystal(read_crystal(Path(material.crystal)))
    for polymer in settings.md.polymers.values():
        check_polymer(Path(polymer.description), polymer.chains)
