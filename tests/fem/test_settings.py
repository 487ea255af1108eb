"""Settings of the stage: clear errors, narrow steps, stable case names."""

import pytest

from ecmpipe.errors import SettingsError
from ecmpipe.settings.fem import cases, check_fillers, parameters_step, run_step
from tests.fem.helpers import settings


def test_default_cases():
    assert cases(settings()) == [("none", "1"), ("none", "5"), ("none", "10"), ("polyamide", "1"), ("pdms", "1")]


def test_case_names_and_left_out_fillers():
    chosen = settings({"c_rates [h-1]": {"none": [0.5, "1e1"], "pdms": None}})
    assert cases(chosen) == [("none", "0.5"), ("none", "10"), ("polyamide", "1")]


def test_another_rate_changes_no_step():
    plain, more = settings(), settings({"c_rates [h-1]": {"none": [1, 5, 10, 20]}})
    assert run_step(plain, "none", "1").canonical() == run_step(more, "none", "1").canonical()
    assert parameters_step(plain, "none").canonical() == parameters_step(more, "none").canonical()


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ({"c_rates [h-1]": {"none": []}}, ("c_rates [h-1]", "at least one C-rate")),
        ({"c_rates [h-1]": {"none": [0]}}, ("c_rates [h-1].none.0", "greater than")),
        ({"c_rates [h-1]": {"none": [1, 1.0]}}, ("twice",)),
        ({"c_rates [h-1]": {"none": ["fast"]}}, ("c_rates [h-1].none.0", "number")),
        ({"geometry": {"width [m]": -1e-6}}, ("geometry.width [m]", "-1e-06")),
        ({"geometry": {"width": 1e-6}}, ("geometry.width", "did you mean 'width [m]'")),
        ({"fracture": {"gate_end [1]": 0.4}}, ("gate_end", "above gate_start")),
        ({"time": {"smallest_step [1]": 0.1}}, ("smallest_step", "step [1] = 0.02")),
        ({"top": "free"}, ("top", "clamped")),
    ],
)
def test_broken_settings_are_one_clear_line(overlay, words):
    with pytest.raises(SettingsError) as caught:
        settings(overlay)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert all(word in text for word in words), text


def test_unknown_filler():
    with pytest.raises(SettingsError, match="rubber.*known here: none, polyamide"):
        check_fillers(settings({"c_rates [h-1]": {"rubber": [1]}}).fem, ["polyamide", "pdms"])
