"""Chains grown atom by atom in a periodic box at PCFF's own bond lengths and angles."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from ecmpipe.md.description import PolymerDescription
from ecmpipe.md.forcefield import ForceField
from ecmpipe.md.topology import Chain
from ecmpipe.settings.md import GrowthSettings
from ecmpipe.units import ANGSTROM


def grow_chains(
    chains: Sequence[Chain],
    description: PolymerDescription,
    force_field: ForceField,
    growth: GrowthSettings,
    length: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Unwrapped positions [angstrom], shape (atoms, 3), of all chains in a cube of side ``length`` [angstrom]."""
    states = {frozenset(item.bond): (np.radians(item.angles), np.array(item.weights) / sum(item.weights)) for item in description.torsions}
    total = sum(len(chain.types) for chain in chains)
    positions = np.full((total, 3), np.nan)
    offset = 0
    for chain in chains:
        _Grower(chain, states, force_field, growth, length, rng, positions, offset).grow()
        offset += len(chain.types)
    return positions


class _Grower:
    def __init__(self, chain, states, force_field, growth, length, rng, positions, offset) -> None:
        self.chain, self.states, self.force_field, self.length, self.rng = chain, states, force_field, length, rng
        self.tries, self.reach, self.room = growth.tries, growth.reach / ANGSTROM, growth.room / ANGSTROM
        self.everything, self.offset = positions, offset
        self.own = positions[offset : offset + len(chain.types)]

    def grow(self) -> None:
        chain, own = self.chain, self.own
        root = next(index for index, around in enumerate(chain.neighbours) if len(around) == 1)
        first = chain.neighbours[root][0]
        own[root] = self.rng.uniform(0, self.length, 3)
        own[first] = own[root] + self._bond(root, first) * _unit(self.rng.normal(size=3))
        on_path = self._backbone(root)
        queue = deque([(root, first, None)])
        while queue:
            before, centre, reference = queue.popleft()
            children = sorted((other for other in chain.neighbours[centre] if other != before), key=lambda other: not on_path[other])
            if not children:
                continue
            self._place(reference, before, centre, children)
            queue.extend((centre, child, before) for child in children)

    def _place(self, reference: int | None, before: int, centre: int, children: list[int]) -> None:
        """Put all children of ``centre`` at once: a rigid set that one torsion about before-centre turns."""
        own = self.own
        axis = _unit(own[centre] - own[before])
        start = own[before] - own[reference] if reference is not None else self.rng.normal(size=3)
        normal = _unit(np.cross(start, axis))
        other = np.cross(normal, axis)
        angles = [self._angle(before, centre, child) for child in children]
        lengths = [self._bond(centre, child) for child in children]
        azimuths = self._azimuths(centre, children, angles)
        torsions = self._torsions(before, centre)
        # IUPAC: at 180 degrees the first child lies opposite to the reference, as seen along the bond
        turns = torsions[:, None] + azimuths[None, :]
        bend = np.pi - np.array(angles)
        directions = np.cos(bend)[None, :, None] * axis + np.sin(bend)[None, :, None] * (
            np.cos(turns)[..., None] * other + np.sin(turns)[..., None] * normal
        )
        candidates = own[centre] + np.array(lengths)[None, :, None] * directions
        near = self._near(centre, before)
        choice = 0
        if len(near) and len(torsions) > 1:
            gaps = candidates[:, :, None, :] - near[None, None, :, :]
            gaps -= self.length * np.round(gaps / self.length)
            room = np.sqrt((gaps**2).sum(axis=-1).min(axis=(1, 2)))
            roomy = np.flatnonzero(room > self.room)
            # the first roomy candidate keeps the weights of the dihedral states; the roomiest is the fallback
            choice = int(roomy[0]) if len(roomy) else int(np.argmax(room))
        own[children] = candidates[choice]

    def _near(self, centre: int, before: int) -> np.ndarray:
        gaps = self.everything - self.own[centre]
        gaps -= self.length * np.round(gaps / self.length)
        with np.errstate(invalid="ignore"):
            close = (gaps**2).sum(axis=1) < self.reach**2
        close[[self.offset + index for index in (centre, before, *self.chain.neighbours[before], *self.chain.neighbours[centre])]] = False
        return self.own[centre] + gaps[close]

    def _torsions(self, before: int, centre: int) -> np.ndarray:
        found = self.states.get(frozenset((self.chain.names[before], self.chain.names[centre])))
        if found is None:
            return self.rng.uniform(-np.pi, np.pi, self.tries)
        return self.rng.choice(found[0], size=self.tries, p=found[1]) + self.rng.normal(0, np.radians(10), self.tries)

    def _azimuths(self, centre: int, children: list[int], angles: list[float]) -> np.ndarray:
        """Turns of the siblings about the bond, from the angles between them by the spherical law of cosines."""

        def between(one: int, two: int) -> float:
            wanted = self._angle(children[one], centre, children[two])
            cosine = (np.cos(wanted) - np.cos(angles[one]) * np.cos(angles[two])) / (np.sin(angles[one]) * np.sin(angles[two]))
            return float(np.arccos(np.clip(cosine, -1, 1)))

        if len(children) < 3:
            return np.array([0.0, *(between(0, number) for number in range(1, len(children)))])
        # the rest angles of a force field need not close about the bond: what is over is shared by all three
        gaps = np.array([between(0, 1), between(1, 2), between(2, 0)])
        gaps *= 2 * np.pi / gaps.sum()
        return np.array([0.0, gaps[0], -gaps[2]])

    def _bond(self, first: int, second: int) -> float:
        return self.force_field.bond((self.chain.types[first], self.chain.types[second]))[0]

    def _angle(self, first: int, centre: int, second: int) -> float:
        return np.radians(self.force_field.angle(tuple(self.chain.types[index] for index in (first, centre, second)))[0])

    def _backbone(self, root: int) -> list[bool]:
        """Atoms on the longest path from ``root``: the bond of a torsion state leads along it."""
        parent, order = {root: -1}, [root]
        for index in order:
            for other in self.chain.neighbours[index]:
                if other not in parent:
                    parent[other] = index
                    order.append(other)
        marked, index = [False] * len(order), order[-1]
        while index >= 0:
            marked[index] = True
            index = parent[index]
        return marked


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
