"""The shape of a ring system: positions that keep the force field's bond lengths and angles, by least squares on distances."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
from scipy.optimize import minimize

from ecmpipe.md.topology import Chain

STARTS = 12
UNBONDED = 2.1  # angstrom; atoms three or more bonds apart are kept further apart than this
WEIGHTS = (10.0, 3.0, 1.0)  # of bonds, of pairs that share a neighbour, of all others


def embed(
    chain: Chain,
    atoms: list[int],
    bond: Callable[[int, int], float],
    angle: Callable[[int, int, int], float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Positions [angstrom], shape (atoms, 3), of a ring system with its substituents, the best of some random starts.

    ``bond(i, j)`` [angstrom] and ``angle(i, centre, k)`` [rad] are the rest values. Two rest angles of a ring may ask for different
    distances of one pair (a four-membered ring): the mean is taken.
    """
    place = {atom: number for number, atom in enumerate(atoms)}
    inside = {atom: [other for other in chain.neighbours[atom] if other in place] for atom in atoms}
    wanted: dict[tuple[int, int], list[float]] = {}
    bonded = {tuple(sorted((atom, other))): bond(atom, other) for atom in atoms for other in inside[atom]}
    for centre in atoms:
        for i, k in combinations(sorted(inside[centre]), 2):
            a, b = bond(i, centre), bond(centre, k)
            wanted.setdefault((i, k), []).append(np.sqrt(a * a + b * b - 2 * a * b * np.cos(angle(i, centre, k))))
    pairs = list(combinations(sorted(atoms), 2))
    first, second = (np.array([place[pair[side]] for pair in pairs]) for side in (0, 1))
    kind = np.array([0 if pair in bonded else 1 if pair in wanted else 2 for pair in pairs])
    target = np.array([bonded.get(pair) or np.mean(wanted.get(pair, [UNBONDED])) for pair in pairs])
    weight = np.array(WEIGHTS)[kind]

    def misfit(flat: np.ndarray) -> tuple[float, np.ndarray]:
        places = flat.reshape(-1, 3)
        gaps = places[first] - places[second]
        distance = np.sqrt((gaps**2).sum(axis=1) + 1e-12)
        off = distance - target
        off[(kind == 2) & (off > 0)] = 0.0
        force = (2 * weight * off / distance)[:, None] * gaps
        gradient = np.zeros_like(places)
        np.add.at(gradient, first, force)
        np.add.at(gradient, second, -force)
        return float((weight * off**2).sum()), gradient.ravel()

    starts = (rng.normal(0, 2.0, 3 * len(atoms)) for _ in range(STARTS))
    best = min((minimize(misfit, start, jac=True, method="L-BFGS-B") for start in starts), key=lambda found: found.fun)
    return best.x.reshape(-1, 3)
