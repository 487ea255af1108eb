"""The whole chain on small sizes, and which steps an edit reruns."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ecmpipe.cli import main
from tests.conftest import copy_project, snakemake

Run = tuple[Path, dict[str, str]]
REPORT = {"Report: draw the figures", "Report: collect the headline numbers", "Report: write results/report/index.html"}


def planned(run: Run, *edits: str) -> set[str]:
    """The jobs that a dry run plans after ``edits`` (YAML texts laid over inputs/test.yaml), by their messages."""
    folder, env = run
    overlays = []
    for number, text in enumerate(edits):
        overlay = folder / f"edit_{number}.yaml"
        overlay.write_text(text)
        overlays.append(overlay.name)
    done = snakemake(folder, "-n", "--profile", "profiles/local", "--configfile", "inputs/test.yaml", *overlays, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"^Job \d+: (.*)$", done.stdout + done.stderr, re.MULTILINE))


def test_the_chain_reaches_the_report(finished_run: Run) -> None:
    folder, _ = finished_run
    summary = json.loads((folder / "results/report/summary.json").read_text())
    assert set(summary) >= {"engines", "dft", "hyperelastic", "fem"}
    assert summary["dft"]["ncm811"]["youngs_modulus [Pa]"] > 0
    assert summary["hyperelastic"]["polyamide"]["C10 [Pa]"] + summary["hyperelastic"]["polyamide"]["C01 [Pa]"] > 0
    for name, case in summary["fem"].items():
        assert case["largest Li imbalance [1]"] <= 1e-10, name
        assert 0 <= case["contact fraction at end [1]"] <= 1
        assert {"onset throughput [1]", "onset time [s]", "largest overpotential [V]"} <= set(case)
    page = (folder / "results/report/index.html").read_text()
    assert "http://" not in page and "https://" not in page
    assert page.count("data:image/png") == len(list((folder / "results/report/figures").glob("*.png")))


def test_contact_falls_and_the_overpotential_grows_with_the_rate(finished_run: Run) -> None:
    folder, _ = finished_run
    one, five = (pd.read_csv(folder / f"results/fem/default/none/{rate}C/history.csv") for rate in (1, 5))
    for table in (one, five):
        assert (table["Contact fraction [1]"].diff().dropna() <= 1e-12).all()
        assert table["Largest crack field d [1]"].between(0, 1 + 1e-6).all()
    early = 0.1
    eta = [table.loc[(table["Throughput Q [1]"] - early).abs().idxmin(), "Overpotential [V]"] for table in (one, five)]
    assert 0 < eta[0] < eta[1]


def test_every_result_carries_its_provenance(finished_run: Run) -> None:
    folder, _ = finished_run
    results = [
        path
        for path in (folder / "results").rglob("*.json")
        if not any(part.endswith("work") for part in path.parts) and ".provenance" not in path.name
    ]
    assert results
    for path in results:
        record = json.loads(path.with_name(path.name + ".provenance.json").read_text())
        assert {"command", "step", "inputs", "engine", "packages", "host", "wall [s]", "sha256"} <= set(record), path


def test_every_file_has_a_record_that_fits_and_an_edit_is_named_with_its_readers(
    finished_run: Run, tmp_path: Path, monkeypatch, capsys
) -> None:
    folder, _ = finished_run
    for name in ("inputs", "results"):
        shutil.copytree(folder / name, tmp_path / name, ignore=shutil.ignore_patterns("work", "*.work"))
    monkeypatch.chdir(tmp_path)
    code = main(["verify-results"])
    assert code == 0, capsys.readouterr().out
    edited = Path("results/fem/default/none/1C/fields.h5")
    data = bytearray(edited.read_bytes())
    data[len(data) // 2] ^= 1
    edited.write_bytes(data)
    capsys.readouterr()
    assert main(["verify-results"]) == 1
    named = {line.split(":")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("results/")}
    assert named == {str(edited)} | {str(path) for path in Path("results/report/figures").glob("*.png")}
    assert main(["trace", "results/report/index.html"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.endswith("[changed]") == line.startswith(f"    {edited} ") for line in lines)
    read = {line.split()[0] for line in lines if line.endswith("input of the project")}
    assert read == {f"inputs/{name}.yaml" for name in ("structures/ncm811", "structures/lgps", "polymers/polyamide", "polymers/pdms")}


def test_a_second_run_plans_nothing(finished_run: Run) -> None:
    assert planned(finished_run) == set()


def cases(*names: str) -> set[str]:
    """The jobs of these cases, given as "variant filler rate...": their numbers and their runs."""
    found = set()
    for variant, filler, *rates in (name.split() for name in names):
        found |= {f"FEM: every number of the {variant} case, filler {filler}, with its source"}
        found |= {f"FEM: {variant} case at {rate} C, filler {filler}" for rate in rates}
    return found


PDMS = cases("default pdms 1", "cohesive pdms 1")
FROM_SURFACES = {"DFT: surface energies"} | cases("default none 1 5") | PDMS


def test_u_of_nickel_touches_ncm811_its_interface_and_what_follows(finished_run: Run) -> None:
    jobs = planned(finished_run, "parameters: {dft: {hubbard_u_ni: {value: 6.7}}}")
    assert jobs == REPORT | FROM_SURFACES | {
        "DFT: write the VASP inputs of ncm811 bulk",
        "DFT: write the VASP inputs of ncm811 surface",
        "DFT: calculate relaxation of ncm811",
        "DFT: calculate strains of ncm811",
        "DFT: cut the slabs of ncm811 from its relaxed bulk",
        "DFT: calculate surface of ncm811",
        "DFT: V(x) and E_eq(x) of ncm811",
        "DFT: the relaxed cell of ncm811",
        "DFT: elastic constants of ncm811",
        "DFT: match the two slabs to one interface",
        "DFT: calculate lower of interface",
        "DFT: work of adhesion of the interface",
    }


def test_the_vacuum_of_one_slab_touches_that_slab_alone(finished_run: Run) -> None:
    jobs = planned(finished_run, "dft: {materials: {lgps: {slab: {'vacuum [angstrom]': 22}}}}")
    assert jobs == REPORT | FROM_SURFACES | {
        "DFT: cut the slabs of lgps from its relaxed bulk",
        "DFT: write the VASP inputs of lgps surface",
        "DFT: calculate surface of lgps",
    }


def test_a_separation_more_touches_the_interface_alone(finished_run: Run) -> None:
    jobs = planned(finished_run, "dft: {interface: {'separations [angstrom]': [0.5, 1.0, 2.0, 3.0, 5.0]}}")
    assert jobs == {
        "DFT: calculate lower of interface",
        "DFT: work of adhesion of the interface",
        "Report: collect the headline numbers",
        "Report: write results/report/index.html",
    }


def test_strain_rate_of_pdms_touches_its_pulls_its_fit_its_cells(finished_run: Run) -> None:
    jobs = planned(finished_run, "md: {polymers: {pdms: {'strain_rate [s-1]': 2.0e+11}}}")
    ours = {"MD: pull pdms, box 0, along x, replica 0", "Hyperelastic: fit S.37 to the pdms curves"}
    assert jobs == REPORT | ours | PDMS


def test_one_more_box_is_grown_relaxed_and_pulled_for_every_polymer(finished_run: Run) -> None:
    jobs = planned(finished_run, "md: {boxes: 2}")
    ours = {f"MD: {what} pdms, box 1" for what in ("grow", "equilibrate")} | {"MD: pull pdms, box 1, along x, replica 0"}
    ours |= {"Hyperelastic: fit S.37 to the pdms curves"}
    assert jobs == REPORT | PDMS | ours | {job.replace("pdms", "polyamide") for job in ours}


def test_how_lammps_is_run_plans_its_steps_anew(finished_run: Run) -> None:
    jobs = planned(finished_run, "md: {lammps: {command: [srun, lmp]}}")
    assert {"MD: equilibrate pdms, box 0", "MD: pull pdms, box 0, along x, replica 0"} <= jobs
    assert "MD: grow pdms, box 0" not in jobs


def test_one_more_rate_is_one_more_case(finished_run: Run) -> None:
    jobs = planned(finished_run, "fem: {'cases [h-1]': {default: {none: [1, 5, 10]}}}")
    assert jobs == REPORT | {"FEM: default case at 10 C, filler none"}


def test_a_variant_more_is_computed_beside_the_others(finished_run: Run) -> None:
    jobs = planned(finished_run, "fem: {'cases [h-1]': {paper: {none: [1]}}}")
    assert jobs == REPORT | cases("paper none 1")


def test_what_a_variant_sets_touches_its_cases_alone(finished_run: Run) -> None:
    jobs = planned(finished_run, "fem: {variants: {cohesive: {time: {'step [1]': 0.015}}}}")
    assert jobs == REPORT | {"FEM: cohesive case at 1 C, filler pdms"}
    jobs = planned(finished_run, "fem: {variants: {cohesive: {parameters: {interface_strength: {value: 8.0e+7}}}}}")
    assert jobs == REPORT | cases("cohesive pdms 1")
    assert planned(finished_run, "fem: {variants: {behind: {time: {'step [1]': 0.015}}}}") == set()  # no case of it runs


def test_notation_and_style_rerun_what_they_must(finished_run: Run) -> None:
    assert planned(finished_run, "parameters: {dft: {cutoff_energy: {value: 500.0}}}") == set()
    assert planned(finished_run, "md: {polymers: {pdms: {'strain_rate [s-1]': 1e11}}}") == set()
    assert planned(finished_run, "report: {dots_per_inch: 120}") == {"Report: draw the figures", "Report: write results/report/index.html"}


@pytest.mark.parametrize("arguments", [("--profile", "slurm", "-n"), ("--profile", "slurm", "-n", "--configfile", "inputs/paper.yaml")])
def test_the_literal_slurm_command_plans(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = snakemake(copy_project(tmp_path), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    tensile = re.search(r"^md_tensile +(\d+)", done.stdout + done.stderr, re.MULTILINE)
    assert tensile and int(tensile.group(1)) == (60 if "inputs/paper.yaml" in arguments else 6)
