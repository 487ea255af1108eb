"""How much a crack lets through: factors of the diffusivities and of the reaction, from d and from the opening of the gap.

d alone is not contact loss: under pressure most of a broken interface stays closed. The default gate therefore is
smoothstep in d times smoothstep in the opening; `d_only` leaves the opening out, `paper` is (1 - d)2.
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
        """Blocked share, 0 to 1; it never falls while d and the opening do not."""
        if self.kind == "paper":
            return 1 - (1 - d) ** 2
        by_crack = smoothstep((d - self.start) / (self.end - self.start))
        return by_crack if self.kind == "d_only" else by_crack * smoothstep(opening / self.opening_scale)

    def diffusion(self, cell: Cell, d: np.ndarray, opening: np.ndarray) -> np.ndarray:
        """g_D (t,): 1 outside the band, down to its floor in an open crack."""
        factor = np.ones(len(cell.triangles))
        band = np.flatnonzero(cell.band)
        column = band // (2 * (len(cell.y) - 1))
        blocked = self.blocked(d[cell.triangles[band]].mean(axis=1), opening[column])
        factor[band] = self.floor_diffusion + (1 - self.floor_diffusion) * (1 - blocked)
        return factor

    def contact(self, cell: Cell, d: np.ndarray, opening: np.ndarray) -> np.ndarray:
        """g_A on the interface nodes without its floor: the share of each node that is in contact."""
        at_nodes = np.interp(cell.x, 0.5 * (cell.x[1:] + cell.x[:-1]), opening)
        return 1 - self.blocked(interface_crack(cell, d), at_nodes)

    def with_floor(self, contact: np.ndarray) -> np.ndarray:
        """g_A as the kinetics see it."""
        return self.floor_contact + (1 - self.floor_contact) * contact


def interface_crack(cell: Cell, d: np.ndarray) -> np.ndarray:
    """d of each interface node: the largest across the band there, since a softer neighbour takes the crack to its side."""
    first, last = cell.band_rows
    return d.reshape(len(cell.x), len(cell.y))[:, first : last + 1].max(axis=1)
