"""The shapes a cell may have: areas, boundaries, band and pairs; a user's own mesh gives the same cell; bad meshes are named."""

from pathlib import Path

import meshio
import numpy as np
import pytest

from ecmpipe.errors import SettingsError
from ecmpipe.fem.electrochemistry import Electrochemistry
from ecmpipe.fem.mesh import BACKING, CATHODE, ELECTROLYTE, FILLER, LAYERS, Cell, Mesh, make_cell, pair_up
from ecmpipe.fem.shapes import build_cell, file_cell, particle_cell, tensor_mesh
from ecmpipe.settings.fem import FileGeometry, ParticleGeometry
from tests.fem.helpers import block, layers, small_cell
from tests.fem.test_electrochemistry import CHEMISTRY, POTENTIAL
from tests.fem.test_phasefield import opening_of

RADIUS, HALF, SHELL = 2.5e-6, 4.0e-6, 0.25e-6
BAND, SIZE = 0.3e-6, 0.1e-6


def area(cell: Cell, layer: int) -> float:
    return float(cell.areas[cell.layer == layer].sum())


@pytest.mark.parametrize(("filler", "place"), [(0.0, "between"), (0.2, "between"), (0.2, "behind")])
def test_layers_have_their_areas_and_their_boundaries(filler, place):
    cell = small_cell(filler, 0.8, place)
    between, behind = (filler, 0.0) if place == "between" else (0.0, filler)
    expected = {CATHODE: 1.0, FILLER: between, ELECTROLYTE: 1.0, BACKING: behind}
    for layer, height in expected.items():
        assert area(cell, layer) == pytest.approx(0.8 * height), LAYERS[layer]
    assert (cell.areas > 0).all()
    for nodes, lengths, height in (
        (cell.interface, cell.interface_length, 1.0),
        (cell.anode, cell.anode_length, 2.0 + between),
        (cell.top, cell.top_length, 2.0 + filler),
    ):
        assert np.allclose(cell.nodes[nodes, 1], height) and len(nodes) == 9
        assert lengths.sum() == pytest.approx(0.8) and lengths[1:-1] == pytest.approx(0.1) and lengths[[0, -1]] == pytest.approx(0.05)
    assert (cell.nodes[cell.fixed_y, 1] == 0).all()
    assert set(cell.fixed_x) == set(np.flatnonzero((cell.nodes == 0).any(axis=1)))  # symmetry plane and collector
    assert cell.width == pytest.approx(0.8) and cell.thickness == pytest.approx(1.0)
    assert (cell.ionic == np.isin(cell.layer, (FILLER, ELECTROLYTE))).all()  # a layer behind the lithium carries no ions


@pytest.mark.parametrize(("filler", "place"), [(0.0, "between"), (0.2, "between"), (0.5, "between"), (0.2, "behind")])
def test_the_band_is_what_lies_near_the_interface_and_the_whole_filler(filler, place):
    cell = small_cell(filler, place=place)
    middle = cell.nodes[cell.triangles].mean(axis=1)
    near = np.abs(middle[:, 1] - 1.0) < 0.3
    assert (cell.band == (near | (cell.layer == FILLER))).all()
    assert not cell.band[cell.layer == BACKING].any()
    assert np.allclose(np.abs(cell.reach.normals), [0.0, 1.0])
    assert np.allclose(cell.reach.shares.sum(axis=1), 1) and (cell.reach.shares >= 0).all()
    # values of the interface nodes reach the triangles above and below them: a linear one exactly
    ramp = cell.nodes[cell.interface, 0]
    assert cell.reach.at(ramp) == pytest.approx(middle[cell.reach.triangles, 0])
    areas = cell.areas[cell.reach.triangles]
    assert cell.reach.spread(areas, len(cell.interface)).sum() == pytest.approx(areas.sum())


@pytest.mark.parametrize("place", ["between", "behind"])
def test_pairs_tile_the_filler(place):
    cell = small_cell(0.25, place=place)
    code = FILLER if place == "between" else BACKING
    assert np.array_equal(np.sort(cell.pairs.ravel()), np.flatnonzero(cell.layer == code))
    shared = [len(set(cell.triangles[a]) & set(cell.triangles[b])) for a, b in cell.pairs]
    assert shared == [2] * len(cell.pairs)
    assert cell.areas[cell.pairs[:, 0]] == pytest.approx(cell.areas[cell.pairs[:, 1]])
    assert len(small_cell().pairs) == 0


def test_pairs_of_any_mesh_share_their_longest_edge_and_nobody_is_left_out():
    mesh = block(3, 3, 1.0, 1.0)
    for chosen in (np.arange(18), np.arange(17)):  # an odd one stays alone
        pairs = pair_up(mesh, chosen)
        alone = pairs[pairs[:, 0] == pairs[:, 1], 0]
        assert np.array_equal(np.unique(pairs), chosen)
        assert len(pairs) * 2 - len(alone) == len(chosen)
        assert len(alone) == len(chosen) % 2
    diagonals = [set(mesh.triangles[a]) & set(mesh.triangles[b]) for a, b in pair_up(mesh, np.arange(18))]
    spans = [np.linalg.norm(np.diff(mesh.nodes[sorted(edge)], axis=0)) for edge in diagonals]
    assert np.array(spans) == pytest.approx(np.sqrt(2) / 3)


def particle(shell: float = 0.0, size: float = SIZE) -> Cell:
    geometry = ParticleGeometry.model_validate(
        {
            "shape": "particle",
            "radius [m]": RADIUS,
            "half_width [m]": HALF,
            "band_half_width [1]": 3,
            "elements_per_length_scale [1]": 1,
            "largest_element [m]": 0.4e-6,
            "growth [1]": 1.35,
        }
    )
    assert geometry.thickness == RADIUS / 2
    return build_cell(geometry, size, shell / RADIUS) if size == SIZE else particle_cell(geometry, BAND, size, shell)


@pytest.mark.parametrize("shell", [0.0, SHELL])
def test_a_particle_is_round_up_to_its_polygon(shell):
    cell = particle(shell)
    sectors = len(cell.interface) - 1
    inscribed = np.sinc(1 / (2 * sectors))  # sin(b)/b of the angle b = pi/(2 sectors) of a sector: area of the polygon over the disc
    quarter = np.pi / 4 * inscribed
    assert area(cell, CATHODE) == pytest.approx(quarter * RADIUS**2, rel=1e-12)
    assert area(cell, FILLER) == pytest.approx(quarter * ((RADIUS + shell) ** 2 - RADIUS**2), rel=1e-9, abs=1e-24)
    assert area(cell, ELECTROLYTE) == pytest.approx(HALF**2 - quarter * (RADIUS + shell) ** 2, rel=1e-12)
    assert abs(quarter / (np.pi / 4) - 1) < 1e-3
    assert (cell.areas > 0).all()
    chord = 2 * RADIUS * np.sin(np.pi / (4 * sectors))
    assert cell.width == pytest.approx(sectors * chord) and cell.width == pytest.approx(np.pi / 2 * RADIUS, rel=1e-3)
    assert cell.thickness == pytest.approx(RADIUS / 2, rel=1e-3)
    assert np.linalg.norm(cell.nodes[cell.interface], axis=1) == pytest.approx(RADIUS)
    # the pairs of the shell are whole: two triangles of one quadrilateral
    assert np.array_equal(np.sort(cell.pairs.ravel()), np.flatnonzero(cell.layer == FILLER))
    assert all(len(set(cell.triangles[a]) & set(cell.triangles[b])) == 2 for a, b in cell.pairs)


def test_a_particle_comes_nearer_to_the_disc_on_a_finer_mesh():
    errors = [1 - area(particle(size=size), CATHODE) / (np.pi / 4 * RADIUS**2) for size in (0.2e-6, 0.05e-6)]
    assert 0 < errors[1] < errors[0] / 10


@pytest.mark.parametrize("shell", [0.0, SHELL])
def test_the_band_of_a_particle_looks_along_its_radius(shell):
    cell = particle(shell)
    middle = cell.nodes[cell.triangles].mean(axis=1)
    distance = np.linalg.norm(middle, axis=1)
    radial = middle[cell.reach.triangles] / distance[cell.reach.triangles][:, None]
    cosine = np.abs((radial * cell.reach.normals).sum(axis=1))
    half_sector = np.pi / 4 / (len(cell.interface) - 1)
    assert cosine.min() >= np.cos(half_sector) - 1e-9
    clearly_near = (np.abs(distance - RADIUS) < 0.9 * BAND) | (cell.layer == FILLER)
    clearly_far = (np.abs(distance - RADIUS) > 1.1 * BAND) & (cell.layer != FILLER)
    assert cell.band[clearly_near].all() and not cell.band[clearly_far].any()


def test_a_particle_has_its_lithium_on_top_and_symmetry_planes_on_three_sides():
    cell = particle()
    assert np.allclose(cell.nodes[cell.anode, 1], HALF) and cell.anode_length.sum() == pytest.approx(HALF)
    assert np.array_equal(cell.top, cell.anode)
    assert (cell.nodes[cell.fixed_y, 1] == 0).all()
    x = cell.nodes[cell.fixed_x, 0]
    assert set(np.round(x / HALF, 9)) == {0.0, 1.0}
    held = np.isclose(cell.nodes[:, 0], 0, atol=1e-15) | np.isclose(cell.nodes[:, 0], HALF)
    assert np.array_equal(cell.fixed_x, np.flatnonzero(held))
    used = np.unique(cell.triangles)
    assert np.array_equal(used, np.arange(len(cell.nodes)))  # the centre is one node


def test_a_gap_around_a_particle_is_measured_as_wide_as_it_is():
    # Everything outside the first ring of electrolyte moves out along the radius: the opening is that move at every node.
    for size in (SIZE, SIZE / 2):
        cell = particle(size=size)
        gap, distance = 1e-9, np.linalg.norm(cell.nodes, axis=1)
        outside = distance > RADIUS * (1 + 1e-9)
        u = np.where(outside[:, None], gap * cell.nodes / np.maximum(distance, 1e-12)[:, None], 0.0)
        first = np.isin(cell.triangles, cell.interface).any(axis=1) & (cell.layer == ELECTROLYTE)
        g = np.where(first, 0.0, 1.0)
        # the broken ring is longer outside than at the interface, and is drawn along it: of the order of its height over R
        assert opening_of(cell, u, g) == pytest.approx(gap, rel=0.8 * size / RADIUS)
        assert opening_of(cell, -u, g) == pytest.approx(0, abs=1e-6 * gap)


def test_a_particle_that_does_not_fit_is_refused():
    for change in ({"half_width [m]": 2.7e-6}, {"band_half_width [1]": 20}):
        values = {"shape": "particle", "radius [m]": RADIUS, "half_width [m]": HALF, "band_half_width [1]": 3, "growth [1]": 1.35}
        values |= {"elements_per_length_scale [1]": 1, "largest_element [m]": 0.4e-6} | change
        with pytest.raises(SettingsError, match="leaves no room"):
            build_cell(ParticleGeometry.model_validate(values), 0.15e-6, 0.0)


def as_geometry(path: Path, scale: float = 1e-6) -> FileGeometry:
    values = {"shape": "file", "file": str(path), "scale [m]": scale, "band_half_width [1]": 3, "elements_per_length_scale [1]": 1}
    return FileGeometry.model_validate(values)


def edges_of(nodes: np.ndarray) -> np.ndarray:
    return np.stack([nodes[:-1], nodes[1:]], axis=1)


def write_msh(path: Path, cell: Cell, *, drop: tuple[str, ...] = (), rename: dict[str, str] | None = None, top: bool = False) -> Path:
    """``cell`` as gmsh would write it, in micrometres: physical groups by name, a node that nothing uses, half the triangles turned."""
    groups = [(name, 2, cell.triangles[cell.layer == tag]) for tag, name in enumerate(LAYERS) if (cell.layer == tag).any()]
    lines = {"collector": cell.fixed_y, "symmetry": cell.fixed_x, "lithium": cell.anode} | ({"top": cell.top} if top else {})
    groups += [(name, 1, edges_of(nodes[np.lexsort(cell.nodes[nodes].T)])) for name, nodes in lines.items()]
    blocks, tags, names = [], [], {}
    for tag, (name, dimension, members) in enumerate(groups, start=1):
        if name in drop:
            continue
        if dimension == 2:
            members = np.where((np.arange(len(members)) % 2 == 0)[:, None], members, members[:, ::-1])
        names[(rename or {}).get(name, name)] = np.array([tag, dimension])
        blocks.append(("triangle" if dimension == 2 else "line", members + 1))
        tags.append(np.full(len(members), tag))
    points = np.column_stack([np.vstack([[[-7.0, -7.0]], 1e6 * cell.nodes]), np.zeros(len(cell.nodes) + 1)])
    mesh = meshio.Mesh(points, blocks, cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags}, field_data=names)
    mesh.write(path, file_format="gmsh22", binary=False)
    return path


SIZES = {"cathode": 1e-6, "electrolyte": 1e-6, "width": 0.5e-6, "band": 0.3e-6, "size": 0.1e-6, "growth": 1.5, "largest": 0.3e-6}


@pytest.mark.parametrize(("filler", "place"), [(0.0, "between"), (0.2e-6, "between"), (0.2e-6, "behind")])
def test_a_mesh_file_gives_the_cell_that_was_written(filler, place, tmp_path):
    ours = layers(**SIZES, filler=filler, place=place)
    read = file_cell(as_geometry(write_msh(tmp_path / "cell.msh", ours, top=place == "behind")), SIZES["band"])
    assert len(read.nodes) == len(ours.nodes)  # the unused node is left out
    assert (read.areas > 0).all()
    for layer in range(len(LAYERS)):
        assert area(read, layer) == pytest.approx(area(ours, layer))
    for name in ("interface", "anode", "top"):
        mine, theirs = (cell.nodes[getattr(cell, name)] for cell in (ours, read))
        assert np.allclose(np.sort(mine, axis=0), np.sort(theirs, axis=0))
        assert getattr(read, f"{name}_length").sum() == pytest.approx(SIZES["width"])
    assert len(read.fixed_x) == len(ours.fixed_x) and len(read.fixed_y) == len(ours.fixed_y)
    assert read.areas[read.band].sum() == pytest.approx(ours.areas[ours.band].sum())
    assert np.array_equal(np.unique(read.pairs), np.flatnonzero(np.isin(read.layer, (FILLER, BACKING))))
    assert (read.pairs[:, 0] != read.pairs[:, 1]).all()  # a tensor mesh pairs along its diagonals and leaves none alone


def test_a_charge_step_on_a_mesh_file_balances(tmp_path):
    ours = layers(**SIZES)
    read = file_cell(as_geometry(write_msh(tmp_path / "cell.msh", ours)), SIZES["band"])
    voltages = []
    for cell in (ours, read):
        echem = Electrochemistry(cell, CHEMISTRY, POTENTIAL)
        whole, contact, current = np.ones(len(cell.triangles)), np.ones(len(cell.interface)), echem.reference
        charge = echem.step(echem.rest(0.99), 36.0, current, whole, contact, 1e-11, 25)
        start = echem.lithium(echem.rest(0.99))
        assert abs(echem.lithium(charge) - start) <= 1e-12 * start
        seen = echem.observe(charge, current, contact)
        assert seen["current imbalance"] <= 1e-8 and seen["mean"] == pytest.approx(0.98, abs=1e-9)
        voltages.append(charge.voltage)
    assert voltages[0] == pytest.approx(voltages[1], abs=1e-9)


def test_a_mesh_file_that_lacks_something_is_named(tmp_path):
    cell = layers(**SIZES, filler=0.2e-6)
    needed = {"cathode": "surfaces", "electrolyte": "surfaces"} | dict.fromkeys(("collector", "symmetry", "lithium"), "lines")
    for name, kind in needed.items():
        with pytest.raises(SettingsError, match=f"cell.msh: has no physical {kind} '{name}'; it has "):
            file_cell(as_geometry(write_msh(tmp_path / "cell.msh", cell, drop=(name,))), 0.3e-6)
    for name, kind, known in (("filler", "surfaces", "cathode, filler, electrolyte, backing"), ("lithium", "lines", "collector, symmetry")):
        with pytest.raises(SettingsError, match=f"the physical {kind} 'mine' are not known; known here: {known}"):
            file_cell(as_geometry(write_msh(tmp_path / "cell.msh", cell, rename={name: "mine"})), 0.3e-6)


def test_a_file_that_is_no_mesh_is_named(tmp_path):
    unread, unknown = tmp_path / "cell.msh", tmp_path / "cell.docx"
    for path in (unread, unknown):
        path.write_text("no mesh\n")
        with pytest.raises(SettingsError, match=f"fem.geometry.file .*{path.name}: meshio cannot read it.*gmsh"):
            file_cell(as_geometry(path), 0.3e-6)
    unread.write_bytes(write_msh(unread, layers(**SIZES)).read_bytes()[:700])
    with pytest.raises(SettingsError, match="meshio cannot read it"):
        file_cell(as_geometry(unread), 0.3e-6)


def test_meshes_that_make_no_cell_are_named(tmp_path):
    cell = layers(**SIZES)
    path = tmp_path / "cell.msh"
    mesh = meshio.read(write_msh(path, cell))
    quads = [meshio.CellBlock("quad", np.array([[1, 2, 3, 4]])) if block.type == "triangle" else block for block in mesh.cells]
    tags = [np.ones(len(block.data), dtype=int) for block in quads]
    odd = meshio.Mesh(mesh.points, quads, cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags}, field_data=mesh.field_data)
    odd.write(path, file_format="gmsh22", binary=False)
    with pytest.raises(SettingsError, match="'quad'; mesh it with straight triangles"):
        file_cell(as_geometry(path), 0.3e-6)
    mesh = meshio.read(write_msh(path, cell))
    mesh.cells[-1].data[0] = 0  # the node that no triangle uses
    mesh.write(path, file_format="gmsh22", binary=False)
    with pytest.raises(SettingsError, match="nodes that no triangle uses"):
        file_cell(as_geometry(path), 0.3e-6)
    # two layers that only touch: nodes of their own on either side
    nodes, triangles, row = tensor_mesh(np.linspace(0, 1, 3), np.linspace(0, 1, 3))
    layer = np.where(row == 0, CATHODE, ELECTROLYTE)
    apart = np.concatenate([triangles[layer == CATHODE], triangles[layer == ELECTROLYTE] + len(nodes)])
    edge = np.array([[0, 3]])
    with pytest.raises(SettingsError, match="share no edge"):
        make_cell(np.concatenate([nodes, nodes]), apart, np.sort(layer), anode=edge, top=edge, fixed_x=edge[0], fixed_y=edge[0], band=0.3)


def test_areas_of_a_mesh_are_half_its_edges_crossed():
    mesh = Mesh(np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]]), np.array([[0, 1, 2]]))
    assert mesh.areas == pytest.approx(3.0)
    assert mesh.gradients.sum(axis=1) == pytest.approx(0)
