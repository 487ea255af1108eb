"""Slabs cut by planes, atom by atom a record of lattice translations; decorated after the cut.

``ase.build.surface`` is not used: its (104) slab of LiNiO2 has no inversion and gives 1.5 J/m2 instead of 0.45.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import spglib
from ase.neighborlist import neighbor_list
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from ecmpipe.dft.records import Cell
from ecmpipe.errors import SettingsError

FLAT = 1e-3  # e/A: a slab with less dipole per area is not polar
PLANE_GAP = 0.1  # A: planes nearer than this are one plane
SEARCH = 6  # lattice translations searched for short vectors


def primitive_vectors(lattice: np.ndarray, centrings: np.ndarray) -> np.ndarray:
    """Three shortest vectors, in rows, that span the lattice with its ``centrings`` (fractional, the origin among them)."""
    steps = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    candidates = (steps[:, None, :] + centrings[None, :, :]).reshape(-1, 3) @ lattice
    lengths = np.linalg.norm(candidates, axis=1)
    ranked = np.lexsort((*np.round(candidates.T, 6), np.round(lengths, 6)))
    short = [k for k in ranked if lengths[k] > 1e-6][:30]
    volume = abs(np.linalg.det(lattice)) / len(centrings)
    for trio in itertools.combinations(short, 3):
        chosen = candidates[list(trio)]
        if abs(abs(np.linalg.det(chosen)) - volume) < 1e-4 * volume:
            return chosen if np.linalg.det(chosen) > 0 else -chosen
    raise SettingsError("slab: no primitive cell found; check the crystal file")


def centrings(structure: Structure, labels: Sequence[str]) -> np.ndarray:
    """The pure translations of the labelled structure, fractional, shape (n, 3)."""
    numbers = [sorted(set(labels)).index(label) + 1 for label in labels]
    found = spglib.get_symmetry((structure.lattice.matrix, structure.frac_coords, numbers), symprec=1e-3)
    pure = [shift for turn, shift in zip(found["rotations"], found["translations"], strict=True) if (turn == np.eye(3)).all()]
    return np.array(pure)


def plane_vectors(lattice: np.ndarray, miller: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integer vectors: the two shortest of the plane (shortest first), and one that steps to the next plane."""
    box = np.array(list(itertools.product(range(-SEARCH, SEARCH + 1), repeat=3)))
    lengths = np.round(np.linalg.norm(box @ lattice, axis=1), 6)
    ranked = box[np.lexsort((-box[:, 2], -box[:, 1], -box[:, 0], lengths))]
    height = ranked @ miller
    flat = [n for n in ranked[height == 0] if n.any()]
    first = flat[0] if flat else np.zeros(3, dtype=int)
    second = next((n for n in flat if np.cross(first, n).any()), first)
    if not (height == 1).any() or not (abs(np.cross(first, second)) == abs(miller)).all():
        raise SettingsError(f"slab: Miller indices {miller.tolist()} of the cut cell share a factor or are too large")
    return first, second, ranked[height == 1][0]


def in_plane_vectors(lattice: np.ndarray, miller: np.ndarray, in_plane: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """a and b of a slab's cell, ``in_plane`` times the shortest vectors; b is turned round where the two would look down."""
    first, second, up = plane_vectors(lattice, miller)
    a, b = (int(row[0]) * first + int(row[1]) * second for row in in_plane)
    return a, (-b if np.dot(np.cross(a @ lattice, b @ lattice), up @ lattice) < 0 else b)


def flat_cell(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two vectors in the frame of `place_slab`, a along x: rows (2, 2)."""
    across = a / np.linalg.norm(a)
    normal = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    return np.array([[np.linalg.norm(a), 0.0], [b @ across, b @ np.cross(normal, across)]])


def cut_slabs(cell: Structure, miller: np.ndarray, layers: int, in_plane: Sequence[Sequence[int]]) -> list[dict]:
    """All terminations: ``in_plane`` vectors and ``sites`` as (site, image), heights counted in plane spacings of ``miller``."""
    lattice, places = cell.lattice.matrix, cell.frac_coords
    first, second, up = plane_vectors(lattice, miller)
    a, b = in_plane_vectors(lattice, miller, in_plane)
    copies = abs(int(in_plane[0][0] * in_plane[1][1] - in_plane[0][1] * in_plane[1][0]))
    if copies == 0:
        raise SettingsError(f"slab.in_plane: {list(in_plane)} spans no area")
    spacing = abs(np.linalg.det(lattice)) / np.linalg.norm(np.cross(first @ lattice, second @ lattice))
    heights = places @ miller
    levels = np.sort(heights % 1.0)
    gaps = np.diff(np.append(levels, levels[0] + 1))
    slabs = []
    for k in np.flatnonzero(gaps * spacing > PLANE_GAP):
        bottom = levels[k] + gaps[k] / 2
        sites: list[tuple[int, list[int]]] = []
        for site, height in enumerate(heights):
            start = math.ceil(bottom - height)
            for level in range(start, start + layers):
                sites += _fill(site, places[site], level * up, (a, b, first, second), copies, lattice)
        slabs.append({"in_plane": [a.tolist(), b.tolist()], "sites": sites, "gap": float(gaps[k] * spacing)})
    return slabs


def _fill(site: int, place: np.ndarray, base: np.ndarray, vectors: tuple, copies: int, lattice: np.ndarray) -> list[tuple[int, list[int]]]:
    """The ``copies`` of one site of one layer inside the in-plane cell a, b."""
    a, b, first, second = vectors
    shares = np.linalg.pinv(np.array([a @ lattice, b @ lattice]).T)  # of a and b in a vector
    found: dict[tuple, list[int]] = {}
    reach = 2 * copies + 2
    for p, q in itertools.product(range(-reach, reach + 1), repeat=2):
        image = base + p * first + q * second
        inside = shares @ ((place + image) @ lattice)
        image = image - math.floor(inside[0] + 1e-6) * a - math.floor(inside[1] + 1e-6) * b
        found.setdefault(tuple(image.tolist()), image.tolist())
        if len(found) == copies:
            break
    return [(site, found[key]) for key in sorted(found)]


def place_slab(cell: Cell, in_plane: Sequence, sites: Sequence, species: Sequence[str], vacuum: float) -> Structure:
    """The slab of ``cell``: a along x, c along z, ``vacuum`` angstrom between the outermost atoms, the slab in the middle."""
    lattice, places = np.array(cell.lattice), np.array(cell.positions)
    a, b = np.array(in_plane) @ lattice
    across = a / np.linalg.norm(a)
    normal = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    frame = np.array([across, np.cross(normal, across), normal])
    points = np.array([(places[site] + image) @ lattice for site, image in sites]) @ frame.T
    thickness = np.ptp(points[:, 2])
    points[:, 2] += vacuum / 2 - points[:, 2].min()
    box = np.array([frame @ a, frame @ b, [0, 0, thickness + vacuum]])
    box[np.abs(box) < 1e-9] = 0.0
    wrapped = points @ np.linalg.inv(box)
    wrapped[:, :2] -= np.floor(wrapped[:, :2] + 1e-9)
    return Structure(Lattice(box), list(species), wrapped)


def faces_alike(slab: Structure) -> bool:
    """Whether a symmetry operation turns one face into the other."""
    found = spglib.get_symmetry((slab.lattice.matrix, slab.frac_coords, slab.atomic_numbers), symprec=1e-2)
    return any(turn[2][2] == -1 for turn in found["rotations"])


def dipole_per_area(slab: Structure, charges: Sequence[float]) -> float:
    """Dipole along c of the formal ``charges`` of the sites over the area, e/A."""
    values = np.array(charges)
    area = np.linalg.norm(np.cross(*slab.lattice.matrix[:2]))
    return float(values @ (slab.cart_coords[:, 2] - slab.cart_coords[:, 2].mean()) / area)


def coordination(structure: Structure, bonds: Mapping[str, float]) -> dict[str, list[int]]:
    """The numbers of B around each A for every ``A-B`` within its length (angstrom), in the order of the sites."""
    atoms = AseAtomsAdaptor.get_atoms(structure)
    found = {}
    for pair, length in bonds.items():
        centre, partner = pair.split("-")
        first, second = neighbor_list("ij", atoms, float(length))
        symbols = np.array(atoms.get_chemical_symbols())
        hits = first[(symbols[first] == centre) & (symbols[second] == partner)]
        counts = np.bincount(hits, minlength=len(symbols))
        found[pair] = [int(counts[k]) for k in np.flatnonzero(symbols == centre)]
    return found
