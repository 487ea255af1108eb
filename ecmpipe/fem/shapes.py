"""The shapes a cell may have: layers on each other, a round particle in its matrix, or a user's own mesh file."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import meshio
import numpy as np

from ecmpipe.errors import SettingsError
from ecmpipe.fem.mesh import BACKING, CATHODE, ELECTROLYTE, FILLER, LAYERS, Cell, make_cell, triangle_gradients
from ecmpipe.settings.fem import FileGeometry, Geometry, LayeredGeometry, ParticleGeometry

MOST_LINES = 100_000  # of a grid, in one direction
MOST_CELLS = 2_000_000  # of a grid, two triangles each


def build_cell(geometry: Geometry, ell: float, filler_ratio: float) -> Cell:
    """The mesh of ``geometry`` for the length scale ``ell`` (m); ``filler_ratio`` of the cathode's thickness is filler, 0 for none."""
    band, size = geometry.band_half_width * ell, ell / geometry.elements_per_length_scale
    if isinstance(geometry, LayeredGeometry):
        return layered_cell(geometry, band, size, filler_ratio * geometry.cathode_thickness)
    if isinstance(geometry, ParticleGeometry):
        return particle_cell(geometry, band, size, filler_ratio * geometry.radius)
    return file_cell(geometry, band)


def graded(length: float, first: float, growth: float, largest: float) -> np.ndarray:
    """Positions from 0 to ``length``: heights start near ``first``, grow by ``growth``, stay below ``largest``."""
    heights: list[float] = []
    height, total = first, 0.0
    while total < length * (1 - 1e-12):
        height = min(height * growth, largest)
        heights.append(height)
        total += height
        _refuse_more(len(heights), MOST_LINES, "lines")
    steps = np.array(heights)
    return np.concatenate([[0.0], np.cumsum(steps * (length / steps.sum()))])


def uniform(length: float, size: float) -> np.ndarray:
    """Positions from 0 to ``length`` in equal parts no larger than ``size``."""
    _refuse_more(length / size, MOST_LINES, "lines")
    return np.linspace(0, length, max(1, int(np.ceil(length / size - 1e-9))) + 1)


def _refuse_more(count: float, most: int, what: str) -> None:
    if count > most:
        raise SettingsError(
            f"geometry: the mesh needs more than {most} {what}; take larger elements, a longer length scale or a smaller body"
        )


def layered_cell(geometry: LayeredGeometry, band: float, size: float, filler: float) -> Cell:
    """Collector at y = 0, where nothing moves, cathode, electrolyte, lithium; x = 0 is a symmetry plane, the right side free.

    The filler of thickness ``filler`` (m) lies between the two, where it carries the ions, or ``behind`` the lithium, where it does not
    and the top presses on it.
    """
    cathode, electrolyte = geometry.cathode_thickness, geometry.electrolyte_thickness
    between = filler if geometry.filler_place == "between" else 0.0
    behind = filler - between
    below = min(band, cathode)
    above = min(max(band - between, 0.0), electrolyte)
    coarse = np.zeros(1)
    if below < cathode:
        coarse = cathode - below - graded(cathode - below, size, geometry.growth, geometry.largest_element)[::-1]
    y = np.concatenate([coarse, coarse[-1] + uniform(below, size)[1:]])
    for length, finely in ((between, True), (above, True), (electrolyte - above, False), (behind, True)):
        if length > 0:
            part = uniform(length, size) if finely else graded(length, size, geometry.growth, geometry.largest_element)
            y = np.concatenate([y, y[-1] + part[1:]])
    x = uniform(geometry.width, size)
    nodes, triangles, row = tensor_mesh(x, y)
    middle = 0.5 * (y[row] + y[row + 1])
    lithium = cathode + between + electrolyte
    layer = np.select([middle < cathode, middle < cathode + between, middle < lithium], [CATHODE, FILLER, ELECTROLYTE], BACKING)
    at = _rows(len(x), len(y))
    return make_cell(
        nodes,
        triangles,
        layer,
        anode=at(int(np.argmin(np.abs(y - lithium)))),
        top=at(len(y) - 1),
        fixed_x=np.union1d(np.arange(len(y)), np.arange(len(x)) * len(y)),
        fixed_y=np.arange(len(x)) * len(y),
        band=band,
        pairs=np.flatnonzero(np.isin(layer, (FILLER, BACKING))).reshape(-1, 2),
    )


def _rows(columns: int, rows: int):
    def at(row: int) -> np.ndarray:
        line = np.arange(columns) * rows + row
        return np.stack([line[:-1], line[1:]], axis=1)

    return at


def tensor_mesh(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes, triangles and the row of cells each triangle lies in; node (i, j) is i * len(y) + j, cells hold triangles 2q and 2q + 1.

    Right angles keep the phase-field matrix an M-matrix; the diagonals alternate, so that no crack direction is preferred.
    """
    _refuse_more(len(x) * len(y), MOST_CELLS, "cells")
    grid_x, grid_y = np.meshgrid(x, y, indexing="ij")
    i, j = (index.ravel() for index in np.meshgrid(np.arange(len(x) - 1), np.arange(len(y) - 1), indexing="ij"))
    a = i * len(y) + j
    b, c, d = a + len(y), a + len(y) + 1, a + 1
    even = ((i + j) % 2 == 0)[:, None]
    first = np.where(even, np.column_stack([a, b, c]), np.column_stack([a, b, d]))
    second = np.where(even, np.column_stack([a, c, d]), np.column_stack([b, c, d]))
    return np.column_stack([grid_x.ravel(), grid_y.ravel()]), np.stack([first, second], axis=1).reshape(-1, 3), np.repeat(j, 2)


def particle_cell(geometry: ParticleGeometry, band: float, size: float, shell: float) -> Cell:
    """A quarter of a round cathode particle in a square of electrolyte, the lithium on top, symmetry planes on the other three sides.

    Rays of constant angle: graded from the centre, fine across the band and the ``shell`` (m) of filler, then blended to the square.
    """
    radius, half = geometry.radius, geometry.half_width
    inner, outer = radius - band, radius + shell + band
    if inner <= 0 or outer >= half:
        raise SettingsError(
            f"fem.geometry: 'half_width [m]' {half:g} leaves no room for a particle of 'radius [m]' {radius:g} with its band and filler "
            f"(up to {outer:g} m); widen it, or lower band_half_width"
        )
    coarse = inner - graded(inner, size, geometry.growth, geometry.largest_element)[::-1]
    pieces = [coarse, radius - band + uniform(band, size)[1:]]
    if shell > 0:
        pieces.append(radius + uniform(shell, size)[1:])
    pieces.append(radius + shell + uniform(band, size)[1:])
    rings = np.concatenate(pieces)
    beyond = graded(1.0, size / (half - outer), geometry.growth, geometry.largest_element / (half - outer))[1:]
    _refuse_more(len(rings) * radius / size, MOST_CELLS, "cells")
    sectors = 2 * max(2, int(np.ceil(0.25 * np.pi * radius / size)))
    angle = np.linspace(0, np.pi / 2, sectors + 1)
    rays = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rays[0, 1] = rays[-1, 0] = 0.0
    to_square = half / rays.max(axis=1)
    lengths = np.concatenate([np.tile(rings, (len(angle), 1)), outer + beyond * (to_square[:, None] - outer)], axis=1)
    nodes = (lengths[..., None] * rays[:, None]).reshape(-1, 2)
    _, triangles, ring = tensor_mesh(np.arange(len(angle)), np.arange(lengths.shape[1]))
    middle = 0.5 * (lengths[0][ring] + lengths[0][ring + 1])
    layer = np.where(middle < radius, CATHODE, np.where((middle < radius + shell) & (ring < len(rings) - 1), FILLER, ELECTROLYTE))
    # all rays start in one node
    centre = np.arange(len(nodes)) % lengths.shape[1] == 0
    number = np.where(centre, 0, np.cumsum(~centre))
    triangles = number[triangles]
    whole = np.array([len(set(corner)) == 3 for corner in triangles.tolist()])
    nodes = np.concatenate([[[0.0, 0.0]], nodes[~centre]])
    triangles, layer = triangles[whole], layer[whole]
    rim = number[np.arange(len(angle)) * lengths.shape[1] + lengths.shape[1] - 1]
    top = rim[len(angle) // 2 :]
    top = np.stack([top[:-1], top[1:]], axis=1)
    on = {axis: np.flatnonzero(np.abs(nodes[:, axis]) < 1e-9 * half) for axis in (0, 1)}
    right = np.flatnonzero(np.abs(nodes[:, 0] - half) < 1e-9 * half)
    return make_cell(
        nodes,
        triangles,
        layer,
        anode=top,
        top=top,
        fixed_x=np.union1d(on[0], right),
        fixed_y=on[1],
        band=band,
        pairs=np.flatnonzero(layer == FILLER).reshape(-1, 2),
    )


def refuse_flat(nodes: np.ndarray, triangles: np.ndarray, where: str) -> None:
    """Raise a `SettingsError` that begins with ``where`` unless every triangle has an area."""
    with np.errstate(all="ignore"):
        gradients, areas = triangle_gradients(nodes, triangles)
    if odd := int((~(np.isfinite(gradients).all(axis=(1, 2)) & (areas != 0) & np.isfinite(areas))).sum()):
        raise SettingsError(f"{where}: {odd} of {len(triangles)} triangles have no area, or nodes that are not finite; repair the mesh")


SURFACES = LAYERS
LINES = ("collector", "symmetry", "lithium", "top")


def read_mesh(path: Path, where: str) -> meshio.Mesh:
    """What meshio reads of ``path``; a file that is none is a `SettingsError` that begins with ``where``."""
    try:
        with redirect_stderr(StringIO()) as said, np.errstate(all="ignore"):
            mesh = meshio.gmsh.read(path) if path.suffix == ".msh" else meshio.read(path)  # the latter prints what it cannot read
        if "not closed" in said.getvalue():
            raise ValueError("the file is cut short")
    except SystemExit:  # meshio's way of saying that no reader took the file
        raise SettingsError(f"{where}: meshio cannot read it; write a gmsh file (version 4.1 or 2.2) with the ending .msh") from None
    except Exception as error:  # its readers raise whatever they stumble on
        raise SettingsError(
            f"{where}: meshio cannot read it ({' '.join(str(error).split())[:200]}); write a gmsh file (version 4.1 or 2.2)"
        ) from None
    return mesh


def file_cell(geometry: FileGeometry, band: float) -> Cell:
    """A mesh that meshio reads, with physical groups by name: surfaces cathode, electrolyte, filler, backing; lines collector (clamped),
    symmetry (fixed in x), lithium, and top where that is not the lithium. Raises `SettingsError` that names what is missing."""
    path = Path(geometry.file)
    where = f"fem.geometry.file {path}"
    mesh = read_mesh(path, where)
    names = {(int(tag), int(dimension)): name for name, (tag, dimension) in mesh.field_data.items()}
    groups: dict[tuple[str, int], list[np.ndarray]] = {}
    for block, tags in zip(mesh.cells, mesh.cell_data.get("gmsh:physical", []), strict=False):
        dimension = {"triangle": 2, "line": 1}.get(block.type)
        if dimension is None and block.type != "vertex":
            raise SettingsError(f"{where}: holds cells of type '{block.type}'; mesh it with straight triangles")
        for tag in np.unique(tags) if dimension else ():
            name = names.get((int(tag), dimension), str(tag))
            groups.setdefault((name, dimension), []).append(block.data[tags == tag])
    surfaces = {name: np.concatenate(cells) for (name, dimension), cells in groups.items() if dimension == 2}
    lines = {name: np.concatenate(cells) for (name, dimension), cells in groups.items() if dimension == 1}
    for found, known, needed, kind in (
        (surfaces, SURFACES, ("cathode", "electrolyte"), "surfaces"),
        (lines, LINES, ("collector", "symmetry", "lithium"), "lines"),
    ):
        if odd := sorted(set(found) - set(known)):
            raise SettingsError(f"{where}: the physical {kind} '{odd[0]}' are not known; known here: {', '.join(known)}")
        if missing := [name for name in needed if name not in found]:
            raise SettingsError(f"{where}: has no physical {kind} '{missing[0]}'; it has {', '.join(found) or 'none'}")
    nodes = mesh.points[:, :2] * geometry.scale
    triangles = np.concatenate([surfaces[name] for name in LAYERS if name in surfaces])
    layer = np.concatenate([np.full(len(surfaces[name]), tag) for tag, name in enumerate(LAYERS) if name in surfaces])
    used, places = np.unique(triangles, return_inverse=True)
    number = np.full(len(nodes), -1)
    number[used] = np.arange(len(used))
    lines = {name: number[edges] for name, edges in lines.items()}
    if any((edges < 0).any() for edges in lines.values()):
        raise SettingsError(f"{where}: a physical line has nodes that no triangle uses; mesh lines and surfaces together")
    refuse_flat(nodes, triangles, where)
    return make_cell(
        nodes[used],
        places.reshape(triangles.shape),
        layer,
        anode=lines["lithium"],
        top=lines.get("top", lines["lithium"]),
        fixed_x=np.unique(np.concatenate([lines["symmetry"].ravel(), lines["collector"].ravel()])),
        fixed_y=np.unique(lines["collector"]),
        band=band,
    )
