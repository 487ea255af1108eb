"""Inputs that someone would try on purpose, or by mistake at midnight; each is refused in one line with the expected words."""

from __future__ import annotations

import re
from pathlib import Path

import meshio
import numpy as np
import pytest

from ecmpipe.check import BASE
from ecmpipe.settings import read_settings
from tests.fem.helpers import layers
from tests.fem.test_shapes import SIZES, write_msh
from tests.fuzz import tools

ROOT = Path(__file__).parents[2]
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
ARGUMENTS = "dft: {{ase: {{calculator: {{arguments: {}}}}}}}"
BAND = "'band_half_width [1]': 3, 'elements_per_length_scale [1]': 4"

OVERLAYS: dict[str, tuple[str | bytes, str]] = {
    # YAML that runs or builds something
    "python object": ("fem: !!python/object/apply:os.system ['touch pwned']", "not valid YAML.*python/object"),
    "python module": ("fem: !!python/module:os", "not valid YAML"),
    "python name": ("md: {seed: !!python/name:os.system }", "not valid YAML"),
    "python tuple": ("md: {axes: !!python/tuple [x, y]}", "not valid YAML"),
    "billion laughs": (LAUGHS, "more than .* entries"),
    "billion laughs as arguments": (LAUGHS + ARGUMENTS.format("{x: *i}"), "more than .* entries"),
    "a section within itself": ("fem: &fem {fem: *fem}", "more than .* levels"),
    "a list within itself": ("md: {axes: &a [*a]}", "more than .* levels"),
    "brackets without end": ("[" * 5000, "not valid YAML"),
    "deep sections": (ARGUMENTS.format("{a: " * 60 + "1" + "}" * 60), "more than 40 levels"),
    "an unknown alias": ("fem: *nowhere", "not valid YAML.*nowhere"),
    "two documents": ("fem: {}\n---\nmd: {}", "not valid YAML.*document"),
    "a tag that does not fit a number": ("md: {seed: !!int ''}", "not valid YAML"),
    "a tag that does not fit a truth value": ("md: {seed: !!bool 7}", "not valid YAML"),
    "a tag that does not fit a date": ("md: {seed: !!timestamp x}", "not valid YAML"),
    "a tag that does not fit a section": ("md: !!map [1, 2]", "not valid YAML"),
    "a list as a key": ("md: {[1, 2]: 3}", "not valid YAML"),
    "bytes that are no text": (b"md: {seed: \xff\xfe}", "not valid YAML"),
    "zero bytes": (b"md: {seed: 1\x00}", "not valid YAML"),
    "a program": (b"\x7fELF" + bytes(range(256)), "not valid YAML"),
    "half a surrogate pair": ('report: {dots_per_inch: "\\ud800"}', "not valid YAML.*surrogates"),
    "base64": ("report: {dots_per_inch: !!binary AAAA}", "bytes given"),
    "a set": ("md: {axes: !!set {x, y}}", "set given"),
    "a key twice": ("md: {seed: 1, seed: 2}", "the key 'seed' stands twice"),
    "tabs": ("md:\n\tseed: 1", "not valid YAML"),
    "only a word": ("fem", "holds str, not sections"),
    "only a number": ("1e400", "holds str, not sections"),
    # numbers
    "a number of five thousand digits": ("md: {seed: " + "9" * 5000 + "}", "not valid YAML"),
    "as many in hexadecimal": ("md: {seed: 0x" + "f" * 5000 + "}", "20000 bits"),
    "more than any float": ("fem: {geometry: {'width [m]': 1.0e+400}}", r"fem\.geometry\.width \[m\]: Infinity"),
    "no number": ("fem: {time: {'step [1]': .nan}}", r"fem\.time\.step \[1\]: NaN"),
    "a unit behind a number": ("fem: {geometry: {'width [m]': 3 um}}", r'fem\.geometry\.width \[m\]: "3 um"'),
    "a decimal comma": ("fem: {geometry: {'width [m]': '3,0e-6'}}", r"fem\.geometry\.width \[m\]"),
    "not a number for a calculator": (ARGUMENTS.format("{x: .nan}"), r"dft\.ase\.calculator\.arguments: .*JSON"),
    "a number as a calculator's argument": (ARGUMENTS.format("{1: {2: 3}}"), r"dft\.ase\.calculator\.arguments"),
    "degrees Celsius": ("parameters: {fem: {temperature: {value: 25}}}", r"parameters\.fem\.temperature.*25 K must be at least 200 K"),
    "cm2/s as m2/s": ("parameters: {fem: {diffusivity_cathode: {value: 3.0e-6}}}", r"diffusivity_cathode.*at most 1e-06"),
    "voltages the wrong way round": (
        "parameters: {fem: {lower_cut_off_voltage: {value: 5}}}",
        r"parameters\.fem.*lower_cut_off_voltage.*below",
    ),
    "twice the formula units": (
        "dft: {materials: {ncm811: {formula_units: 24}}}",
        r"ncm811.*formula_units \(24\) must be delithiation\.of \(12\)",
    ),
    # names that a shell, a path or a terminal would read
    "a path as a polymer": ("md: {polymers: {../../etc: {}}}", r"md\.polymers\.\.\./\.\./etc.*pattern"),
    "a command as a polymer": ("md: {polymers: {$(touch pwned): {}}}", r"md\.polymers\.\$\(touch pwned\).*pattern"),
    "a command as a variant": ("fem: {variants: {'; touch pwned': {}}}", r"fem\.variants\.; touch pwned.*pattern"),
    "a path as a filler": ("fem: {'cases [h-1]': {default: {../x: [1]}}}", r"fem\.cases \[h-1\]\.default\.\.\./x.*pattern"),
    "a line break in a key": ('fem: {"a\\nb": 1}', r"fem\.a\\nb: unknown key"),
    "a colour in a key": ('fem: {"a\\e[31mb": 1}', r"fem\.a\\x1b\[31mb: unknown key"),
    "a path as a reference": ("dft: {materials: {ncm811: {delithiation: {reference: ../li}}}}", "reference.*pattern"),
    "a path as a stage": (
        "md: {polymers: {pdms: {equilibration: [{name: ../x, ensemble: minimise}]}}}",
        r"md\.polymers\.pdms\.equilibration\.0\.name.*pattern",
    ),
    "a factory that is a shell": ("dft: {ase: {calculator: {factory: 'os:system; id'}}}", r"dft\.ase\.calculator\.factory"),
    "a second line in INCAR": ('dft: {vasp: {incar: {ALGO: "Fast\\nNSW = 9"}}}', r"dft\.vasp\.incar.*one value"),
    "a second tag in INCAR": ('dft: {vasp: {incar: {IVDW: "12 ; ENCUT = 300"}}}', r"dft\.vasp\.incar.*one value"),
    "a command in one word": ('dft: {vasp: {command: ["srun -n 32 vasp_std"]}}', r"dft\.vasp\.command.*each word for itself"),
    "LAMMPS in one word": ('md: {lammps: {command: ["srun lmp"]}}', r"md\.lammps\.command.*each word for itself"),
    "a calculator that is not installed": (
        "dft: {ase: {calculator: {factory: 'nowhere.to_be:found'}}}",
        r"factory.*no module 'nowhere\.to_be'",
    ),
    "a zero byte in a command": ('dft: {engine: vasp, vasp: {command: ["vasp\\0"]}}', r"dft\.vasp\.command\.0"),
    "a very long unit": ("parameters: {fem: {temperature: {unit: " + "x" * 99_999 + "}}}", r"parameters\.fem\.temperature"),
    # files that are none
    "a device as a crystal": ("dft: {materials: {lgps: {crystal: /dev/zero}}}", r"dft\.materials\.lgps\.crystal.*no such file"),
    "a folder as a polymer": ("md: {polymers: {pdms: {description: inputs}}}", r"md\.polymers\.pdms\.description.*no such file"),
    "a zero byte in a path": ('md: {polymers: {pdms: {description: "a\\0b"}}}', r"md\.polymers\.pdms\.description.*no such file"),
    "a POTCAR as a crystal": ("dft: {materials: {lgps: {crystal: Makefile}}}", "Makefile: not valid YAML"),
    "a mesh that is none": (
        f"fem: {{geometry: {{shape: file, file: README.md, 'scale [m]': 1, {BAND}}}}}",
        r"fem\.cases.*README\.md: meshio cannot read",
    ),
    # shapes that are none
    "a list as the shape": ("fem: {geometry: {shape: [layered]}}", r"fem\.geometry.*layered"),
    "a section as the shape of a variant": ("fem: {variants: {paper: {geometry: {shape: {}}}}}", r"fem\.variants\.paper\.geometry"),
    "a word as a variant's parameters": ("fem: {variants: {paper: {parameters: none}}}", r"fem\.variants\.paper\.parameters.*dictionary"),
    "nothing as a variant": ("fem: {variants: {paper: null}}", r"fem\.variants\.paper.*dictionary"),
    "elements too fine for any memory": ("parameters: {fem: {length_scale: {value: 1.0e-14}}}", r"fem\.cases.*the mesh needs more than"),
    "a graded mesh without end": ("fem: {geometry: {'largest_element [m]': 1.0e-18}}", r"fem\.cases.*the mesh needs more than"),
    "a particle wider than its cell": ("fem: {variants: {particle: {geometry: {'radius [m]': 3.9e-6}}}}", r"fem\.cases.*particle.*no room"),
    "a slab of thousands of atoms": (
        "dft: {materials: {lgps: {slab: {in_plane: [[30, 0], [0, 1]]}}}}",
        r"dft\.materials\.lgps\.slab: .*1500 atoms, more than",
    ),
    "more arrangements than digits": (
        "dft: {materials: {ncm811: {supercell: [30, 1, 1], formula_units: 50, delithiation: {of: 50, removed: [0, 50]}}}}",
        r"dft\.materials\.ncm811.*more than 200000",
    ),
    "a box of a hundred million units": ("md: {polymers: {pdms: {chains: [{count: 10000, units: 10000}]}}}", r"md\.polymers\.pdms.*chains"),
    "thousands of sites": ("dft: {materials: {lgps: {supercell: [5, 3, 2]}}}", r"dft\.materials\.lgps"),
}


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("name", OVERLAYS)
def test_overlays(name: str, tmp_path: Path) -> None:
    text, words = OVERLAYS[name]
    overlay = tmp_path / "overlay.yaml"
    overlay.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    code, lines = tools.call(["check", "--overlay", str(overlay)])
    tools.refused(code, lines, re.compile(rf"{re.escape(str(overlay))}|(dft|fem|md|hyperelastic|parameters|report|[a-z])[.:]|Makefile"))
    assert any(re.search(words, line) for line in lines), lines


@pytest.mark.parametrize("overlay", ["inputs", "nowhere.yaml", "x" * 5000, "Makefile/x"])
def test_overlays_that_are_no_files(overlay: str) -> None:
    code, lines = tools.call(["check", "--overlay", overlay])
    tools.refused(code, [line.replace(overlay, "FILE") for line in lines], re.compile("FILE: cannot read this settings file"))


CRYSTALS = {
    "two sites in one place": ("position: [0, 0, 0.5]", "position: [0, 0.5, 0.6907]", "within 0.5 A"),
    "a species that is none": ("species: Ge", "species: Xx", "species"),
    "a space group that is none": ("space_group: P4_2/nmc", "space_group: P9", "P9"),
    "a cell that is flat": ("angles [deg]: [90, 90, 90]", "angles [deg]: [30, 30, 90]", "crystal"),
    "a place far outside": ("position: [0, 0, 0.5]", "position: [0, 0, 1.0e+9]", "position"),
    "no site": ("sites:", "sites: []\nreferences: {}\nnotes:", "sites"),
    "a site that the settings miss": ("label: M1", "label: M2", "charges"),
}


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("name", CRYSTALS)
def test_crystals(name: str, tmp_path: Path) -> None:
    old, new, words = CRYSTALS[name]
    text = (ROOT / "inputs/structures/lgps.yaml").read_text(encoding="utf-8")
    text = text.replace("species: P, position: [0, 0.5", "species: Ge, position: [0, 0.5")
    assert old in text
    (tmp_path / "crystal.yaml").write_text(text.replace(old, new), encoding="utf-8")
    (tmp_path / "overlay.yaml").write_text(f"dft: {{materials: {{lgps: {{crystal: {tmp_path / 'crystal.yaml'}}}}}}}", encoding="utf-8")
    code, lines = tools.call(["check", "--overlay", str(tmp_path / "overlay.yaml")])
    tools.refused(code, lines, re.compile(rf"{re.escape(str(tmp_path))}|dft\.materials\.lgps"))
    assert words in lines[0]


SPECIMENS = {
    "a grid for no memory": ("0.00375e-3]]", "0.00375e-12]]", "the mesh needs more than"),
    "a load for no lifetime": ("2.5e-7]", "2.5e-16]", "are too many"),
    "nothing left": ("  slits [m]: [[0, 0.5e-3, 0.5e-3, 0.5e-3]]", "  removed [m]: [[-1, -1, 1, 1]]", "no triangle is left"),
    "a load beside the plate": ("box [m]: [0, 1.0e-3, 1.0e-3, 1.0e-3]\n  dir", "box [m]: [5, 5, 6, 6]\n  dir", "holds no node"),
    "a slit off the grid": ("[[0, 0.5e-3, 0.5e-3, 0.5e-3]]", "[[0, 0.3e-3, 0.5e-3, 0.3e-3]]", "no line of the grid"),
    "a file that is none": ("shape: grid", "shape: file\n  file: README.md\n  scale [m]: 1", "geometry"),
}


@pytest.mark.parametrize("name", SPECIMENS)
def test_specimens(name: str, tmp_path: Path) -> None:
    old, new, words = SPECIMENS[name]
    text = (ROOT / "inputs/specimens/notched_tension.yaml").read_text(encoding="utf-8")
    assert old in text
    specimen = tmp_path / "specimen.yaml"
    specimen.write_text(text.replace(old, new), encoding="utf-8")
    outputs = [f"--{key}={tmp_path / 'made' / key}" for key in ("output", "output-fields", "output-summary")]
    code, lines = tools.call(["fem-specimen", "--specimen", str(specimen), *outputs])
    tools.refused(code, lines, re.compile(rf"{re.escape(str(specimen))}"))
    assert words in lines[0] and not (tmp_path / "made").exists()


MESHES = {
    "a flat triangle": lambda mesh: mesh.cells[0].data.__setitem__(0, mesh.cells[0].data[0][[0, 0, 1]]),
    "a node that is no number": lambda mesh: mesh.points.__setitem__(5, np.nan),
    "a node at infinity": lambda mesh: mesh.points.__setitem__(5, np.inf),
}


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("name", MESHES)
def test_meshes(name: str, tmp_path: Path) -> None:
    path = write_msh(tmp_path / "cell.msh", layers(**SIZES))
    mesh = meshio.gmsh.read(path)
    MESHES[name](mesh)
    mesh.write(path, file_format="gmsh22", binary=False)
    geometry = f"geometry: {{shape: file, file: {path}, 'scale [m]': 1.0e-6, {BAND}}}"
    (tmp_path / "overlay.yaml").write_text(f"fem: {{{geometry}}}", encoding="utf-8")
    code, lines = tools.call(["check", "--overlay", str(tmp_path / "overlay.yaml")])
    tools.refused(code, lines, re.compile(r"fem\.cases \[h-1\]\.default\.none: fem\.geometry\.file"))
    assert "no area, or nodes that are not finite" in lines[0]


@pytest.mark.usefixtures("cheap")
def test_a_mesh_without_the_filler_of_its_case_is_refused_before_the_run(tmp_path: Path) -> None:
    path = write_msh(tmp_path / "cell.msh", layers(**SIZES))
    geometry = f"geometry: {{shape: file, file: {path}, 'scale [m]': 1.0e-6, {BAND}}}"
    overlay = f"fem: {{variants: {{own: {{{geometry}}}}}, 'cases [h-1]': {{own: {{pdms: [1]}}}}}}"
    (tmp_path / "overlay.yaml").write_text(overlay, encoding="utf-8")
    code, lines = tools.call(["check", "--overlay", str(tmp_path / "overlay.yaml")])
    tools.refused(code, lines, re.compile(r"fem\.cases \[h-1\]\.own\.pdms: the mesh has no surface of a filler"))


def test_a_hostile_path_stays_a_value(tmp_path: Path) -> None:
    folder = tmp_path / "$(touch pwned); 'a b'"
    folder.mkdir()
    crystal = folder / "lgps.yaml"
    crystal.write_bytes((ROOT / "inputs/structures/lgps.yaml").read_bytes())
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f'dft: {{materials: {{lgps: {{crystal: "{crystal}"}}}}}}', encoding="utf-8")
    assert read_settings([*BASE, overlay]).dft.materials["lgps"].crystal == str(crystal)


@pytest.mark.parametrize("step", ["[" * 5000, "9" * 5000, '{"version": ' * 3000])
def test_steps_that_python_cannot_read(step: str) -> None:
    code, lines = tools.call(["report-page", "--step", step, "--summary", "x", "--figures", "x", "--parameters", "x", "--output", "x"])
    tools.refused(code, lines, re.compile("step: "))
