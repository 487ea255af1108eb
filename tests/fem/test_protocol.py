"""Charge, rest and discharge on a coarse mesh: how phases end, what they conserve, and contact that comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecmpipe.deadline import Deadline
from ecmpipe.errors import SettingsError
from ecmpipe.fem.model import Model
from ecmpipe.fem.output import COLUMNS, frame_of, history_row
from ecmpipe.fem.run import _go
from ecmpipe.fem.staggered import FIRST_STEP, run_protocol
from ecmpipe.fem.state import Record, State, load, save
from ecmpipe.laws import fracture
from tests.fem.helpers import layers, model
from tests.fem.test_shapes import write_msh

CYCLE = [{"do": "charge"}, {"do": "rest", "duration [s]": 600}, {"do": "discharge"}]
PHASE, CONTACT, THROUGHPUT = "Phase of the protocol [1]", "Contact fraction [1]", "Throughput Q [1]"


def go(case: Model, folder: Path) -> tuple[State, Record, pd.DataFrame]:
    record = Record()
    state = _go(case, case.start(), record, folder / "checkpoint.npz", "key", "test", Deadline())
    return state, record, pd.DataFrame(record.rows, columns=list(COLUMNS))


def keeps_what_it_must(table: pd.DataFrame) -> None:
    """Balances, bounds and what never falls, at every accepted step of any protocol."""
    assert table["Li imbalance [1]"].max() <= 1e-10
    assert table["Current imbalance [1]"].max() <= 1e-8
    assert table["Largest crack field d [1]"].between(0, 1 + 1e-6).all()
    assert table[CONTACT].between(0, 1).all() and table["Li content mean x [1]"].between(0, 1).all()
    for column in ("Time [s]", THROUGHPUT, PHASE, "Largest crack field d [1]", "Crack length [m]", "Viscous dissipation [J.m-1]"):
        assert (np.diff(table[column]) >= 0).all(), column
    parts = [f"{part} overpotential [V]" for part in ("Charge transfer", "Cathode diffusion", "Electrolyte", "Anode")]
    assert np.allclose(table[parts].sum(axis=1), table["Overpotential [V]"], atol=1e-9)


@pytest.fixture(scope="module")
def cycle(tmp_path_factory) -> tuple[Model, State, Record, pd.DataFrame]:
    """At 1C a charge to Q = 0.3, ten minutes of rest, a discharge at C/2 to 3.6 V; nothing cracks."""
    folder = tmp_path_factory.mktemp("cycle")
    protocol = [*CYCLE[:2], {"do": "discharge", "rate [h-1]": 0.5}]
    numbers = {"lower_cut_off_voltage": 3.6}
    case = model(folder, {"protocol": protocol, "time": {"largest_throughput [1]": 0.3}}, numbers=numbers)
    return case, *go(case, folder)


def test_each_phase_ends_for_its_own_reason(cycle):
    _, state, record, table = cycle
    assert record.ends[:2] == ["throughput cap 0.3 reached", "duration 600 s reached"]
    assert record.ends[2] == record.reason == "cut-off voltage 3.6 V reached"
    times = table.groupby(PHASE)["Time [s]"].max()
    assert times[0.0] == pytest.approx(0.3 * 3600) and times[1.0] - times[0.0] == pytest.approx(600)
    assert 3.6 - 5e-3 <= table["Voltage [V]"].iloc[-1] <= 3.6
    assert (table["Voltage [V]"].iloc[:-1] > 3.6)[table[PHASE] == 2].all()
    assert state.phase == 2 and [str(frame["what"]) for frame in record.frames].count("end") == 1
    assert {"end of charge", "end of rest"} <= {str(frame["what"]) for frame in record.frames}


def test_the_current_has_the_sign_and_the_rate_of_its_phase(cycle):
    case, _, _, table = cycle
    current = table["Current density [A.m-2]"] / case.one_c
    for phase, rate, sign in ((0, 1.0, 1), (1, 0.0, 0), (2, -0.5, -1)):
        here = table[PHASE] == phase
        assert current[here].to_numpy() == pytest.approx(rate)
        if sign:
            assert (sign * table["Overpotential [V]"][here] > 0).all()
            assert (sign * np.diff(table["Li content mean x [1]"][here]) < 0).all()


def test_li_and_current_balance_throughout(cycle):
    _, state, _, table = cycle
    keeps_what_it_must(table)
    # what the three phases passed is what the cathode holds less
    passed = (table["Current density [A.m-2]"] * np.diff(table["Time [s]"], prepend=0.0)).cumsum()
    fall = passed / passed[table[PHASE] == 0].max() * 0.3
    assert (0.99 - table["Li content mean x [1]"]).to_numpy() == pytest.approx(fall.to_numpy(), abs=1e-9)
    assert state.charge.plated > 0


def test_throughput_adds_up_and_stands_still_at_rest(cycle):
    _, state, _, table = cycle
    rate = table[PHASE].map({0.0: 1.0, 1.0: 0.0, 2.0: 0.5})
    expected = (rate * np.diff(table["Time [s]"], prepend=0.0) / 3600).cumsum()
    assert table[THROUGHPUT].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-12)
    assert np.ptp(table[THROUGHPUT][table[PHASE] == 1]) == 0
    assert state.throughput == table[THROUGHPUT].iloc[-1]


def test_rest_lets_the_voltage_relax_to_its_equilibrium(cycle):
    _, _, _, table = cycle
    eta = table["Overpotential [V]"]
    charge, rest = eta[table[PHASE] == 0], eta[table[PHASE] == 1]
    assert rest.iloc[0] < 0.5 * charge.iloc[-1]  # charge transfer and ohmic drop end with the current
    assert (np.diff(rest.abs())[2:] < 0).all()  # it passes its equilibrium once: cathode and electrolyte relax at paces of their own
    assert rest.abs().iloc[-1] < 1e-3 * charge.iloc[-1]
    ends = table[table[PHASE] == 1][["Li content at interface x [1]", "Li content mean x [1]"]].iloc[-1]
    assert ends.iloc[0] == pytest.approx(ends.iloc[1], abs=1e-5)


def test_a_new_current_starts_with_short_steps(cycle):
    _, _, _, table = cycle
    first = np.diff(table["Time [s]"], prepend=0.0)[table[PHASE].diff() == 1] / 3600
    assert first == pytest.approx(FIRST_STEP * 0.02 / np.array([1.0, 0.5]))  # the discharge runs at C/2, and its steps with it


def test_a_duration_ends_a_charge_too_and_marks_belong_to_the_first_phase(tmp_path):
    protocol = [{"do": "charge", "duration [s]": 700}, {"do": "discharge", "duration [s]": 600}]
    state, record, table = go(model(tmp_path, {"protocol": protocol}), tmp_path)
    assert record.ends == ["duration 700 s reached", "duration 600 s reached"]
    assert state.time == pytest.approx(1300)
    assert np.isclose(table[THROUGHPUT], 1 / 6).any()  # the shipped mark
    assert not np.isclose(table[THROUGHPUT][table[PHASE] == 1] - 700 / 3600, 1 / 6).sum() > 1


def test_a_cathode_that_is_full_ends_the_discharge_at_the_cut_off(tmp_path):
    # x cannot pass 1: the exchange current vanishes there and the voltage falls without bound within a step.
    protocol = [{"do": "charge", "duration [s]": 360}, {"do": "discharge"}]
    state, record, table = go(model(tmp_path, {"protocol": protocol}), tmp_path)
    assert record.reason == "cut-off voltage 3 V reached within the next step"
    keeps_what_it_must(table)
    last = table.iloc[-1]
    assert last["Voltage [V]"] == pytest.approx(3.0) and last[PHASE] == 1
    assert 0.998 < last["Li content at interface x [1]"] < 1 and state.charge.x_li.max() <= 1


def test_a_cut_off_in_the_first_step_of_a_phase_is_not_written_into_the_phase_before(tmp_path):
    protocol = [{"do": "charge", "duration [s]": 360}, {"do": "discharge"}]
    state, record, table = go(model(tmp_path, {"protocol": protocol}, numbers={"lower_cut_off_voltage": 3.9}), tmp_path)
    assert record.reason == "cut-off voltage 3.9 V reached within the next step"
    assert (table[PHASE] == 0).all() and table["Voltage [V]"].iloc[-1] < 3.7
    assert state.phase == 1 and state.phase_time == 0


def test_a_checkpoint_in_the_middle_of_a_protocol_is_taken_up_where_it_was(cycle, tmp_path):
    case, state, record, table = cycle
    seen = []

    def interrupted(before, after, so_far, counts):
        seen.append(after)
        so_far.rows.append(history_row(case, before, after, so_far, (1.0, 0.0), counts | {"newton": 0}))
        if len(seen) == 25:
            raise KeyboardInterrupt

    part = Record()
    with pytest.raises(KeyboardInterrupt):
        run_protocol(case, case.start(), part, interrupted)
    assert seen[-1].phase == 1  # at rest
    part.frames.append(frame_of(case, seen[-1], "rest"))
    save(tmp_path / "checkpoint.npz", "key", seen[-1], part)
    found, again = load(tmp_path / "checkpoint.npz", "key")
    assert again.ends == ["throughput cap 0.3 reached"] and found.phase == 1 and found.phase_time == seen[-1].phase_time
    last = _go(case, found, again, tmp_path / "checkpoint.npz", "key", "test", Deadline())
    assert again.ends == record.ends and len(again.rows) == len(table)
    assert last.charge.voltage == state.charge.voltage and (last.u == state.u).all()


COHESIVE = {"numbers": {"viscous_time": 0.0}}
CRACKED = {
    "AT2": ({"fracture": {"model": "AT2"}, "time": {"largest_throughput [1]": 0.57}}, {"numbers": {"interface_toughness": 0.18}}),
    "AT1": ({"fracture": {"model": "AT1"}, "time": {"largest_throughput [1]": 0.57}}, {"numbers": {"interface_toughness": 0.08}}),
    "PF-CZM": ({"fracture": {"model": "PF-CZM"}, "time": {"largest_throughput [1]": 0.57}}, COHESIVE),
}


@pytest.fixture(scope="module", params=CRACKED)
def cracked(request, tmp_path_factory) -> tuple[str, Model, State, Record, pd.DataFrame]:
    """A charge that ends after the crack, a rest and the discharge back to the first Li content, with each crack model."""
    folder = tmp_path_factory.mktemp("cracked")
    overlay, more = CRACKED[request.param]
    case = model(folder, {"protocol": CYCLE}, overlay, **more)
    return request.param, case, *go(case, folder)


def test_a_cracked_cycle_keeps_balances_and_bounds_with_every_crack_model(cracked):
    name, case, _, record, table = cracked
    keeps_what_it_must(table)
    assert len(record.ends) == 3 and not record.reason.startswith("stopped"), name
    assert record.onset is not None and 0.3 < record.onset[0] < 0.6
    assert case.crack.model.name == name
    # what a jump leaves in the balance is no error of the rest
    assert table["Energy imbalance [1]"][table[THROUGHPUT] < record.onset[0] - 0.02].abs().max() < 0.02


def test_contact_is_lost_on_charge_and_comes_back_on_discharge(cracked):
    name, case, state, _, table = cracked
    charge, discharge = (table[table[PHASE] == phase] for phase in (0, 2))
    assert charge[CONTACT].iloc[0] == 1 and charge[CONTACT].iloc[-1] < 0.05, name
    assert discharge[CONTACT].iloc[0] < 0.05 and discharge[CONTACT].iloc[-1] > 0.95
    assert (np.diff(discharge[CONTACT]) > 0).sum() >= 3
    assert discharge["Largest opening [m]"].iloc[-1] < 0.2 * discharge["Largest opening [m]"].iloc[0]
    assert case.interface_crack(state).min() > 0.9  # the crack itself does not heal
    # a whole interface again: the overpotential is that of a sound cell, until the cathode is full
    eta = discharge["Overpotential [V]"].abs()
    assert eta[discharge[CONTACT] > 0.95].min() < 0.1 * eta.iloc[0]


def test_at1_and_pf_czm_are_whole_before_their_onset_and_at2_is_not(cracked):
    name, _, _, _, table = cracked
    early = table[table[THROUGHPUT] <= 0.1]["Largest crack field d [1]"]
    assert (early.max() == 0) == (name != "AT2")


def test_the_traction_of_pf_czm_peaks_near_its_strength(tmp_path):
    peaks = {}
    for strength in (7e7, 5e7):
        numbers = {"viscous_time": 0.0, "interface_strength": strength}
        time = {"largest_throughput [1]": 0.5}
        _, _, table = go(model(tmp_path, {"fracture": {"model": "PF-CZM"}, "time": time}, numbers=numbers), tmp_path)
        peaks[strength] = table["Interface traction [Pa]"].max() / strength
    assert all(0.85 < peak <= 1.05 for peak in peaks.values()), peaks


def test_pf_czm_refuses_a_length_scale_that_snaps_back_by_name(tmp_path):
    numbers = {"interface_strength": 1e9}
    with pytest.raises(SettingsError, match="length_scale: .*too long for PF-CZM .*interface_strength 1e[+]09 Pa; at most ") as caught:
        model(tmp_path, {"fracture": {"model": "PF-CZM"}}, numbers=numbers)
    longest = float(str(caught.value).split("at most ")[1].split()[0])
    held = model(tmp_path, {"fracture": {"model": "PF-CZM"}}, numbers=numbers | {"length_scale": 0.98 * longest, "viscous_time": 0.0})
    ratio = held.crack.a1.ravel()[held.crack.driven].min()
    assert 1.5 <= ratio < 1.6
    modulus = (held.mechanics.lam + 2 * held.mechanics.mu)[held.crack.driven].min()
    assert ratio == pytest.approx(fracture.cohesive_ratio(modulus, 0.5, 0.98 * longest, 1e9))


SHELL = {
    "shape": "particle",
    "radius [m]": 1.5e-6,
    "half_width [m]": 2.5e-6,
    "band_half_width [1]": 3,
    "elements_per_length_scale [1]": 1,
    "largest_element [m]": 0.4e-6,
    "growth [1]": 2.0,
}
SHAPES = {
    "behind": ("pdms", {}),
    "particle": ("none", {"variants": {"particle": {"geometry": {"elements_per_length_scale [1]": 1, "growth [1]": 2.0}}}}),
    "shell": ("pdms", {"variants": {"shell": {"geometry": SHELL}}}),
}


@pytest.mark.parametrize("variant", SHAPES)
def test_other_places_of_the_filler_and_other_shapes_keep_the_same(variant, tmp_path):
    filler, overlay = SHAPES[variant]
    case = model(tmp_path, {"time": {"largest_throughput [1]": 0.1}}, overlay, filler=filler, variant=variant)
    state, record, table = go(case, tmp_path)
    assert record.reason == "throughput cap 0.1 reached"
    keeps_what_it_must(table)
    assert table["Li content mean x [1]"].iloc[-1] == pytest.approx(0.89, abs=1e-9)  # 1C is of the cathode's area whatever its shape
    assert table["Energy imbalance [1]"].abs().max() < 0.02
    assert (state.u.reshape(-1, 2)[case.cell.fixed_x, 0] == 0).all() and (state.u.reshape(-1, 2)[case.cell.fixed_y, 1] == 0).all()


@pytest.mark.parametrize("filler", ["none", "pdms"])
def test_a_mesh_file_runs_like_the_cell_it_holds(filler, tmp_path):
    thickness = 0.075 * 2.5e-6 if filler == "pdms" else 0.0
    sizes = {"band": 0.3e-6, "size": 0.05e-6, "growth": 2.0, "largest": 0.4e-6}
    cell = layers(cathode=2.5e-6, electrolyte=2.5e-6, width=0.6e-6, filler=thickness, **sizes)
    path = write_msh(tmp_path / "cell.msh", cell)
    own = {"shape": "file", "file": str(path), "scale [m]": 1e-6, "band_half_width [1]": 3, "elements_per_length_scale [1]": 2}
    overlay = {"time": {"largest_throughput [1]": 0.1}, "variants": {"own": {"geometry": own}}}
    tables = {}
    for variant in ("default", "own"):
        _, _, table = go(model(tmp_path / variant, overlay, filler=filler, variant=variant), tmp_path / variant)
        keeps_what_it_must(table)
        tables[variant] = table.iloc[-1]
    for column in ("Voltage [V]", "Interface traction [Pa]", "Elastic energy [J.m-1]", "Largest crack field on the interface d [1]"):
        assert tables["own"][column] == pytest.approx(tables["default"][column], rel=0.01), column
    other = "pdms" if filler == "none" else "none"
    with pytest.raises(SettingsError, match="the mesh is not; give variants"):
        model(tmp_path / "other", overlay, filler=other, variant="own")


def test_a_filler_behind_the_lithium_costs_no_overpotential(tmp_path):
    # It is off the way of the ions: before any crack the voltage is that of the cell without one; between, its length adds resistance.
    charge = {"time": {"largest_throughput [1]": 0.04}}
    eta = {}
    for variant, filler in (("default", "none"), ("behind", "pdms"), ("default", "pdms")):
        _, _, table = go(model(tmp_path, charge, filler=filler, variant=variant), tmp_path / variant / filler)
        eta[variant, filler] = table["Overpotential [V]"].iloc[-1]
    assert eta["behind", "pdms"] == pytest.approx(eta["default", "none"], rel=1e-6)
    assert eta["default", "pdms"] > eta["default", "none"] * (1 + 1e-4)
