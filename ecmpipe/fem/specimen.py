"""Fracture specimens from an input file: the crack solver of the cell on plates whose behaviour is known."""

from __future__ import annotations

import sys
from pathlib import Path

import meshio
import numpy as np
import pandas as pd

from ecmpipe.cards import whole_file, write_curve, write_json
from ecmpipe.errors import ConvergenceError, SettingsError
from ecmpipe.fem.mechanics import SPLITS, Mechanics, Support
from ecmpipe.fem.mesh import Mesh, triangle_gradients
from ecmpipe.fem.phasefield import CrackField
from ecmpipe.fem.shapes import read_mesh, refuse_flat, tensor_mesh, uniform
from ecmpipe.fem.staggered import Alternation
from ecmpipe.laws.fracture import cohesive_ratio, drawn_modulus, lame
from ecmpipe.settings.base import read_yaml, validate
from ecmpipe.settings.specimen import SpecimenSettings, TensorGeometry

NEAR = 1e-6  # of the specimen's size: nodes this close to a box are in it
AXES = {"x": 0, "y": 1}
COLUMNS = ("Displacement [m]", "Force [N.m-1]", "Elastic energy [J.m-1]", "Crack energy [J.m-1]", "Largest crack field d [1]", "Turns [1]")


def run_specimen(*, specimen: Path, output: Path, output_fields: Path, output_summary: Path) -> dict:
    """Draw the plate of the file ``specimen``; write force over displacement, the last fields (VTU) and a summary."""
    settings = validate(SpecimenSettings, read_yaml(specimen, "specimen"), where=str(specimen))
    try:
        mesh, table, d, u = draw(settings)
    except SettingsError as error:
        raise SettingsError(f"{specimen}: {error}") from None
    write_curve(output, table)
    with whole_file(output_fields) as partial:
        shift = np.column_stack([u.reshape(-1, 2), np.zeros(len(mesh.nodes))])
        data = {"Crack field d [1]": d, "Displacement [m]": shift}
        points = np.column_stack([mesh.nodes, np.zeros(len(mesh.nodes))])
        meshio.write(partial, meshio.Mesh(points, [("triangle", mesh.triangles)], data), file_format="vtu")
    force = table["Force [N.m-1]"].abs()
    peak = int(force.idxmax())
    write_json(
        output_summary,
        {
            "title": settings.title,
            "peak force [N.m-1]": float(force[peak]),
            "displacement at the peak [m]": float(table["Displacement [m]"][peak]),
            "crack energy at the end [J.m-1]": float(table["Crack energy [J.m-1]"].iloc[-1]),
            "nodes": len(mesh.nodes),
            "steps": len(table),
        },
    )
    return {"engine": "ecmpipe.fem (numba kernels, SuperLU)", "nodes": len(mesh.nodes)}


def draw(settings: SpecimenSettings) -> tuple[Mesh, pd.DataFrame, np.ndarray, np.ndarray]:
    """Mesh, force over displacement, crack field (n,) and displacement (2n,) at the end. Raises `ConvergenceError` where a step fails."""
    mesh = build_mesh(settings)
    held = [2 * nodes_in(mesh, hold.box) + AXES[axis] for hold in settings.holds for axis in hold.directions]
    moved = 2 * nodes_in(mesh, settings.load.box) + AXES[settings.load.direction]
    lam, mu = lame(settings.material.youngs_modulus, settings.material.poisson_ratio)
    count, ell, g_c = len(mesh.triangles), settings.length_scale, settings.material.toughness
    kind = np.full(count, SPLITS[settings.split])
    mechanics = Mechanics(
        mesh,
        Support.holding(len(mesh.nodes), np.concatenate([*held, moved])),
        np.full(count, lam),
        np.full(count, mu),
        kind,
        np.tile([0.0, 1.0], (count, 1)),
    )
    modulus = drawn_modulus(settings.split, settings.material.youngs_modulus, settings.material.poisson_ratio)
    a1 = cohesive_ratio(modulus, g_c, ell, settings.material.strength)
    crack = CrackField(mesh, settings.model, np.full(count, g_c), ell, 0.0, np.ones(count, dtype=bool), a1)
    u, d, history, nothing = np.zeros(2 * len(mesh.nodes)), np.zeros(len(mesh.nodes)), np.zeros(count), np.zeros(count)
    rows, highest = [], 0.0
    for displacement in path(settings):
        u = u.copy()
        u[moved] = displacement
        g = crack.degradation(d, settings.residual_stiffness)
        mechanics.evaluate(u, g, nothing, 0)
        scale = float(np.linalg.norm(mechanics.reaction))
        problem = Alternation(mechanics, crack, nothing, scale, 1.0, settings.residual_stiffness)
        found = problem.solve(u, d, history, settings, settings.most_staggers, None)
        if found is None:
            raise ConvergenceError(
                f"{settings.title}: displacement and crack did not agree within {settings.most_staggers} turns at {displacement:g} m; "
                "raise most_staggers [1] or shorten the step there"
            )
        u, d, history = found.u, found.d, found.history
        force = float(mechanics.reaction[moved].sum())
        energies = mechanics.energy(u, found.g, nothing), crack.surface_energy(d)
        rows.append([displacement, force, *energies, float(d.max()), float(found.turns)])
        if len(rows) % 10 == 0:
            print(f"{settings.title}: {displacement:.3e} m, {force:.4e} N/m, d {d.max():.3f}", file=sys.stderr, flush=True)
        highest = max(highest, abs(force))
        if abs(force) < settings.stop_below * highest:
            break
    return mesh, pd.DataFrame(rows, columns=list(COLUMNS)), d, u


def path(settings: SpecimenSettings) -> list[float]:
    """Every displacement (m) of the load, in order."""
    values, at = [], 0.0
    for to, step in settings.load.path:
        count = max(1, round((to - at) / step))
        values += (at + (to - at) * np.arange(1, count + 1) / count).tolist()
        at = to
    return values


def nodes_in(mesh: Mesh, box: list[float]) -> np.ndarray:
    """Nodes within ``box`` [x, y, x, y]; none is a `SettingsError`."""
    near = NEAR * np.ptp(mesh.nodes, axis=0).max()
    low, high = np.minimum(box[:2], box[2:]) - near, np.maximum(box[:2], box[2:]) + near
    found = np.flatnonzero(((mesh.nodes >= low) & (mesh.nodes <= high)).all(axis=1))
    if not len(found):
        raise SettingsError(f"box [m] {box}: holds no node of the mesh; move or widen it")
    return found


def build_mesh(settings: SpecimenSettings) -> Mesh:
    """The grid with its cut-outs and slits, or the mesh of the file."""
    geometry = settings.geometry
    if isinstance(geometry, TensorGeometry):
        return _grid(geometry)
    where = f"geometry.file {geometry.file}"
    found = read_mesh(Path(geometry.file), where)
    blocks = [block.data for block in found.cells if block.type == "triangle"]
    if not blocks:
        raise SettingsError(f"{where}: holds no triangles; it has {', '.join(sorted({block.type for block in found.cells})) or 'no cells'}")
    return _used(found.points[:, :2] * geometry.scale, np.concatenate(blocks))


def _grid(geometry: TensorGeometry) -> Mesh:
    x, y = (
        np.concatenate([[parts[0][0]], *(start + uniform(end - start, size)[1:] for start, end, size in parts)])
        for parts in (geometry.x, geometry.y)
    )
    nodes, triangles, _ = tensor_mesh(x, y)
    middle = nodes[triangles].mean(axis=1)
    for box in geometry.removed:
        inside = ((middle > box[:2]) & (middle < box[2:])).all(axis=1)
        triangles, middle = triangles[~inside], middle[~inside]
    for slit in geometry.slits:
        nodes, triangles = _part(nodes, triangles, np.array(slit).reshape(2, 2))
    return _used(nodes, triangles)


def _part(nodes: np.ndarray, triangles: np.ndarray, slit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Double the nodes on a slit; the triangles on its upper or right side take the copies. A tip within the plate stays one node."""
    across = int(slit[0, 1] == slit[1, 1])
    along, place = 1 - across, slit[0, across]
    near = NEAR * np.ptp(nodes, axis=0).max()
    low, high = slit[:, along].min(), slit[:, along].max()
    on = np.abs(nodes[:, across] - place) < near
    for end, beyond in ((low, nodes[:, along] < low - near), (high, nodes[:, along] > high + near)):
        if (on & beyond).any():  # the line goes on: this end is a tip
            on &= np.abs(nodes[:, along] - end) > near
    on &= (nodes[:, along] > low - near) & (nodes[:, along] < high + near)
    if not on.any():
        raise SettingsError(f"'slits [m]' {slit.ravel().tolist()}: no line of the grid runs there; put it on the end of a stretch")
    copies = np.full(len(nodes), -1)
    copies[on] = len(nodes) + np.arange(on.sum())
    beyond = nodes[triangles].mean(axis=1)[:, across] > place
    swapped = np.where(beyond[:, None] & on[triangles], copies[triangles], triangles)
    return np.concatenate([nodes, nodes[on]]), swapped


def _used(nodes: np.ndarray, triangles: np.ndarray) -> Mesh:
    if not len(triangles):
        raise SettingsError("geometry: no triangle is left; cut less out of it, or check the file")
    refuse_flat(nodes, triangles, "geometry")
    turned = triangle_gradients(nodes, triangles)[1] < 0  # a file may have them either way round
    triangles = np.where(turned[:, None], triangles[:, [0, 2, 1]], triangles)
    used, places = np.unique(triangles, return_inverse=True)
    return Mesh(nodes[used], places.reshape(triangles.shape))
