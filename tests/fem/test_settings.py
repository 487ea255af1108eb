"""Settings of the stage: clear errors, narrow steps, stable case names, variants as overlays."""

import pytest

from ecmpipe.errors import SettingsError
from ecmpipe.settings.fem import (
    DEFAULT,
    ParticleGeometry,
    cases,
    check_fillers,
    parameters_step,
    run_step,
    toughness_of,
    variant_settings,
)
from tests.fem.helpers import settings


def test_default_cases():
    assert cases(settings()) == [
        *[(DEFAULT, "none", rate) for rate in ("1", "5", "10")],
        (DEFAULT, "polyamide", "1"),
        (DEFAULT, "pdms", "1"),
        *[("cohesive", filler, "1") for filler in ("none", "polyamide", "pdms")],
        ("paper", "none", "1"),
        ("behind", "polyamide", "1"),
        ("behind", "pdms", "1"),
        ("particle", "none", "1"),
    ]


def test_case_names_and_left_out_fillers_and_variants():
    left = {"cohesive": None, "paper": {"none": None}, "behind": {"polyamide": None}, "particle": None}
    chosen = settings({"cases [h-1]": {DEFAULT: {"none": [0.5, "1e1"], "pdms": None}, **left}})
    assert cases(chosen) == [(DEFAULT, "none", "0.5"), (DEFAULT, "none", "10"), (DEFAULT, "polyamide", "1"), ("behind", "pdms", "1")]


def test_another_rate_changes_no_step():
    plain, more = settings(), settings({"cases [h-1]": {DEFAULT: {"none": [1, 5, 10, 20]}}})
    for variant in (DEFAULT, "cohesive"):
        assert run_step(plain, variant).canonical() == run_step(more, variant).canonical()
        assert parameters_step(plain, variant).canonical() == parameters_step(more, variant).canonical()


def test_a_variant_is_an_overlay_that_leaves_the_others_alone():
    plain, more = settings(), settings({"variants": {"soft": {"top": {"hold": "platen"}, "toughness": "computed"}}})
    for variant in (DEFAULT, "cohesive", "paper"):
        assert run_step(plain, variant).canonical() == run_step(more, variant).canonical()
    default, soft = run_step(more, DEFAULT), run_step(more, "soft")
    assert soft.top.hold == "platen" and soft.fracture == default.fracture and soft.geometry == default.geometry
    assert [toughness_of(more, name) for name in ("soft", DEFAULT, "cohesive")] == ["computed", "calibrated", "given"]


def test_a_variant_sets_numbers_another_shape_and_its_own_protocol():
    own = {"variants": {"cycle": {"protocol": [{"do": "charge"}, {"do": "rest", "duration [s]": 60}, {"do": "discharge"}]}}}
    chosen = settings(own)
    numbers = parameters_step(chosen, "cohesive").parameters
    assert numbers.viscous_time.value == 0 and numbers.viscous_time.label == "assumed"
    assert numbers.temperature == chosen.parameters.fem.temperature
    assert parameters_step(chosen, DEFAULT).parameters == chosen.parameters.fem
    particle, _ = variant_settings(chosen, "particle")
    assert isinstance(particle.geometry, ParticleGeometry) and "filler_place" not in particle.geometry.model_dump()
    assert [phase.do for phase in run_step(chosen, "cycle").protocol] == ["charge", "rest", "discharge"]


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ({"cases [h-1]": {DEFAULT: {"none": []}}}, ("cases [h-1]", "default.none", "at least one C-rate")),
        ({"cases [h-1]": {DEFAULT: {"none": [0]}}}, ("cases [h-1].default.none.0", "greater than")),
        ({"cases [h-1]": {DEFAULT: {"none": [1, 1.0]}}}, ("default.none", "twice")),
        ({"cases [h-1]": {DEFAULT: {"none": ["fast"]}}}, ("cases [h-1].default.none.0", "number")),
        ({"cases [h-1]": {"mine": {"none": [1]}}}, ("cases [h-1].mine", "unknown variant", "default, cohesive", "fem.variants")),
        ({"cases [h-1]": dict.fromkeys((DEFAULT, "cohesive", "paper", "behind", "particle"))}, ("cases [h-1]", "at least 1")),
        ({"variants": {DEFAULT: {}}}, ("variants.default", "another name")),
        ({"geometry": {"width [m]": -1e-6}}, ("geometry.width [m]", "-1e-06")),
        ({"geometry": {"width": 1e-6}}, ("geometry.width", "did you mean 'width [m]'")),
        ({"geometry": {"shape": "sphere"}}, ("geometry", "layered", "particle", "file")),
        ({"geometry": {"filler_place": "above"}}, ("filler_place", "between", "behind")),
        ({"fracture": {"gate_end [1]": 0.4}}, ("gate_end", "above gate_start")),
        ({"fracture": {"model": "AT3"}}, ("fracture.model", "PF-CZM")),
        ({"fracture": {"model": "PF-CZM", "band_split": "miehe"}}, ("fracture", "PF-CZM", "band_split: directional")),
        ({"time": {"smallest_step [1]": 0.1}}, ("smallest_step", "step [1] = 0.02")),
        ({"top": {"hold": "free"}}, ("top.hold", "clamped")),
        ({"top": {"hold": "clamped", "pressure [Pa]": 5e7}}, ("top", "5e+07", "clamped top", "hold: platen")),
        ({"top": {"hold": "platen", "pressure [Pa]": -1}}, ("top.pressure [Pa]", "greater than or equal to 0")),
        ({"protocol": []}, ("protocol", "at least 1")),
        ({"protocol": [{"do": "rest"}]}, ("protocol.0", "duration [s]")),
        ({"protocol": [{"do": "rest", "duration [s]": 60, "rate [h-1]": 1}]}, ("protocol.0", "no 'rate [h-1]'")),
        ({"protocol": [{"do": "hold"}]}, ("protocol.0.do", "discharge")),
        ({"protocol": [{"do": "charge", "rate [h-1]": 0}]}, ("protocol.0.rate [h-1]", "greater than 0")),
    ],
)
def test_broken_settings_are_one_clear_line(overlay, words):
    with pytest.raises(SettingsError) as caught:
        settings(overlay)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert all(word in text for word in words), text


def test_a_variant_that_makes_no_valid_case_is_named():
    for overlay, words in (
        ({"geometry": {"shape": "particle"}}, r"fem.variants.odd.geometry.radius \[m\]: missing"),
        ({"top": {"pressure [Pa]": 1e6}}, "fem.variants.odd.top: .*clamped"),
        ({"parameters": {"viscous_time": {"value": -1}}}, "fem.variants.odd.parameters.viscous_time: .*at least 0"),
    ):
        with pytest.raises(SettingsError, match=words):
            variant_settings(settings({"variants": {"odd": overlay}}), "odd")


def test_unknown_filler():
    with pytest.raises(SettingsError, match="default.rubber.*known here: none, polyamide"):
        check_fillers(settings({"cases [h-1]": {DEFAULT: {"rubber": [1]}}}).fem, ["polyamide", "pdms"])
