"""``python -m ecmpipe check``: are these settings, and the files they name, sound? Asked before ``make run`` starts anything."""

from __future__ import annotations

from pathlib import Path

from ecmpipe.dft.structures import build_crystal, read_crystal
from ecmpipe.md.description import read_description
from ecmpipe.settings import read_settings

BASE = [Path("inputs/parameters.yaml"), Path("inputs/default.yaml")]


def check(*, overlay: list[Path] | None = None) -> int:
    """Validate the default settings with the given overlays on top; every problem is one line, the exit code 2."""
    settings = read_settings([*BASE, *(overlay or [])])
    for material in settings.dft.materials.values():
        build_crystal(read_crystal(Path(material.crystal)))
    for polymer in settings.md.polymers.values():
        read_description(Path(polymer.description))
    print(f"the settings are sound: {' + '.join(str(path) for path in [*BASE, *(overlay or [])])}")
    return 0
