"""The shape of ring systems, by least squares on distances and planes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import least_squares

from ecmpipe.md.shape import RestShape

STARTS = 12
UNBONDED = 2.1  # angstrom; atoms three or more bonds apart are kept further apart than this
WEIGHTS = np.array([10.0, 3.0, 1.0])  # of bonds, of pairs that share a neighbour, of all others
FLAT = 3.0  # weight of the volume that a flat centre spans with its neighbours, per square angstrom
STIFFNESS = 100.0  # kcal/mol per square angstrom of misfit, as a torsion weighs it


def embed(shape: RestShape, atoms: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Positions [angstrom], shape (atoms, 3), of a ring system with its substituents: of some random starts the one at rest.

    Bonds and angles have their rest values, flat centres are flat; of what is left (chair or boat) the torsions decide. Two rest angles
    of a ring may ask for different distances of one pair (a four-membered ring): the mean is taken.
    """
    place = {atom: number for number, atom in enumerate(atoms)}
    inside = {atom: sorted(other for other in shape.chain.neighbours[atom] if other in place) for atom in atoms}
    bonded = {(atom, other): shape.bond(atom, other) for atom in atoms for other in inside[atom] if atom < other}
    wanted: dict[tuple[int, int], list[float]] = {}
    for centre in atoms:
        for i, k in combinations(inside[centre], 2):
            a, b = shape.bond(i, centre), shape.bond(centre, k)
            wanted.setdefault((i, k), []).append(np.sqrt(a * a + b * b - 2 * a * b * np.cos(shape.angle(i, centre, k))))
    pairs = list(combinations(sorted(atoms), 2))
    first, second = (np.array([place[pair[side]] for pair in pairs]) for side in (0, 1))
    kind = np.array([0 if pair in bonded else 1 if pair in wanted else 2 for pair in pairs])
    target = np.array([bonded.get(pair) or np.mean(wanted.get(pair, [UNBONDED])) for pair in pairs])
    weight = WEIGHTS[kind]
    centres = [atom for atom in atoms if len(inside[atom]) == 3 and shape.flat(atom)]
    flat = np.array([[place[a] for a in (atom, *inside[atom])] for atom in centres], dtype=int).reshape(-1, 4)

    rows = np.arange(len(pairs))

    def misfit(places: np.ndarray) -> np.ndarray:
        places = places.reshape(-1, 3)
        off = np.linalg.norm(places[first] - places[second], axis=1) - target
        off[(kind == 2) & (off > 0)] = 0.0
        one, two, three = np.moveaxis(places[flat[:, 1:]] - places[flat[:, :1]], 1, 0)
        return np.concatenate([weight * off, FLAT * (one * np.cross(two, three)).sum(axis=1)])

    def slope(places: np.ndarray) -> np.ndarray:
        places = places.reshape(-1, 3)
        gaps = places[first] - places[second]
        length = np.linalg.norm(gaps, axis=1)
        pull = (np.where((kind == 2) & (length > target), 0.0, weight) / length)[:, None] * gaps
        table = np.zeros((len(pairs) + len(flat), len(atoms), 3))
        table[rows, first], table[rows, second] = pull, -pull
        one, two, three = np.moveaxis(places[flat[:, 1:]] - places[flat[:, :1]], 1, 0)
        tilts = FLAT * np.stack([np.cross(two, three), np.cross(three, one), np.cross(one, two)], axis=1)
        table[len(pairs) + np.arange(len(flat))[:, None], flat[:, 1:]] = tilts
        table[len(pairs) + np.arange(len(flat)), flat[:, 0]] = -tilts.sum(axis=1)
        return table.reshape(len(table), -1)

    turns = [
        (tuple(place[atom] for atom in (i, j, k, l)), shape.torsion(i, j, k, l))
        for j, k in bonded
        for i in inside[j]
        for l in inside[k]  # noqa: E741
        if i != k and l not in (j, i)
    ]

    def strain(places: np.ndarray) -> float:
        angles = np.array([dihedral(places[list(four)]) for four, _ in turns])
        values = np.array([values for _, values in turns])
        return float(sum((values[:, 2 * n - 2] * (1 - np.cos(n * angles - np.radians(values[:, 2 * n - 1])))).sum() for n in (1, 2, 3)))

    starts = (rng.normal(0, 2.0, 3 * len(atoms)) for _ in range(STARTS))
    found = [least_squares(misfit, start, slope, method="lm", max_nfev=200) for start in starts]
    # what differs in the last digits only is the same shape, and the first of it is taken: one seed, one box
    best = min(found, key=lambda one: round(STIFFNESS * one.cost + strain(one.x.reshape(-1, 3)), 2)).x
    best = least_squares(misfit, best, slope, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=200).x
    return np.round(_own_frame(best.reshape(-1, 3)), 5)


def dihedral(places: np.ndarray) -> float:
    """The dihedral angle [rad] of four points, IUPAC: trans is pi."""
    first, axis, last = np.diff(places, axis=0)
    one, two = np.cross(first, axis), np.cross(axis, last)
    return float(np.arctan2(np.linalg.norm(axis) * first @ two, one @ two))


def _own_frame(places: np.ndarray) -> np.ndarray:
    """The same shape with its first atom in the origin, the second along x, and the one farthest off that line in the plane of x and y."""
    gaps = places - places[0]
    along = gaps[1] / np.linalg.norm(gaps[1])
    off = gaps - (gaps @ along)[:, None] * along
    far = np.round(np.linalg.norm(off, axis=1), 3).argmax()
    across = off[far] / np.linalg.norm(off[far])
    return gaps @ np.array([along, across, np.cross(along, across)]).T
