"""The rest shape of a chain: PCFF's bond lengths, angles and torsions, with flat centres made flat."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ecmpipe.md.forcefield import ForceField
from ecmpipe.md.topology import Chain


class RestShape:
    """Rest values by atom of one chain. ``known`` remembers them by type, for all chains that are given the same one."""

    def __init__(self, chain: Chain, force_field: ForceField, known: dict) -> None:
        self.chain, self.force_field, self.known = chain, force_field, known

    def bond(self, first: int, second: int) -> float:
        """Angstrom."""
        return self._get(self.force_field.bond, first, second)[0]

    def angle(self, first: int, centre: int, second: int) -> float:
        """Radians. Three rest angles about a flat centre need not sum to a full turn: what is over or missing is shared by all three."""
        angle = self._get(self.force_field.angle, first, centre, second)[0]
        if self.flat(centre):
            legs = combinations(self.chain.neighbours[centre], 2)
            angle += (360 - sum(self._get(self.force_field.angle, one, centre, two)[0] for one, two in legs)) / 3
        return np.radians(angle)

    def flat(self, centre: int) -> bool:
        """Whether PCFF holds a centre of three neighbours in their plane."""
        legs = self.chain.neighbours[centre]
        return len(legs) == 3 and self._get(self.force_field.out_of_plane, legs[0], centre, *legs[1:])[0] != 0

    def torsion(self, *atoms: int) -> tuple[float, ...]:
        """K1, phi1, K2, phi2, K3, phi3 in kcal/mol and degrees."""
        return self._get(self.force_field.torsion, *atoms)

    def _get(self, function, *atoms: int) -> tuple[float, ...]:
        key = (function.__name__, *(self.chain.types[atom] for atom in atoms))
        if key not in self.known:
            self.known[key] = function(key[1:])
        return self.known[key]
