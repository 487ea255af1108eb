"""Damaged crystals, polymers, meshes and specimens: refused before anything is built, or good enough to build from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
import yaml
from hypothesis import strategies as st

import ecmpipe.fem.specimen
from ecmpipe.errors import ConvergenceError
from ecmpipe.fem.mesh import Cell
from ecmpipe.fem.shapes import file_cell
from ecmpipe.settings.base import PlainLoader
from tests.fem.helpers import layers
from tests.fem.test_shapes import SIZES, as_geometry, write_msh
from tests.fuzz import tools

ROOT = Path(__file__).parents[2]
CRYSTALS = {path.stem: path for path in sorted((ROOT / "inputs/structures").glob("*.yaml"))}
POLYMERS = {path.stem: path for path in sorted((ROOT / "inputs/polymers").glob("*.yaml"))}
SPECIMENS = {path.stem: path for path in sorted((ROOT / "inputs/specimens").glob("*.yaml"))}


class Checked:
    """`check` with an overlay that names a damaged file; every line of it names that file or the key that does."""

    def __init__(self, folder: Path, file: str, key: str, section: str) -> None:
        self.file, self.overlay = folder / file, folder / "overlay.yaml"
        self.overlay.write_text(section.replace("FILE", str(self.file)), encoding="utf-8")
        self.names = re.compile(rf"{re.escape(str(self.file))}|{key}")
        self.accepted = 0

    def __call__(self, content: bytes) -> None:
        self.file.write_bytes(content)
        code, lines = tools.call(["check", "--overlay", str(self.overlay)])
        if code == 0:
            assert not lines
            self.accepted += 1
            if self.file.suffix == ".msh":
                sound(file_cell(as_geometry(self.file), SIZES["band"]))
        else:
            tools.refused(code, lines, self.names)


def sound(cell: Cell) -> None:
    """What the solver takes for granted of a cell."""
    assert np.isfinite(cell.nodes).all() and (cell.areas > 0).all() and np.isfinite(cell.gradients).all()
    for lengths in (cell.interface_length, cell.anode_length, cell.top_length):
        assert (lengths > 0).all()
    assert np.isfinite(cell.reach.normals).all() and len(cell.fixed_x) and len(cell.fixed_y)


def either(path: Path, loader: type = yaml.SafeLoader) -> st.SearchStrategy[bytes]:
    """A YAML file with damaged keys, or with damaged bytes."""
    data = yaml.load(path.read_text(encoding="utf-8"), loader)
    keys = tools.edits(data).map(lambda chosen: tools.as_yaml(tools.damaged(data, chosen)).encode())
    return st.one_of(keys, keys, tools.damaged_bytes(path.read_bytes()))


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("name", CRYSTALS)
def test_crystals(name: str, tmp_path: Path) -> None:
    check = Checked(tmp_path, "crystal.yaml", rf"dft\.materials\.{name}\.", f"dft: {{materials: {{{name}: {{crystal: FILE}}}}}}")
    check(CRYSTALS[name].read_bytes())
    assert check.accepted
    tools.fuzz(either(CRYSTALS[name]), check, 60)


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("name", POLYMERS)
def test_polymers(name: str, tmp_path: Path) -> None:
    check = Checked(tmp_path, "polymer.yaml", "md.polymers.pdms", "md: {polymers: {pdms: {description: FILE}}}")
    tools.fuzz(either(POLYMERS[name], PlainLoader), check, 25)


MESH = (
    "fem: {'cases [h-1]': {own: {none: [1]}}, variants: {own: {geometry: {shape: file, file: FILE, 'scale [m]': 1.0e-6,"
    " 'band_half_width [1]': 3, 'elements_per_length_scale [1]': 4}}}}"
)
ODD = (np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, 1e-320, 7.0)


def damaged_mesh(text: str, seed: int) -> bytes:
    """A gmsh file with some of its words replaced, or lines left out, doubled, swapped."""
    rng = np.random.default_rng(seed)
    lines = text.splitlines()
    for _ in range(rng.integers(1, 4)):
        at, other = (int(place) for place in rng.integers(0, len(lines), 2))
        if rng.random() < 0.4:  # headers and counts are few among so many nodes
            at = int(rng.choice([number for number, line in enumerate(lines) if "$" in line or '"' in line or " " not in line]))
        words = lines[at].split() or [""]
        word = int(rng.integers(0, len(words)))
        match rng.integers(0, 8):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[other])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines = lines[: at + 1]
            case number:
                texts = {4: str(rng.choice(ODD)), 5: str(rng.integers(-3, 200)), 6: "x", 7: "9" * 30}
                lines[at] = " ".join([*words[:word], texts[int(number)], *words[word + 1 :]])
    return "\n".join([*lines, ""]).encode()


@pytest.mark.usefixtures("cheap")
def test_meshes(tmp_path: Path) -> None:
    text = write_msh(tmp_path / "whole.msh", layers(**SIZES)).read_text(encoding="utf-8")
    check = Checked(tmp_path, "cell.msh", "fem", MESH)
    check(text.encode())
    assert check.accepted == 1
    words = st.integers(0, 2**64 - 1).map(lambda seed: damaged_mesh(text, seed))
    tools.fuzz(st.one_of(words, words, tools.damaged_bytes(text.encode())), check, 80)


@pytest.mark.usefixtures("cheap")
def test_meshes_with_odd_nodes(tmp_path: Path) -> None:
    write_msh(tmp_path / "whole.msh", layers(**SIZES))
    whole = meshio.gmsh.read(tmp_path / "whole.msh")
    check = Checked(tmp_path, "cell.msh", "fem", MESH)

    def one(item: tuple[list[tuple[int, int, int]], int, bool]) -> None:
        changes, block, drop = item
        points, cells = whole.points.copy(), [(kind.type, kind.data.copy()) for kind in whole.cells]
        for node, axis, value in changes:
            points[node % len(points), axis] = ODD[value]
        data, fields = {key: list(value) for key, value in whole.cell_data.items()}, dict(whole.field_data)
        block %= len(cells)
        if drop:
            del cells[block]
            for values in data.values():
                del values[block]
        else:  # every element on the same nodes
            cells[block][1][:] = cells[block][1][0]
        mesh = meshio.Mesh(points, cells, cell_data=data, field_data=fields)
        mesh.write(tmp_path / "made.msh", file_format="gmsh22", binary=False)
        check((tmp_path / "made.msh").read_bytes())

    change = st.tuples(st.integers(0, 200), st.integers(0, 1), st.integers(0, len(ODD) - 1))
    tools.fuzz(st.tuples(st.lists(change, max_size=3), st.integers(0, 9), st.booleans()), one, 30)


@pytest.mark.parametrize("name", SPECIMENS)
def test_specimens(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specimen = tmp_path / "specimen.yaml"
    run = Drawn(specimen, monkeypatch)
    run(SPECIMENS[name].read_bytes())
    assert run.solved
    tools.fuzz(either(SPECIMENS[name]), run, 25)


def test_meshes_of_specimens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = write_msh(tmp_path / "cell.msh", layers(**SIZES)).read_text(encoding="utf-8")
    specimen, mesh = tmp_path / "specimen.yaml", tmp_path / "plate.msh"
    data = yaml.safe_load(SPECIMENS["notched_tension"].read_text(encoding="utf-8"))
    data["geometry"] = {"shape": "file", "file": str(mesh), "scale [m]": 5e-4}
    specimen.write_text(tools.as_yaml(data), encoding="utf-8")
    run = Drawn(specimen, monkeypatch)

    def check(content: bytes) -> None:
        mesh.write_bytes(content)
        run(specimen.read_bytes())

    check(text.encode())
    assert run.solved
    tools.fuzz(st.integers(0, 2**64 - 1).map(lambda seed: damaged_mesh(text, seed)), check, 30)


class Drawn:
    """`fem-specimen` with a description; what passes ends where the first step of the solver would begin."""

    def __init__(self, specimen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.specimen, self.folder = specimen, specimen.parent / "made"
        self.solved: list[Any] = []
        monkeypatch.setattr(ecmpipe.fem.specimen, "draw", self.draw)

    def draw(self, settings: Any) -> Any:
        """What stands before the first step of the function of this name."""
        mesh = ecmpipe.fem.specimen.build_mesh(settings)
        for box in [*(hold.box for hold in settings.holds), settings.load.box]:
            ecmpipe.fem.specimen.nodes_in(mesh, box)
        ecmpipe.fem.specimen.path(settings)
        assert np.isfinite(mesh.nodes).all() and np.isfinite(mesh.gradients).all() and (mesh.areas > 0).all()
        self.solved.append(mesh)
        raise ConvergenceError(f"{self.specimen}: would be solved")

    def __call__(self, content: bytes) -> None:
        self.specimen.write_bytes(content)
        before = len(self.solved)
        outputs = [f"--{key}={self.folder / key}" for key in ("output", "output-fields", "output-summary")]
        code, lines = tools.call(["fem-specimen", "--specimen", str(self.specimen), *outputs])
        tools.refused(code, lines, re.compile(re.escape(str(self.specimen))), (1 if len(self.solved) > before else 2,))
        assert not self.folder.exists()
