"""Triangles and what the kernels and the cell need of them, whatever shape the cell has; shapes are made in `ecmpipe.fem.shapes`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree
from skfem import MeshTri

from ecmpipe.errors import SettingsError

CATHODE, FILLER, ELECTROLYTE, BACKING = 0, 1, 2, 3
LAYERS = ("cathode", "filler", "electrolyte", "backing")


@dataclass(frozen=True)
class Mesh:
    """Lengths in m. ``nodes`` (n, 2), ``triangles`` (t, 3) counterclockwise, ``gradients`` (t, 3, 2), ``areas`` (t,)."""

    nodes: np.ndarray
    triangles: np.ndarray

    @cached_property
    def _shape(self) -> tuple[np.ndarray, np.ndarray]:
        return triangle_gradients(self.nodes, self.triangles)

    @property
    def gradients(self) -> np.ndarray:
        """Gradients (t, 3, 2) of the linear shape functions (1/m)."""
        return self._shape[0]

    @property
    def areas(self) -> np.ndarray:
        """Areas (t,) in m2."""
        return self._shape[1]

    def lumped_mass(self, chosen: np.ndarray) -> np.ndarray:
        """Area of each node's share (m2) in the ``chosen`` triangles."""
        weights = np.repeat(self.areas[chosen] / 3, 3)
        return np.bincount(self.triangles[chosen].ravel(), weights, minlength=len(self.nodes))

    def lengths(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nodes of ``edges`` (k, 2), ascending, and the length (m) of each one's share in them."""
        spans = np.linalg.norm(np.diff(self.nodes[edges], axis=1)[:, 0], axis=1)
        nodes, places = np.unique(edges, return_inverse=True)
        return nodes, np.bincount(places.ravel(), np.repeat(0.5 * spans, 2), minlength=len(nodes))


@dataclass(frozen=True)
class Band:
    """The triangles within reach of the interface and where each one's shortest way to it ends.

    ``ends`` (k, 2) are places in the list of interface nodes, ``shares`` (k, 2) how near the foot is to them; ``normals`` (k, 2).
    """

    triangles: np.ndarray
    ends: np.ndarray
    shares: np.ndarray
    normals: np.ndarray

    def spread(self, values: np.ndarray, count: int) -> np.ndarray:
        """``values`` (k,) of the triangles added up at the interface nodes (count,)."""
        return np.bincount(self.ends.ravel(), (self.shares * values[:, None]).ravel(), minlength=count)

    def at(self, values: np.ndarray) -> np.ndarray:
        """``values`` of the interface nodes at each triangle (k,)."""
        return (self.shares * values[self.ends]).sum(axis=1)


@dataclass(frozen=True)
class Cell(Mesh):
    """The mesh of one cell: cathode, electrolyte, perhaps a filler between or behind them, and its boundaries.

    ``layer`` (t,) holds codes of `LAYERS`; ``interface`` are the nodes of the cathode surface; ``anode`` those at the lithium; ``top``
    carries what presses on the cell; ``pairs`` (p, 2) are filler triangles that share a volume ratio.
    """

    layer: np.ndarray
    interface: np.ndarray
    interface_length: np.ndarray
    anode: np.ndarray
    anode_length: np.ndarray
    top: np.ndarray
    top_length: np.ndarray
    fixed_x: np.ndarray
    fixed_y: np.ndarray
    reach: Band
    pairs: np.ndarray

    @cached_property
    def band(self) -> np.ndarray:
        """(t,) bool: part of the interface band."""
        inside = np.zeros(len(self.triangles), dtype=bool)
        inside[self.reach.triangles] = True
        return inside

    @cached_property
    def normals(self) -> np.ndarray:
        """(t, 2) unit vectors across the interface; along y outside the band, where nobody reads them."""
        normals = np.tile([0.0, 1.0], (len(self.triangles), 1))
        normals[self.reach.triangles] = self.reach.normals
        return normals

    @cached_property
    def ionic(self) -> np.ndarray:
        """(t,) bool: carries Li+; a backing layer does not."""
        return (self.layer == ELECTROLYTE) | (self.layer == FILLER)

    @property
    def width(self) -> float:
        """Length of the interface (m)."""
        return float(self.interface_length.sum())

    @cached_property
    def thickness(self) -> float:
        """Cathode area over interface length (m): L1 of the layered cell, R/2 of a round particle."""
        return float(self.areas[self.layer == CATHODE].sum()) / self.width

    def across(self, d: np.ndarray) -> np.ndarray:
        """The largest ``d`` (n,) across the band at each interface node: a softer neighbour takes the crack to its side."""
        found = d[self.interface].copy()
        places = np.where(self.reach.shares[:, 0] >= 0.5, self.reach.ends[:, 0], self.reach.ends[:, 1])
        np.maximum.at(found, np.repeat(places, 3), d[self.triangles[self.reach.triangles]].ravel())
        return found

    def as_skfem(self) -> MeshTri:
        """The same mesh in scikit-fem, with the layers as subdomains and the named boundaries."""
        mesh = MeshTri(self.nodes.T.copy(), self.triangles.T.copy())
        parts = {name: np.flatnonzero(self.layer == tag) for tag, name in enumerate(LAYERS) if (self.layer == tag).any()}
        named = {"collector": self.fixed_y, "symmetry": self.fixed_x, "lithium": self.anode}
        on = {name: np.isin(mesh.facets, nodes).all(axis=0) for name, nodes in named.items()}
        boundary = np.isin(np.arange(mesh.facets.shape[1]), mesh.boundary_facets())
        inner = {name: np.flatnonzero(chosen & (boundary | (name == "lithium"))) for name, chosen in on.items()}
        return mesh.with_subdomains(parts).with_boundaries(inner)


def make_cell(
    nodes: np.ndarray,
    triangles: np.ndarray,
    layer: np.ndarray,
    *,
    anode: np.ndarray,
    top: np.ndarray,
    fixed_x: np.ndarray,
    fixed_y: np.ndarray,
    band: float,
    pairs: np.ndarray | None = None,
) -> Cell:
    """A cell of tagged triangles: ``anode`` and ``top`` are edges (k, 2), ``fixed_x`` and ``fixed_y`` nodes, ``band`` a half-width (m).

    The interface is found: the edges that cathode and electrolyte, or cathode and filler, share. Filler triangles without ``pairs`` are
    paired along their longest shared edges.
    """
    turned = triangle_gradients(nodes, triangles)[1] < 0
    triangles = np.where(turned[:, None], triangles[:, [0, 2, 1]], triangles)
    mesh = Mesh(nodes, triangles)
    edges, sides = shared_edges(triangles)
    kinds = np.sort(layer[sides], axis=1)
    surface = edges[(kinds[:, 0] == CATHODE) & np.isin(kinds[:, 1], (FILLER, ELECTROLYTE))]
    if not len(surface):
        raise SettingsError("fem.geometry: cathode and electrolyte (or filler) share no edge; mesh them with common nodes")
    interface, interface_length = mesh.lengths(surface)
    anode_nodes, anode_length = mesh.lengths(anode)
    top_nodes, top_length = mesh.lengths(top)
    return Cell(
        nodes=nodes,
        triangles=triangles,
        layer=layer,
        interface=interface,
        interface_length=interface_length,
        anode=anode_nodes,
        anode_length=anode_length,
        top=top_nodes,
        top_length=top_length,
        fixed_x=fixed_x,
        fixed_y=fixed_y,
        reach=_reach(mesh, layer, np.searchsorted(interface, surface), interface, band),
        pairs=pair_up(mesh, np.flatnonzero(np.isin(layer, (FILLER, BACKING)))) if pairs is None else pairs,
    )


def shared_edges(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The edges (k, 2) that two triangles share and these triangles (k, 2)."""
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    order = np.lexsort(edges.T)
    twice = np.flatnonzero((edges[order][1:] == edges[order][:-1]).all(axis=1))
    return edges[order[twice]], np.stack([order[twice] // 3, order[twice + 1] // 3], axis=1)


def pair_up(mesh: Mesh, chosen: np.ndarray) -> np.ndarray:
    """Pairs (p, 2) of ``chosen`` triangles, longest shared edge first; one that is left alone is paired with itself."""
    edges, sides = shared_edges(mesh.triangles[chosen])
    spans = np.linalg.norm(np.diff(mesh.nodes[edges], axis=1)[:, 0], axis=1)
    alone = np.ones(len(chosen), dtype=bool)
    pairs = []
    for one, other in sides[np.argsort(-spans, kind="stable")]:
        if alone[one] and alone[other]:
            alone[[one, other]] = False
            pairs.append((one, other))
    pairs += [(single, single) for single in np.flatnonzero(alone)]
    return chosen[np.array(pairs, dtype=int).reshape(-1, 2)]


def _reach(mesh: Mesh, layer: np.ndarray, surface: np.ndarray, interface: np.ndarray, band: float) -> Band:
    """Project the triangles near the interface, and the whole filler, onto its edges ``surface`` (k, 2), places in ``interface``."""
    middle = mesh.nodes[mesh.triangles].mean(axis=1)
    points = mesh.nodes[interface]
    edges_of = np.full((len(interface), 2), -1)
    for number, edge in enumerate(surface):
        for place in edge:
            edges_of[place, int(edges_of[place, 0] >= 0)] = number
    edges_of[:, 1] = np.where(edges_of[:, 1] < 0, edges_of[:, 0], edges_of[:, 1])
    longest = np.linalg.norm(np.diff(points[surface], axis=1)[:, 0], axis=1).max()
    distance, nearest = cKDTree(points).query(middle)
    near = np.flatnonzero((distance < band + longest) & (layer != BACKING) | (layer == FILLER))
    candidates = surface[edges_of[nearest[near]]]  # (k, 2 edges, 2 ends)
    start, along = points[candidates[..., 0]], points[candidates[..., 1]] - points[candidates[..., 0]]
    square = (along**2).sum(axis=-1)
    share = np.clip(((middle[near][:, None] - start) * along).sum(axis=-1) / square, 0, 1)
    gaps = np.linalg.norm(middle[near][:, None] - start - share[..., None] * along, axis=-1)
    best = np.argmin(gaps, axis=1)
    pick = np.arange(len(near)), best
    kept = (gaps[pick] < band) | (layer[near] == FILLER)
    share, along = share[pick][kept], along[pick][kept]
    normals = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1)[:, None]
    return Band(near[kept], candidates[pick][kept], np.stack([1 - share, share], axis=1), normals)


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
