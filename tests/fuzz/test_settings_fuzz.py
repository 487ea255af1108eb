"""Damaged settings and parameters: `check` says whole lines that name the key, ends with 2, starts nothing, and never hangs.

What it accepts must be plannable: frozen, read back, cut into steps, and with no name that leaves its folder.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

import ecmpipe.check
from ecmpipe.check import BASE
from ecmpipe.settings import Settings, dft, dft_runs, fem, hyperelastic, md, read_settings, report
from ecmpipe.settings.base import merge, validate
from tests.fuzz import tools

SECTIONS = ("dft", "fem", "hyperelastic", "md", "parameters", "report")
DEFAULTS: dict[str, Any] = {}
for path in BASE:
    DEFAULTS = merge(DEFAULTS, yaml.safe_load((Path(__file__).parents[2] / path).read_text(encoding="utf-8")))
SAFE = re.compile(r"[A-Za-z0-9_.-]+")  # a part of a path under results/, and a word on a command line


def plan(settings: Settings) -> None:
    """All that the workflow makes of settings before it starts a job."""
    text = settings.canonical()
    assert validate(Settings, json.loads(text)).canonical() == text
    steps, names = [dft.surfaces_step(settings), fem.calibrate_step(settings), report.figures_step(settings)], []
    for material, chosen in settings.dft.materials.items():
        steps += [make(settings, material) for make in (dft.structures_step, dft.slabs_step, dft.crystal_step, dft.elastic_step)]
        steps += [dft.delithiation_step(settings, material)] if chosen.delithiation else []
        steps += [dft_runs.inputs_step(settings, material, system) for system in ("bulk", "surface")]
        steps += [dft_runs.run_step(settings, material, batch) for batch in dft_runs.batches(settings, material)]
        names += [material, *dft_runs.batches(settings, material)]
    if settings.dft.interface:
        steps += [dft.interface_step(settings), dft.adhesion_step(settings)]
        batches = dft_runs.batches(settings, dft.INTERFACE)
        steps += [dft_runs.run_step(settings, dft.INTERFACE, batch) for batch in batches]
        names += [dft.INTERFACE, *batches]
    names += [task.name for step in steps if isinstance(step, dft_runs.RunStep) for task in step.tasks]
    for polymer in settings.md.polymers:
        steps += [make(settings, polymer) for make in (md.build_step, md.equilibrate_step, md.tensile_step, hyperelastic.fit_step)]
        names.append(polymer)
        names += [stage.name for stage in settings.md.polymers[polymer].equilibration]
    for variant, filler, rate in fem.cases(settings):
        steps += [fem.parameters_step(settings, variant), fem.run_step(settings, variant)]
        names += [variant, filler, rate]
    for step in steps:  # as the workflow hands it over, and as its record is written
        assert type(step).model_validate(json.loads(step.canonical())).canonical() == step.canonical()
        json.dumps(step.model_dump(mode="json"), allow_nan=False)
    for name in names:
        assert SAFE.fullmatch(name) and name.strip("."), f"a name for a path: {name!r}"


def checked(overlays: list[Path], names: re.Pattern[str]) -> bool:
    """Run `check` on the overlays; whether they were accepted."""
    code, lines = tools.call(["check", "--overlay", *map(str, overlays)])
    if code == 0:
        assert not lines
        with tools.in_time():
            plan(read_settings([*ecmpipe.check.BASE, *overlays]))
    else:
        tools.refused(code, lines, names)
    return code == 0


def naming(data: Any, *files: Path) -> re.Pattern[str]:
    """What a line may begin with: a key path of the settings, a section, or one of the files."""
    keys = [*SECTIONS, "settings", *(str(key) for key in (data if isinstance(data, dict) else ()))]
    starts = [re.escape(key.encode("unicode_escape").decode()) for key in keys] + [re.escape(key) for key in keys]
    return re.compile(rf"(?:{'|'.join(starts)})[.:]|(?:{'|'.join(re.escape(str(file)) for file in [*files, 'inputs/'])})")


@pytest.mark.usefixtures("cheap")
def test_overlays_with_damaged_keys(tmp_path: Path) -> None:
    target, accepted = tmp_path / "overlay.yaml", []

    def check(chosen: list[tuple[tools.Path_, int]]) -> None:
        over = tools.overlay(DEFAULTS, tools.damaged(DEFAULTS, chosen))
        target.write_text(tools.as_yaml(over), encoding="utf-8")
        accepted.append(checked([target], naming(over, target)))

    tools.fuzz(tools.edits(DEFAULTS), check, 420)
    assert 5 < sum(accepted) < 0.5 * len(accepted)  # the corpus has both kinds


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("base", BASE, ids=lambda path: path.stem)
def test_files_with_keys_that_are_gone(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = yaml.safe_load(base.read_text(encoding="utf-8"))
    target = tmp_path / base.name
    monkeypatch.setattr(ecmpipe.check, "BASE", [path for path in BASE if path != base])

    def check(chosen: list[tuple[tools.Path_, int]]) -> None:
        data = tools.damaged(whole, chosen)
        target.write_text(tools.as_yaml(data), encoding="utf-8")
        checked([target], naming(data, target))

    both = st.tuples(tools.edits(whole), st.lists(st.sampled_from(tools.places(whole)), min_size=1, max_size=2))
    tools.fuzz(both.map(lambda pair: pair[0][:1] + [(place, 0) for place in pair[1]]), check, 40)


@pytest.mark.usefixtures("cheap")
def test_overlays_with_damaged_bytes(tmp_path: Path) -> None:
    text = b"fem: {'cases [h-1]': {default: {none: [1, 5]}}, geometry: {'width [m]': 2.0e-6}}\nmd:\n  boxes: 2\n  axes: [x, y]\n"
    text += b'parameters:\n  fem:\n    cut_off_voltage: {value: 4.2, unit: V, label: printed, source: "SI"}\n'
    target = tmp_path / "overlay.yaml"

    def check(damage: bytes) -> None:
        target.write_bytes(damage)
        checked([target], re.compile(r"[^\s]"))

    tools.fuzz(tools.damaged_bytes(text), check, 150)
