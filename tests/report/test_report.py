"""Tables, time marks and costs of the report, on small data made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecmpipe.cards import FemSummaryCard, write_card, write_curve
from ecmpipe.errors import CardError
from ecmpipe.readme import update_readme
from ecmpipe.report.figures import COLOURS, plot_variants, time_marks
from ecmpipe.report.page import read_costs
from ecmpipe.report.results import Case, Frame, read_case, read_fields
from ecmpipe.report.summary import mean_over
from ecmpipe.report.tables import adhesion_rows, comparison_rows, elastic_tables, fracture_rows, surface_rows, variant_rows


def fem_case(onset: float | None) -> dict:
    return {
        "onset throughput [1]": None if onset is None else onset / 3600,
        "onset time [s]": onset,
        "contact fraction at end [1]": 0.25,
        "largest overpotential [V]": 0.123,
        "largest Li imbalance [1]": 3e-12,
        "throughput at end [1]": 0.7,
        "end_reason": "cut-off voltage",
        "details": DETAILS,
    }


DETAILS = {
    "model": "AT2",
    "split in the band": "directional",
    "bulk": "elastic",
    "gate": "smooth",
    "viscous time [s]": 6.0,
    "C-rate [h-1]": 5.0,
    "top": "clamped",
    "pressure of the top [Pa]": 0.0,
    "shape": "layered",
    "filler": "none",
    "interface toughness [J.m-2]": 0.165,
    "interface toughness label": "assumed",
}


def summary(onset: float | None) -> dict:
    stiffness = (np.arange(36).reshape(6, 6) * 1e9).tolist()
    material = {
        "youngs_modulus [Pa]": 113e9,
        "bulk_modulus [Pa]": 1e11,
        "shear_modulus [Pa]": 4e10,
        "poisson_ratio [1]": 0.3,
        "stiffness matrix [Pa]": stiffness,
        "jackknife errors": {"Bulk modulus [Pa]": 2e9, "Shear modulus [Pa]": 1e9, "Young's modulus [Pa]": 4e9, "Poisson ratio [1]": 0.01},
        "surface": "(104)",
        "surface energy [J.m-2]": 0.5875,
        "surface energy, change from the next thinner slab [J.m-2]": 0.0123,
        "volume change at x = 0 [1]": -0.0613,
        "mean equilibrium potential [V]": 3.98,
    }
    return {
        "engines": {"dft": "D", "md": "M", "fem": "F"},
        "dft": {"ncm811": material, "lgps": material},
        "hyperelastic": {"pdms": {"density [kg.m-3]": 936.0, "density standard error [kg.m-3]": 4.2}},
        "fem": {"default/none/1C": fem_case(onset), "paper/none/1C": fem_case(60.0)},
        "interface": None,
        "printed in the SI": {
            "density_pdms": 940,
            "intact_time_1c": 600,
            "crack_time_1c": 1620,
            "crack_time_5c": 323,
            "crack_time_10c": 162,
        },
    }


def test_comparison_sets_the_printed_value_beside_ours() -> None:
    rows = {row[0]: row[1:] for row in comparison_rows(summary(1800.0))}
    assert rows["density of pdms"] == ("0.94 g/cm³", "0.936 ± 0.004 g/cm³", "M")
    assert rows["crack at 1 C"] == ("t = 1620 s (Q = 0.450)", "starts at t = 1800 s (Q = 0.500)", "F")
    assert rows["state at 600 s, 1 C"][1] == "intact"
    assert rows["volume change of NCM811 without Li (calibrated)"][1] == "-6.1 %"


def test_an_early_crack_and_no_crack_are_said() -> None:
    early = {row[0]: row[2] for row in comparison_rows(summary(500.0))}
    never = {row[0]: row[2] for row in comparison_rows(summary(None))}
    assert early["state at 600 s, 1 C"] == "cracked" and never["state at 600 s, 1 C"] == "intact"
    assert never["crack at 1 C"] == "never"
    rows = fracture_rows(summary(None))
    assert rows[0][:2] == ["no filler, 1C", "never"]
    assert rows[1][0] == "paper, no filler, 1C" and rows[1][1] != "never"  # another variant is beside the default, never in its place


def test_variants_are_told_apart() -> None:
    found = summary(None)
    other = DETAILS | {"model": "PF-CZM", "top": "platen", "pressure of the top [Pa]": 5e6, "filler": "behind"}
    found["fem"]["pressed/pdms/1C"] = found["fem"]["default/none/1C"] | {"details": other}
    rows = {row[0]: row[1:] for row in variant_rows(found)}
    assert rows["default"] == ["AT2", "directional", "elastic", "smooth", "30 s", "clamped", "layered", "0.165 J/m² (assumed)"]
    assert rows["pressed"][0] == "PF-CZM *" and rows["pressed"][5:7] == ["platen, 5 MPa *", "layered, filler behind *"]
    assert rows["pressed"][1] == "directional"


def test_half_the_contact_is_an_overpotential_or_a_jump() -> None:
    found = summary(600.0)
    for eta, words in ((0.0123, "12 mV"), (None, "all lost in one jump")):
        half = {"throughput at half contact [1]": 0.2, "overpotential at half contact [V]": eta}
        found["fem"]["default/none/1C"]["details"] = DETAILS | half
        assert fracture_rows(found)[0][4] == words
    assert fracture_rows(summary(600.0))[0][4] == "never"


def test_elastic_tables_pick_the_right_constants() -> None:
    rows = dict(elastic_tables(summary(None))[0][1])
    assert (rows["C11"], rows["C12"], rows["C13"], rows["C33"], rows["C44"], rows["C66"]) == ("0.0", "1.0", "2.0", "14.0", "21.0", "35.0")
    assert rows["E"] == "113.0 ± 4.0" and rows["ν"] == "0.300 ± 0.010"
    assert surface_rows(summary(None))[0] == ("ncm811 (104)", "0.588 (+0.012 from the next thinner slab)")


def test_the_interface_is_shown_with_its_cell_and_only_where_there_is_one() -> None:
    none, some = summary(None), summary(None)
    face = {
        "Work of adhesion [J.m-2]": 0.466,
        "registries": 6,
        "Rigid work of separation [J.m-2]": 0.65,
        "Rigid work of separation, standard error [J.m-2]": 0.02,
        "Rigid strength [Pa]": 3.8e9,
        "Rigid strength, standard error [Pa]": 0.2e9,
        "Steepest slope between two points [Pa]": 4.1e9,
        "Forbidden bonds": {"P-O": 0, "S-O": 2},
        "Centres that lost or won a bond": {"P-S": 0},
    }
    some["interface"] = {
        "cathode": "ncm811",
        "electrolyte": "lgps",
        "cathode_formula": "Li45",
        "electrolyte_formula": "Li40",
        "Area [m2]": 2.53e-18,
        "Principal strains of the electrolyte [1]": [-0.034, 0.002],
        "Atoms [1]": 280,
        "faces": {"lower": face},
    }
    assert adhesion_rows(none) == [] and "work of adhesion" not in str(comparison_rows(none))
    rows = dict(adhesion_rows(some))
    assert rows["cell"] == "253 Å², 280 atoms: Li45 | Li40" and rows["strain of lgps"] == "-3.4 %, +0.2 %"
    assert rows["lower face: reaction"] == "S-O: 2"
    assert (
        "work of adhesion ncm811/lgps, lower face",
        "neither printed nor used by default",
        "0.47 J/m² (indicative)",
        "D",
    ) in comparison_rows(some)


def test_mean_is_the_integral_over_x() -> None:
    x = np.array([0.0, 0.1, 0.5, 1.0])
    assert mean_over(x, 4 - x) == pytest.approx(3.5)


def test_time_marks_are_before_start_run_and_end() -> None:
    times = np.arange(0.0, 2001.0, 100.0)
    contact = np.where(times < 1500, 1.0, np.linspace(1, 0.2, len(times)))
    history = pd.DataFrame({"Time [s]": times, "Contact fraction [1]": contact})
    card = FemSummaryCard.model_validate(fem_case(1500.0))
    case = Case("default", "none", 1.0, "default/none/1C", history, card, Path("fields.xdmf"))
    marks = time_marks(case, [Frame(float(time), {}) for time in times], 600.0)
    assert [name for name, _ in marks][0] == "before the crack" and marks[0][1].time == 600.0
    assert marks[1][1].time == 1500.0 and marks[-1][1].time == 2000.0


def written_case(folder: Path, name: str) -> Case:
    """A case as a run leaves it in ``results/fem``, read back."""
    history = {
        "Time [s]": [1.0, 2.0],
        "Throughput Q [1]": [0.1, 0.2],
        "Contact fraction [1]": [1.0, 0.5],
        "Overpotential [V]": [0.01, -0.02],
    }
    write_curve(folder / name / "history.csv", pd.DataFrame(history))
    write_card(folder / name / "summary.json", FemSummaryCard.model_validate(fem_case(None)))
    return read_case(folder / name)


def test_a_case_knows_its_variant_filler_and_rate(tmp_path: Path) -> None:
    case = written_case(tmp_path, "paper/pdms/0.5C")
    assert (case.variant, case.filler, case.c_rate, case.name) == ("paper", "pdms", 0.5, "paper/pdms/0.5C")
    assert case.title == "paper, 0.5 C, pdms filler"
    assert written_case(tmp_path, "default/none/5C").title == "5 C"


def test_variants_stand_side_by_side_with_their_fillers_by_colour(tmp_path: Path) -> None:
    names = ("default/none/1C", "default/none/5C", "default/pdms/1C", "cohesive/pdms/1C")
    figure = plot_variants([written_case(tmp_path, name) for name in names])
    upper, lower = figure.axes[:2], figure.axes[2:]
    assert [axes.get_title() for axes in upper] == ["default", "cohesive"]
    assert [len(axes.lines) for axes in (*upper, *lower)] == [3, 1, 3, 1]
    assert upper[1].lines[0].get_color() == upper[0].lines[2].get_color() == COLOURS["pdms"]
    styles = [line.get_linestyle() for line in upper[0].lines]
    assert styles[0] == styles[2] != styles[1]  # by C-rate, in every variant alike
    assert (lower[0].lines[0].get_ydata() > 0).all()  # the scale is logarithmic, a discharge has the other sign
    assert [text.get_text() for text in lower[0].get_legend().get_texts()] == ["1 C", "5 C", "1 C, pdms"]


def test_costs_read_what_snakemake_wrote(tmp_path: Path) -> None:
    folder = tmp_path / "fem_run"
    folder.mkdir()
    (folder / "a.tsv").write_text("s\tmax_rss\tcpu_time\n10.5\t300\t9.5\n")
    (folder / "b.tsv").write_text("s\tmax_rss\tcpu_time\n0.5\tNA\tNA\n")
    assert read_costs(tmp_path) == [{"rule": "fem_run", "jobs": 2, "wall": 11.0, "cpu": 9.5, "memory": 300.0}]


def test_damaged_fields_are_named(tmp_path: Path) -> None:
    path = tmp_path / "fields.xdmf"
    path.write_text("<Xdmf>")
    with pytest.raises(CardError, match="fields.xdmf"):
        read_fields(path)


def test_a_readme_without_its_block_is_refused(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing")
    folder = tmp_path / "results/report"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text("{}")
    with pytest.raises(CardError, match="lacks the block"):
        update_readme(readme=readme, results=tmp_path / "results")
    assert readme.read_text() == "nothing"
