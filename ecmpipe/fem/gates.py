"""How much a crack lets through: factors of the diffusivities and of the reaction, from d and from the opening of the gap.

d alone is not contact loss: under pressure most of a broken interface stays closed. The default gate therefore is
smoothstep in d times smoothstep in the opening, and contact comes back when the gap closes; `d_only` leaves the opening out,
`paper` is (1 - d)2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecmpipe.fem.mesh import Cell
from ecmpipe.laws.fracture import smoothstep


@dataclass(frozen=True)
class Gate:
    """``kind`` smooth | d_only | paper; ``start`` and ``end`` bound the step in d; ``opening_scale`` in m."""

    kind: str
    start: float
    end: float
    opening_scale: float
    floor_diffusion: float
    floor_contact: float

    def blocked(self, d: np.ndarray, opening: np.ndarray) -> np.ndarray:
        """Blocked share, 0 to 1."""
        if self.kind == "paper":
            return 1 - (1 - d) ** 2
        by_crack = smoothstep((d - self.start) / (self.end - self.start))
        return by_crack if self.kind == "d_only" else by_crack * smoothstep(opening / self.opening_scale)

    def diffusion(self, cell: Cell, d: np.ndarray, opening: np.ndarray) -> np.ndarray:
        """g_D (t,): down to its floor in an open crack of the band, 1 outside; ``opening`` of the interface nodes."""
        factor = np.ones(len(cell.triangles))
        if self.kind == "paper":  # a crack anywhere is in the way
            factor = 1 - self.blocked(d[cell.triangles].mean(axis=1), opening)
            return self.floor_diffusion + (1 - self.floor_diffusion) * factor
        band = cell.reach.triangles
        blocked = self.blocked(d[cell.triangles[band]].mean(axis=1), cell.reach.at(opening))
        factor[band] = self.floor_diffusion + (1 - self.floor_diffusion) * (1 - blocked)
        return factor

    def contact(self, cell: Cell, d: np.ndarray, opening: np.ndarray) -> np.ndarray:
        """g_A on the interface nodes without its floor: the share of each node that is in contact."""
        return 1 - self.blocked(cell.across(d), opening)

    def with_floor(self, contact: np.ndarray) -> np.ndarray:
        """g_A as the kinetics see it."""
        return self.floor_contact + (1 - self.floor_contact) * contact
