"""Chains grown in a periodic box at PCFF's own bond lengths and angles, with no two unbonded atoms close and no bond through a ring.

What hangs on one atom is put down at once, as a rigid set that one torsion turns; a ring system with its substituents is one such set.
A set that finds no room makes the chain retreat and try another way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ecmpipe.errors import ConvergenceError
from ecmpipe.md.description import PolymerDescription
from ecmpipe.md.forcefield import ForceField
from ecmpipe.md.rings import embed
from ecmpipe.md.ringwatch import RingWatch
from ecmpipe.md.shape import RestShape
from ecmpipe.md.topology import Chain
from ecmpipe.settings.md import GrowthSettings
from ecmpipe.units import ANGSTROM

ALONG = 6  # bonds; atoms of one chain this close along it are crowded by its own angles and torsions, which dynamics relax
CROWDED = 1.6  # so many times nearer than others they may be
SPREAD = np.radians(10)  # of a dihedral about its state
HAND = {
    "isotactic": lambda unit, rng: 1,
    "syndiotactic": lambda unit, rng: 1 - 2 * (unit % 2),
    "atactic": lambda unit, rng: rng.choice((1, -1)),
}


@dataclass(frozen=True)
class RigidSet:
    """Atoms about the bond before-centre in cylinder coordinates [angstrom, rad] from the centre; the first one's azimuth is 0."""

    atoms: list[int]
    along: np.ndarray
    radius: np.ndarray
    azimuth: np.ndarray


def grow_chains(
    chains: Sequence[Chain],
    description: PolymerDescription,
    force_field: ForceField,
    growth: GrowthSettings,
    length: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Unwrapped positions [angstrom], shape (atoms, 3), of all chains in a cube of side ``length`` [angstrom].

    Raises `ConvergenceError` when a chain finds no way that keeps ``growth.closest`` from everything it is not bonded to.
    """
    watch = RingWatch(chains, length)
    places, offset = np.full((sum(len(chain.types) for chain in chains), 3), np.nan), 0
    shapes: dict[tuple, np.ndarray] = {}  # of ring systems, by the types of their atoms and how they are joined
    known: dict[tuple, tuple[float, ...]] = {}
    for number, chain in enumerate(chains, start=1):
        for _ in range(growth.restarts):
            if _Grower(chain, description, force_field, growth, length, rng, places, offset, watch, shapes, known).grow():
                break
        else:
            raise ConvergenceError(
                f"{description.name}: chain {number} of {len(chains)} found no room after {growth.restarts} starts; lower 'growth_density "
                "[kg.m-3]' of the polymer, or raise md.growth.tries or md.growth.restarts"
            )
        offset += len(chain.types)
    return places


class _Grower:
    def __init__(self, chain, description, force_field, growth, length, rng, places, offset, watch, shapes, known) -> None:
        self.chain, self.growth, self.length, self.rng = chain, growth, length, rng
        self.shape = RestShape(chain, force_field, known)
        self.room, self.closest, self.shapes = growth.room / ANGSTROM, growth.closest / ANGSTROM, shapes
        self.states = {
            tuple(item.bond): (np.radians(item.angles), np.array(item.weights) / sum(item.weights)) for item in description.torsions
        }
        self.hands = [HAND[description.tacticity](unit, rng) for unit in chain.units]
        self.places, self.offset, self.watch = places, offset, watch
        self.others = np.mod(places[:offset], length)
        self.tree = cKDTree(self.others, boxsize=length) if offset else None
        self.own = places[offset : offset + len(chain.types)]
        self.own[:] = np.nan

    def grow(self) -> bool:
        """Place the chain; False when it ran out of retreats."""
        chain, own = self.chain, self.own
        root = next(index for index, around in enumerate(chain.neighbours) if len(around) == 1)
        first = chain.neighbours[root][0]
        if not self._begin(root, first):
            return False
        on_path = self._backbone(root)
        queue = deque([(root, first, None)])
        history: list[tuple[deque, list[int]]] = []
        retreats = 0
        while queue:
            before = deque(queue)
            entry = queue.popleft()
            rigid = self._rigid_set(*entry[:2], on_path)
            if not rigid.atoms:
                continue
            if not self._place(entry, rigid):
                retreats += 1
                if retreats > self.growth.retreats:
                    return False
                queue = before
                # mostly a little, now and then far, for a trap may be of any size
                for _ in range(min(int(1 / self.rng.uniform(1e-9, 1)), len(history))):
                    queue, gone = history.pop()
                    own[gone] = np.nan
                continue
            history.append((before, rigid.atoms))
            queue.extend(self._next(entry, rigid))
        return True

    def _begin(self, root: int, first: int) -> bool:
        """Put the first bond anywhere with room; False when no try finds some."""
        for _ in range(self.growth.tries * self.growth.restarts):
            self.own[root] = self.rng.uniform(0, self.length, 3)
            self.own[first] = self.own[root] + self.shape.bond(root, first) * _unit(self.rng.normal(size=3))
            if not any(self._crowded(self.own[atom]) for atom in (root, first)) and not self._threaded([root, first]):
                return True
        return False

    def _next(self, entry: tuple, rigid: RigidSet) -> list[tuple[int, int, int]]:
        """The bonds that lead on: before, centre, and an atom on ``before`` that dihedrals count from."""
        before, centre, _ = entry
        ring = self.chain.ring_of(centre)
        if ring is None:
            return [(centre, child, before) for child in rigid.atoms]
        here = [atom for atom in (centre, *rigid.atoms) if atom in ring]
        return [
            (atom, outer, next(other for other in self.chain.neighbours[atom] if other in ring))
            for atom in here
            for outer in self.chain.neighbours[atom]
            if outer not in ring and outer != before
        ]

    def _place(self, entry: tuple, rigid: RigidSet) -> bool:
        """Put the set down at the first torsion with room, else at the roomiest; False when all are too close or thread a ring."""
        before, centre, reference = entry
        own = self.own
        axis = _unit(own[centre] - own[before])
        start = own[before] - own[reference] if reference is not None else self.rng.normal(size=3)
        normal = _unit(np.cross(start, axis))
        other = np.cross(normal, axis)
        # IUPAC: at 180 degrees the first atom lies opposite to the reference, as seen along the bond
        turns = self._torsions(before, centre)[:, None] + rigid.azimuth[None, :]
        candidates = (
            own[centre]
            + rigid.along[None, :, None] * axis
            + rigid.radius[None, :, None] * (np.cos(turns)[..., None] * other + np.sin(turns)[..., None] * normal)
        )
        near, ease = self._near(centre, before, rigid)
        room = np.full(len(candidates), np.inf)
        if len(near):
            gaps = candidates[:, :, None, :] - near[None, None, :, :]
            room = np.sqrt(((gaps**2).sum(axis=-1) * ease**2).min(axis=(1, 2)))
        # the first roomy candidate keeps the weights of the dihedral states; the roomiest is the fallback
        for choice in np.argsort(-np.minimum(room, self.room), kind="stable"):
            if room[choice] < self.closest:
                break
            own[rigid.atoms] = candidates[choice]
            if not self._threaded(rigid.atoms):
                return True
        own[rigid.atoms] = np.nan
        return False

    def _threaded(self, atoms: list[int]) -> bool:
        return self.watch.threaded(self.places, [self.offset + atom for atom in atoms])

    def _crowded(self, place: np.ndarray) -> bool:
        return self.tree is not None and self.tree.query(np.mod(place, self.length))[0] < self.closest

    def _near(self, centre: int, before: int, rigid: RigidSet) -> tuple[np.ndarray, np.ndarray]:
        """Nearest images of all atoms that a set about ``centre`` must keep away from, and how many times nearer each of it may be."""
        reach = self.room + float(np.hypot(rigid.along, rigid.radius).max())
        here, chain = self.own[centre], self.chain
        gaps = self.own - here
        gaps -= self.length * np.round(gaps / self.length)
        with np.errstate(invalid="ignore"):
            close = (gaps**2).sum(axis=1) < reach**2
        close[[centre, before, *chain.neighbours[before], *chain.neighbours[centre]]] = False
        numbers = np.flatnonzero(close).tolist()
        # without a ring all atoms of the set are one bond from the centre
        along = [chain.within(centre, ALONG - 1)] if chain.ring_of(centre) is None else [chain.within(atom, ALONG) for atom in rigid.atoms]
        ease = np.array([[CROWDED if number in some else 1.0 for number in numbers] for some in along])
        if self.tree is None:
            return here + gaps[close], ease
        found = self.others[self.tree.query_ball_point(np.mod(here, self.length), reach)] - here
        found -= self.length * np.round(found / self.length)
        return here + np.concatenate([gaps[close], found]), np.concatenate([ease, np.ones((len(along), len(found)))], axis=1)

    def _torsions(self, before: int, centre: int) -> np.ndarray:
        names = self.chain.names[before], self.chain.names[centre]
        found = self.states.get(names, self.states.get(names[::-1]))
        if found is None:
            return self.rng.uniform(-np.pi, np.pi, self.growth.tries)
        return self.rng.choice(found[0], size=self.growth.tries, p=found[1]) + self.rng.normal(0, SPREAD, self.growth.tries)

    def _rigid_set(self, before: int, centre: int, on_path: list[bool]) -> RigidSet:
        ring = self.chain.ring_of(centre)
        if ring is not None:
            return self._ring_set(before, centre, ring)
        children = sorted((other for other in self.chain.neighbours[centre] if other != before), key=lambda other: not on_path[other])
        angles = np.array([self.shape.angle(before, centre, child) for child in children])
        lengths = np.array([self.shape.bond(centre, child) for child in children])
        azimuth = self.hands[centre] * self._azimuths(centre, children, angles)
        return RigidSet(children, -lengths * np.cos(angles), lengths * np.sin(angles), azimuth)

    def _ring_set(self, before: int, centre: int, ring: frozenset[int]) -> RigidSet:
        """The whole ring system and what hangs on it, but ``before`` and ``centre``."""
        atoms = sorted(ring | {other for atom in ring for other in self.chain.neighbours[atom]})
        joined = [(i, k) for i, atom in enumerate(atoms) for k, other in enumerate(atoms) if other in self.chain.neighbours[atom]]
        alike = (*(self.chain.types[atom] for atom in atoms), *joined)
        if alike not in self.shapes:
            self.shapes[alike] = embed(self.shape, atoms, self.rng)
        where = dict(zip(atoms, self.shapes[alike], strict=True))
        axis = _unit(where[centre] - where[before])
        rest = [atom for atom in self.chain.neighbours[centre] if atom in ring]
        rest += [atom for atom in atoms if atom not in (before, centre, *rest)]
        gaps = np.array([where[atom] - where[centre] for atom in rest])
        along = gaps @ axis
        flat = gaps - along[:, None] * axis
        first = _unit(flat[0])
        azimuth = np.arctan2(flat @ np.cross(axis, first), flat @ first)
        return RigidSet(rest, along, np.linalg.norm(flat, axis=1), self.hands[centre] * azimuth)

    def _azimuths(self, centre: int, children: list[int], angles: np.ndarray) -> np.ndarray:
        """Turns of the siblings about the bond, from the angles between them by the spherical law of cosines."""

        def between(one: int, two: int) -> float:
            wanted = self.shape.angle(children[one], centre, children[two])
            cosine = (np.cos(wanted) - np.cos(angles[one]) * np.cos(angles[two])) / (np.sin(angles[one]) * np.sin(angles[two]))
            return float(np.arccos(np.clip(cosine, -1, 1)))

        if len(children) < 3:
            return np.array([0.0, *(between(0, number) for number in range(1, len(children)))])[: len(children)]
        # the rest angles of a force field need not close about the bond: what is over is shared by all three
        gaps = np.array([between(0, 1), between(1, 2), between(2, 0)])
        gaps *= 2 * np.pi / gaps.sum()
        return np.array([0.0, gaps[0], -gaps[2]])

    def _backbone(self, root: int) -> list[bool]:
        """Atoms on the path from ``root`` to the far side of the end group: torsion states and hands are those of this path."""
        parent, order = {root: -1}, [root]
        for index in order:
            for other in self.chain.neighbours[index]:
                if other not in parent:
                    parent[other] = index
                    order.append(other)
        marked, index = [False] * len(order), next(index for index in reversed(order) if self.chain.units[index] == self.chain.units[-1])
        while index >= 0:
            marked[index] = True
            index = parent[index]
        return marked


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
