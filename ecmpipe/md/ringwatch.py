"""Bonds that pass through rings: growth avoids them, for no dynamics would pull a chain out again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from ecmpipe.md.topology import Chain

HALF = 1.25  # angstrom; half the longest bond of PCFF


class RingWatch:
    """The rings and bonds of a box. ``positions`` [angstrom] of all its atoms are unwrapped, NaN where one is not placed yet."""

    def __init__(self, chains: Sequence[Chain], length: float) -> None:
        self.length = length
        offsets = [0, *np.cumsum([len(chain.types) for chain in chains])][:-1]
        self.bonds = np.concatenate([np.array(chain.bonds) + offset for chain, offset in zip(chains, offsets, strict=True)])
        self.rings = [np.array(cycle) + offset for chain, offset in zip(chains, offsets, strict=True) for cycle in chain.cycles]
        # one row a ring, its last corner repeated up to the width of the largest
        most = max((len(ring) for ring in self.rings), default=0)
        self.corners = np.array([[*ring, *[ring[-1]] * (most - len(ring))] for ring in self.rings], dtype=int)
        self.bonds_of, self.rings_of = _where(self.bonds), _where(self.rings)

    def threaded(self, positions: np.ndarray, atoms: Collection[int]) -> bool:
        """Whether a bond of ``atoms`` passes through a ring, or any bond through a ring of ``atoms``."""
        if not self.rings:
            return False
        own = {ring for atom in atoms for ring in self.rings_of.get(atom, [])}
        bonds = np.array(sorted({bond for atom in atoms for bond in self.bonds_of[atom]}))
        near = (ring for ring in self._about(positions, positions[list(atoms)]) if ring not in own)
        return any(len(self.passing(positions, ring)) for ring in own) or any(len(self.passing(positions, ring, bonds)) for ring in near)

    def passing(self, positions: np.ndarray, ring: int, bonds: np.ndarray | None = None) -> np.ndarray:
        """Those of ``bonds`` (None: of all) that pass through a ring; a bond that ends on it does not."""
        chosen = np.arange(len(self.bonds)) if bonds is None else bonds
        corners, ends = positions[self.rings[ring]], positions[self.bonds[chosen]]
        middle = corners.mean(axis=0)
        gaps = self._nearest(ends.mean(axis=1) - middle)
        reach = np.linalg.norm(corners - middle, axis=1).max() + HALF
        near = np.flatnonzero((gaps**2).sum(axis=1) < reach**2)
        near = near[~np.isin(self.bonds[chosen[near]], self.rings[ring]).any(axis=1)]
        segments = ends[near] - ends[near].mean(axis=1, keepdims=True) + gaps[near][:, None]
        return chosen[near][cuts(corners - middle, segments)] if len(near) else near

    def count(self, positions: np.ndarray) -> int:
        """How many times a bond passes through a ring in the whole box."""
        return sum(len(self.passing(positions, ring)) for ring in range(len(self.rings)))

    def _about(self, positions: np.ndarray, places: np.ndarray) -> list[int]:
        """The rings that a bond from one of ``places`` may reach."""
        corners = positions[self.corners]
        middles = corners.mean(axis=1)
        reach = np.linalg.norm(corners - middles[:, None], axis=2).max(axis=1) + 2 * HALF
        gaps = self._nearest(middles[:, None] - places[None])
        return np.flatnonzero(((gaps**2).sum(axis=2) < reach[:, None] ** 2).any(axis=1)).tolist()

    def _nearest(self, gaps: np.ndarray) -> np.ndarray:
        return gaps - self.length * np.round(gaps / self.length)


def cuts(corners: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Which of the ``segments``, shape (n, 2, 3), cut the fan of triangles between the origin and a ring of ``corners`` about it."""
    one, two = corners, np.roll(corners, -1, axis=0)
    start, along = segments[:, 0, None], (segments[:, 1] - segments[:, 0])[:, None]
    across, turned = np.cross(along, two), np.cross(start, one)
    with np.errstate(divide="ignore", invalid="ignore"):  # a segment in the plane of a triangle cuts nothing
        scale = 1 / (one * across).sum(axis=-1)
        first, second, where = ((a * b).sum(axis=-1) * scale for a, b in ((start, across), (along, turned), (two, turned)))
        inside = (first >= 0) & (second >= 0) & (first + second <= 1)
        return (inside & (where >= 0) & (where <= 1)).any(axis=1)


def _where(groups: Iterable[np.ndarray]) -> dict[int, list[int]]:
    """Atom -> the numbers of the groups that it is in."""
    found: dict[int, list[int]] = {}
    for number, group in enumerate(groups):
        for atom in group.tolist():
            found.setdefault(atom, []).append(number)
    return found
