"""Charge on a sound cell against closed forms: slab series, asinh law, contact law, balances of Li and of current."""

import numpy as np
import pytest

from ecmpipe.errors import CardError, ConvergenceError
from ecmpipe.fem.electrochemistry import Chemistry, Electrochemistry
from ecmpipe.fem.mesh import CATHODE
from ecmpipe.fem.tables import Table
from ecmpipe.laws import diffusion, kinetics
from ecmpipe.units import FARADAY
from tests.fem.fixtures import POTENTIAL_V, POTENTIAL_X
from tests.fem.helpers import layers

CHEMISTRY = Chemistry(298.15, 4.92e4, 3.04e-13, 2.2e-12, 5.1e-15, 3.487e4, 0.7, 0.9e-8, 5.1e-4, 1e-2, 0.5, 0.5)
L1 = 2.5e-6
POTENTIAL = Table(POTENTIAL_X, POTENTIAL_V)


def problem(size=0.1e-6, width=0.2e-6):
    cell = layers(cathode=L1, electrolyte=2.5e-6, width=width, band=0.3e-6, size=size, growth=1.2, largest=0.2e-6)
    return Electrochemistry(cell, CHEMISTRY, POTENTIAL)


def charge_to(echem, rate, throughput, step, contact=None, x_start=0.99):
    current = rate * diffusion.one_c_current_density(CHEMISTRY.site_density, L1)
    whole = np.ones(len(echem.cell.triangles))
    contact = np.ones(len(echem.cell.interface)) if contact is None else contact
    charge = echem.rest(x_start)
    for _ in range(round(throughput / step)):
        charge = echem.step(charge, step * 3600 / rate, current, whole, contact, 1e-11, 25)
    return charge, current


@pytest.mark.parametrize("rate", [1, 5, 10])
def test_s1_to_s3_surface_content_follows_the_slab_series(rate):
    # A wrong sign in S.1 or S.2 sends the surface the other way.
    echem = problem()
    charge, current = charge_to(echem, rate, 0.2, 0.2 / 400)
    fall = diffusion.slab_surface_depletion(0.2 * 3600 / rate, current, CHEMISTRY.diffusivity_cathode, L1)[0]
    surface = charge.x_li[echem.cell.interface]
    assert np.ptp(surface) < 1e-5
    assert surface.mean() == pytest.approx(0.99 - fall / CHEMISTRY.site_density, abs=2e-4)


def test_charge_transfer_follows_the_asinh_law_and_parts_add_up():
    # S.5 with alpha = 1/2, S.7-S.9.
    echem = problem()
    charge, current = charge_to(echem, 10, 0.2, 0.02)
    seen = echem.observe(charge, current, np.ones(len(echem.cell.interface)))
    node = echem.cell.interface[0]
    exchange = kinetics.cathode_exchange_current(5.1e-4, charge.x_li[node], charge.ion[node], 0.5)
    assert seen["charge transfer"] == pytest.approx(kinetics.charge_transfer_overpotential(current, exchange, 298.15), rel=1e-4)
    parts = sum(seen[name] for name in ("charge transfer", "cathode diffusion", "electrolyte", "anode"))
    assert parts == pytest.approx(seen["eta"], rel=1e-9)
    assert all(seen[name] > 0 for name in ("charge transfer", "cathode diffusion", "electrolyte", "anode"))


def test_contact_law():
    # At a preset contact fraction A: eta_ct = (2RT/F) asinh(i/(2 i0 A)).
    echem = problem(width=0.4e-6)
    for share in (1.0, 0.5, 0.1):
        contact = np.full(len(echem.cell.interface), share)
        charge, current = charge_to(echem, 1, 0.02, 0.01, contact, x_start=0.6)
        seen = echem.observe(charge, current, contact)
        node = echem.cell.interface[0]
        exchange = kinetics.cathode_exchange_current(5.1e-4, charge.x_li[node], charge.ion[node], 0.5)
        assert seen["charge transfer"] == pytest.approx(kinetics.charge_transfer_overpotential(current / share, exchange, 298.15), rel=1e-6)


def test_li_and_current_balance_with_an_uneven_interface():
    # S.2, S.13 and S.14 share one sign convention or this fails.
    echem = problem(width=0.6e-6)
    contact = np.linspace(1, 1e-3, len(echem.cell.interface))
    start = echem.lithium(echem.rest(0.99))
    charge, current = charge_to(echem, 5, 0.1, 0.01, contact)
    assert abs(echem.lithium(charge) - start) <= 1e-12 * start
    assert echem.observe(charge, current, contact)["current imbalance"] <= 1e-8
    plated = current * echem.cell.width * 0.1 * 3600 / 5 / FARADAY
    assert charge.plated == pytest.approx(plated, rel=1e-9)
    mean = echem.observe(charge, current, contact)["mean"]
    assert mean == pytest.approx(0.89, abs=1e-9)


def test_s12_ohmic_drop_of_the_electrolyte():
    # Before the counter charge moves: phi falls along +y by i L2 /(F f D+ c), S.10-S.15 at rest otherwise.
    echem = problem()
    charge, current = charge_to(echem, 10, 1e-5, 1e-5)
    phi = charge.phi / echem.f
    drop = phi[echem.cell.interface].mean() - phi[echem.cell.anode].mean()
    both = (CHEMISTRY.diffusivity_lithium_ion + CHEMISTRY.diffusivity_counter_charge) * CHEMISTRY.rest[0]
    assert drop == pytest.approx(current * 2.5e-6 / (FARADAY * echem.f * both), rel=1e-3)
    assert phi[echem.cell.anode].mean() > 0  # S.16-S.18 on charge


def test_jacobian_is_the_derivative_of_the_residual():
    echem = problem(size=0.15e-6)
    charge, current = charge_to(echem, 5, 0.05, 0.025)
    before = echem.rest(0.99)
    whole, contact = np.random.default_rng(0).uniform(0.1, 1, len(echem.cell.triangles)), np.full(len(echem.cell.interface), 0.7)
    _, data = echem._assemble(charge, before, 20.0, current, whole, contact)
    direction = np.random.default_rng(1).normal(size=echem.size)
    h = 1e-6

    def at(sign):
        moved = echem._move(charge, sign * h * direction)
        return echem._assemble(moved, before, 20.0, current, whole, contact)[0]

    change, image = (at(1) - at(-1)) / (2 * h), echem.pattern.matrix(data) @ direction
    scale = np.abs(image)
    assert np.max(np.abs(change - image)) <= 1e-6 * scale.max()
    rows = echem.x_dof[echem.solid]
    assert np.linalg.norm((change - image)[rows]) <= 1e-6 * np.linalg.norm(image[rows])


def test_no_convergence_is_an_error_not_a_result():
    echem = problem(size=0.15e-6)
    with pytest.raises(ConvergenceError, match="residual"):
        echem.step(echem.rest(0.99), 36.0, 3.3, np.ones(len(echem.cell.triangles)), np.ones(len(echem.cell.interface)), 1e-11, 1)


def test_tables_are_monotone_and_extended():
    x = np.linspace(0.05, 1, 400)
    values = POTENTIAL(x)
    assert (np.diff(values) < 0).all()
    assert np.allclose(POTENTIAL(np.array(POTENTIAL_X)), POTENTIAL_V)
    h = 1e-6
    assert np.allclose(POTENTIAL.slope(x), (POTENTIAL(x + h) - POTENTIAL(x - h)) / (2 * h), atol=1e-4)
    with pytest.raises(CardError, match="distinct"):
        Table([0.5, 0.5], [1.0, 2.0])


def test_layers_hold_their_own_fields():
    echem = problem()
    assert (echem.cathode_mass[echem.cell.anode] == 0).all()
    assert echem.cathode_mass.sum() == pytest.approx(echem.cell.areas[echem.cell.layer == CATHODE].sum())


def test_l1_is_the_cathode_and_l2_the_electrolyte():
    # Table S1 prints them the other way round, against S.2 and S.13.
    cell = layers(cathode=2e-6, electrolyte=3e-6, width=1e-6, band=0.3e-6, size=0.1e-6, growth=1.5, largest=0.4e-6)
    assert cell.areas[cell.layer == CATHODE].sum() == pytest.approx(2e-6 * 1e-6)
    assert np.allclose(cell.nodes[cell.interface][:, 1], 2e-6) and np.allclose(cell.nodes[cell.anode][:, 1], 5e-6)
    assert np.allclose(cell.nodes[cell.fixed_y][:, 1], 0) and cell.thickness == pytest.approx(2e-6)
