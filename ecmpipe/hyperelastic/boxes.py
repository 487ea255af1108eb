"""The independent boxes of a polymer as one: their mean density and bulk modulus, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecmpipe.cards import CellCard, read_card
from ecmpipe.errors import CardError

SAME = {"engine": "engine", "torsion_mode": "torsion mode", "atoms": "number of atoms", "chains": "number of chains"}


@dataclass(frozen=True)
class Boxes:
    """``density`` [kg/m3] with its standard error between boxes (of one box: its own), ``bulk_modulus`` [Pa] of volume fluctuation."""

    count: int
    engine: str
    torsion_mode: str
    atoms: int
    density: float
    density_error: float | None
    bulk_modulus: float | None
    bulk_modulus_error: float | None
    equilibrated: bool | None
    conserves_energy: bool | None


def join_boxes(paths: list[Path], polymer: str) -> Boxes:
    """Read the boxes of ``polymer``; one of another polymer, engine, torsion mode or size is a `CardError`."""
    if not paths:
        raise CardError("no equilibrated boxes were given; rerun the MD stage")
    cards = [read_card(CellCard, path) for path in paths]
    first = cards[0]
    for path, card in zip(paths, cards, strict=True):
        if card.polymer != polymer:
            raise CardError(f"{path}: holds '{card.polymer}' where '{polymer}' belongs; rerun md-equilibrate")
        for name, words in SAME.items():
            here, there = getattr(card, name), getattr(first, name)
            if here != there:
                raise CardError(f"{path}: {words} '{here}' differs from '{there}' in {paths[0]}; delete both and rerun the MD stage")
    densities = [card.density for card in cards]
    known = [card.bulk_modulus for card in cards if card.bulk_modulus is not None]
    errors = [card.bulk_modulus_error for card in cards if card.bulk_modulus_error is not None]
    return Boxes(
        count=len(cards),
        engine=first.engine,
        torsion_mode=first.torsion_mode,
        atoms=first.atoms,
        density=float(np.mean(densities)),
        density_error=float(np.std(densities, ddof=1) / len(cards) ** 0.5) if len(cards) > 1 else first.density_error,
        bulk_modulus=float(np.mean(known)) if known else None,
        bulk_modulus_error=float(np.linalg.norm(errors) / len(errors)) if errors else None,
        equilibrated=_for_all([card.equilibrated for card in cards]),
        conserves_energy=_for_all([card.conserves_energy for card in cards]),
    )


def _for_all(flags: Sequence[bool | None]) -> bool | None:
    """False if false anywhere, unknown if not known everywhere."""
    return False if False in flags else None if None in flags else True
