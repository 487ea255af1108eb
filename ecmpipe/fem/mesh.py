"""The layered cell as a graded tensor mesh of right-angled triangles, with the tables the kernels need.

Nodes run column by column, cells (two triangles each) likewise, so triangles ``2q`` and ``2q + 1`` share cell ``q``.
Right angles keep the phase-field matrix an M-matrix, which holds d in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skfem import MeshTri

CATHODE, FILLER, ELECTROLYTE = 0, 1, 2
LAYERS = ("cathode", "filler", "electrolyte")


@dataclass(frozen=True)
class Cell:
    """Mesh of one cell; lengths in m. ``nodes`` (n, 2), ``triangles`` (t, 3), ``gradients`` (t, 3, 2), ``areas`` (t,)."""

    x: np.ndarray
    y: np.ndarray
    nodes: np.ndarray
    triangles: np.ndarray
    gradients: np.ndarray
    areas: np.ndarray
    layer: np.ndarray  # (t,) CATHODE | FILLER | ELECTROLYTE
    band: np.ndarray  # (t,) bool: part of the interface band
    interface: np.ndarray  # nodes on the cathode surface, left to right
    anode: np.ndarray  # nodes at the lithium metal
    bottom: np.ndarray
    left: np.ndarray
    interface_length: np.ndarray  # lumped length of each interface node
    band_rows: tuple[int, int]  # first and last node row of the band

    @property
    def columns(self) -> int:
        """Cells along the interface."""
        return len(self.x) - 1

    @property
    def width(self) -> float:
        """Length of the interface (m)."""
        return float(self.x[-1] - self.x[0])

    def as_skfem(self) -> MeshTri:
        """The same mesh in scikit-fem, with the layers as subdomains and the named boundaries."""
        mesh = MeshTri(self.nodes.T.copy(), self.triangles.T.copy())
        parts = {name: np.flatnonzero(self.layer == tag) for tag, name in enumerate(LAYERS) if (self.layer == tag).any()}
        top = self.y[-1]
        return mesh.with_subdomains(parts).with_boundaries(
            {
                "collector": lambda p: np.isclose(p[1], 0),
                "symmetry": lambda p: np.isclose(p[0], 0),
                "lithium": lambda p: np.isclose(p[1], top),
            }
        )

    def lumped_mass(self, chosen: np.ndarray) -> np.ndarray:
        """Area of each node's share (m2) in the ``chosen`` triangles."""
        weights = np.repeat(self.areas[chosen] / 3, 3)
        return np.bincount(self.triangles[chosen].ravel(), weights, minlength=len(self.nodes))


def graded(length: float, first: float, growth: float, largest: float) -> np.ndarray:
    """Positions from 0 to ``length``: heights start near ``first``, grow by ``growth``, stay below ``largest``."""
    heights: list[float] = []
    height = first
    while sum(heights) < length * (1 - 1e-12):
        height = min(height * growth, largest)
        heights.append(height)
    steps = np.array(heights)
    return np.concatenate([[0.0], np.cumsum(steps * (length / steps.sum()))])


def uniform(length: float, size: float) -> np.ndarray:
    """Positions from 0 to ``length`` in equal parts no larger than ``size``."""
    return np.linspace(0, length, max(1, int(np.ceil(length / size - 1e-9))) + 1)


def build_cell(
    *, cathode: float, filler: float, electrolyte: float, width: float, band: float, size: float, growth: float, largest: float
) -> Cell:
    """Mesh the layers of the given thicknesses (m); ``band`` is the half-width of the interface band, ``size`` its element size."""
    band_below = min(band, cathode)
    band_above = min(max(band - filler, 0.0), electrolyte)
    below = cathode - band_below - graded(cathode - band_below, size, growth, largest)[::-1] if band_below < cathode else np.zeros(1)
    pieces = [below, below[-1] + uniform(band_below, size)]
    if filler > 0:
        pieces.append(pieces[-1][-1] + uniform(filler, size))
    if band_above > 0:
        pieces.append(pieces[-1][-1] + uniform(band_above, size))
    rest = electrolyte - band_above
    if rest > 0:
        pieces.append(pieces[-1][-1] + graded(rest, size, growth, largest))
    y = np.concatenate([pieces[0], *[piece[1:] for piece in pieces[1:]]])
    x = uniform(width, size)
    return _tensor(x, y, cathode, filler, band)


def _tensor(x: np.ndarray, y: np.ndarray, cathode: float, filler: float, band: float) -> Cell:
    columns, rows = len(x) - 1, len(y) - 1
    grid_x, grid_y = np.meshgrid(x, y, indexing="ij")
    nodes = np.column_stack([grid_x.ravel(), grid_y.ravel()])
    i, j = (index.ravel() for index in np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"))
    a = i * (rows + 1) + j
    b, c, d = a + rows + 1, a + rows + 2, a + 1
    even = ((i + j) % 2 == 0)[:, None]  # alternating diagonals: no preferred crack direction
    first = np.where(even, np.column_stack([a, b, c]), np.column_stack([a, b, d]))
    second = np.where(even, np.column_stack([a, c, d]), np.column_stack([b, c, d]))
    triangles = np.stack([first, second], axis=1).reshape(-1, 3)
    gradients, areas = triangle_gradients(nodes, triangles)
    middle = 0.5 * (y[j] + y[j + 1])
    layer = np.where(middle < cathode, CATHODE, np.where(middle < cathode + filler, FILLER, ELECTROLYTE))
    in_band = np.abs(middle - cathode) < np.where(middle > cathode, max(band, filler), band)
    row = int(np.argmin(np.abs(y - cathode)))
    stride = rows + 1
    band_rows = np.flatnonzero(in_band[:rows])
    lengths = np.zeros(columns + 1)
    lengths[:-1] += 0.5 * np.diff(x)
    lengths[1:] += 0.5 * np.diff(x)
    return Cell(
        x=x,
        y=y,
        nodes=nodes,
        triangles=triangles,
        gradients=gradients,
        areas=areas,
        layer=np.repeat(layer, 2),
        band=np.repeat(in_band, 2),
        interface=np.arange(columns + 1) * stride + row,
        anode=np.arange(columns + 1) * stride + rows,
        bottom=np.arange(columns + 1) * stride,
        left=np.arange(stride),
        interface_length=lengths,
        band_rows=(int(band_rows[0]), int(band_rows[-1]) + 1),
    )


def triangle_gradients(nodes: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients (t, 3, 2) of the linear shape functions (1/m) and areas (t,) in m2."""
    corner = nodes[triangles]
    edge1, edge2 = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    twice = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
    gradients = np.empty((len(triangles), 3, 2))
    for a in range(3):
        b, c = corner[:, (a + 1) % 3], corner[:, (a + 2) % 3]
        gradients[:, a, 0] = (b[:, 1] - c[:, 1]) / twice
        gradients[:, a, 1] = (c[:, 0] - b[:, 0]) / twice
    return gradients, 0.5 * twice
