"""Broken settings: one line that names key, value and remedy, exit code 2, and nothing started."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ecmpipe.check import BASE
from ecmpipe.cli import main
from ecmpipe.settings import read_settings
from tests.conftest import copy_project, snakemake

NCM = "dft.materials.ncm811"
BROKEN = {
    "unknown key": ("md: {polymers: {pdms: {strain_rat: 1e9}}}", ["md.polymers.pdms.strain_rat", "1e9", "strain_rate [s-1]"]),
    "key without unit": ("fem: {geometry: {width: 3e-6}}", ["fem.geometry.width", "3e-6", "width [m]"]),
    "wrong unit of a parameter": (
        "parameters: {fem: {diffusivity_cathode: {unit: cm2.s-1}}}",
        ["parameters.fem.diffusivity_cathode", "cm2.s-1", "m2.s-1"],
    ),
    "wrong unit in a key": ("md: {dynamics: {'cutoff [nm]': 0.85}}", ["md.dynamics.cutoff [nm]", "0.85", "cutoff [m]"]),
    "negative length": ("fem: {geometry: {'width [m]': -3.0e-6}}", ["fem.geometry.width [m]", "-3e-06", "greater than 0"]),
    "empty C-rate list": ("fem: {'cases [h-1]': {default: {none: []}}}", ["fem.cases [h-1]", "default.none", "[]", "at least one C-rate"]),
    "C-rate of zero": (
        "fem: {'cases [h-1]': {default: {none: [0]}}}",
        ["fem.cases [h-1].default.none.0", "0", "greater than or equal to 0.001"],
    ),
    "missing structure file": (
        "dft: {materials: {ncm811: {crystal: inputs/structures/nowhere.yaml}}}",
        [f"{NCM}.crystal", "nowhere.yaml", "no such file"],
    ),
    "missing polymer file": (
        "md: {polymers: {pdms: {description: pdms.yaml}}}",
        ["md.polymers.pdms.description", "pdms.yaml", "no such file"],
    ),
    "text where a number belongs": ("md: {replicas: many}", ["md.replicas", "many", "integer"]),
    "truth value where a number belongs": ("fem: {geometry: {'width [m]': yes}}", ["fem.geometry.width [m]", "true", "number"]),
    "unknown engine": ("dft: {engine: vaps}", ["dft.engine", "vaps", "'ase' or 'vasp'"]),
    "negative U": ("parameters: {dft: {hubbard_u_ni: {value: -6.8}}}", ["parameters.dft.hubbard_u_ni", "-6.8", "at least 0"]),
    "unknown label": (
        "parameters: {fem: {mobile_fraction: {label: guessed}}}",
        ["parameters.fem.mobile_fraction.label", "guessed", "printed"],
    ),
    "unknown filler": (
        "fem: {'cases [h-1]': {default: {nylon: [1]}}}",
        ["fem.cases [h-1].default.nylon", "unknown filler", "polyamide"],
    ),
    "unknown variant": (
        "fem: {'cases [h-1]': {soft: {none: [1]}}}",
        ["fem.cases [h-1].soft", "unknown variant", "cohesive", "fem.variants"],
    ),
    "variant with an unknown key": ("fem: {variants: {paper: {gate: paper}}}", ["fem.variants.paper.gate", "unknown key", "did you mean"]),
    "variant with an unknown parameter": (
        "fem: {variants: {paper: {parameters: {strength: {value: 1}}}}}",
        ["fem.variants.paper.parameters.strength", "unknown key", "interface_strength"],
    ),
    "variant with a negative parameter": (
        "fem: {variants: {paper: {parameters: {viscous_time: {value: -1}}}}}",
        ["fem.variants.paper.parameters.viscous_time", "-1", "at least 0"],
    ),
    "variant named as the settings without one": ("fem: {variants: {default: {}}}", ["fem.variants.default", "another name"]),
    "pressure on a clamped top": ("fem: {top: {'pressure [Pa]': 5.0e+6}}", ["fem.top", "5e+06", "clamped", "hold: platen"]),
    "rest without end": ("fem: {protocol: [{do: rest}]}", ["fem.protocol.0", "rest", "duration [s]"]),
    "empty protocol": ("fem: {protocol: []}", ["fem.protocol", "[]", "at least 1"]),
    "missing mesh file": (
        "fem: {variants: {own: {geometry: {shape: file, file: nowhere.msh, 'scale [m]': 1,"
        " 'band_half_width [1]': 3, 'elements_per_length_scale [1]': 4}}}}",
        ["fem.variants.own.geometry.file", "nowhere.msh", "no such file"],
    ),
    "unknown axis": ("md: {axes: [x, w]}", ["md.axes", "w", "'x', 'y' or 'z'"]),
    "infinite number": ("fem: {time: {'step [1]': .inf}}", ["fem.time.step [1]", "Infinity", ""]),
    "more atoms than sites": (
        "dft: {materials: {lgps: {sites: {Li1: {Li: 13}}}}}",
        ["dft.materials.lgps.charges", "25", "correct charges"],
    ),
    "half a pair": ("dft: {materials: {lgps: {'closest pairs [angstrom]': {Li: 2}}}}", ["closest pairs [angstrom]", '"Li"', "pattern"]),
    "no delithiation": ("dft: {materials: {ncm811: {delithiation: null}}}", ["dft.materials.ncm811.delithiation", "missing"]),
    "C-rate that cannot name a folder": (
        "fem: {'cases [h-1]': {default: {none: [1.23456789]}}}",
        ["fem.cases [h-1]", "default.none", "1.23456789", "round it"],
    ),
    "list instead of sections": ("[1, 2]", ["holds list"]),
    "section emptied": ("dft: null", ["dft", "null", ""]),
    "not YAML": ("fem: {time: [", ["not valid YAML"]),
}


@pytest.fixture
def in_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.usefixtures("in_root")
def test_broken_settings_are_one_clear_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, expected = BROKEN[name]
    overlay = tmp_path / "broken.yaml"
    overlay.write_text(text)
    assert main(["check", "--overlay", str(overlay)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for part in expected:
        assert part in lines[0], lines[0]


@pytest.mark.usefixtures("in_root")
@pytest.mark.parametrize("notation", ["1e8", "1.0e8", "1.0e+8", "100000000", "'1e8'"])
def test_notations_of_one_number_are_one_number(notation: str, tmp_path: Path) -> None:
    overlay = tmp_path / "rate.yaml"
    overlay.write_text(f"md: {{polymers: {{pdms: {{'strain_rate [s-1]': {notation}, points: 2000}}}}}}")
    settings = read_settings([*BASE, overlay])
    reference = tmp_path / "reference.yaml"
    reference.write_text("md: {polymers: {pdms: {'strain_rate [s-1]': 100000000.0, points: 2000}}}")
    assert settings.canonical() == read_settings([*BASE, reference]).canonical()


@pytest.mark.usefixtures("in_root")
@pytest.mark.parametrize("overlay", ["inputs/test.yaml", "inputs/paper.yaml"])
def test_shipped_overlays_are_sound(overlay: str) -> None:
    assert main(["check", "--overlay", overlay]) == 0


@pytest.mark.usefixtures("in_root")
def test_order_of_keys_does_not_matter(tmp_path: Path) -> None:
    turned = []
    for path in BASE:
        data = yaml.safe_load(path.read_text())
        copy = tmp_path / path.name
        copy.write_text(yaml.safe_dump({key: data[key] for key in reversed(data)}, sort_keys=True))
        turned.append(copy)
    assert read_settings(turned).canonical() == read_settings(BASE).canonical()


@pytest.mark.usefixtures("in_root")
@pytest.mark.parametrize("name", ["a b;rm", "../x", "A", "", "{x}"])
@pytest.mark.parametrize("section", ["dft: {{materials: {{'{}': null}}}}", "md: {{polymers: {{'{}': {{}}}}}}"])
def test_names_that_a_shell_or_a_path_would_read_are_refused(section: str, name: str, tmp_path: Path, capsys) -> None:
    overlay = tmp_path / "name.yaml"
    overlay.write_text(section.format(name))
    assert main(["check", "--overlay", str(overlay)]) == 2
    assert "pattern" in capsys.readouterr().err


def test_snakemake_refuses_broken_settings_before_it_plans(tmp_path: Path) -> None:
    folder = copy_project(tmp_path)
    (folder / "broken.yaml").write_text(BROKEN["negative length"][0])
    done = snakemake(folder, "--cores", "1", "--configfile", "broken.yaml")
    assert done.returncode == 2
    errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "fem.geometry.width [m]" in errors[0]
    assert "Traceback" not in done.stderr
    assert not (folder / "results").exists()


@pytest.mark.usefixtures("in_root")
@pytest.mark.parametrize(
    ("section", "text", "expected"),
    [
        ("dft: {{materials: {{lgps: {{crystal: '{}'}}}}}}", "formula: [", "not valid YAML"),
        ("dft: {{materials: {{lgps: {{crystal: '{}'}}}}}}", "formula: LGPS", "missing"),
        ("md: {{polymers: {{pdms: {{description: '{}'}}}}}}", "name: pdms\nunits: 3", "unknown key"),
    ],
)
def test_broken_files_that_the_settings_name_are_found_before_the_run(section, text, expected, tmp_path, capsys) -> None:
    named = tmp_path / "named.yaml"
    named.write_text(text)
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(section.format(named))
    assert main(["check", "--overlay", str(overlay)]) == 2
    errors = capsys.readouterr().err
    assert str(named) in errors and expected in errors and "Traceback" not in errors
