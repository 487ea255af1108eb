"""The search for the toughness, on a law instead of a cell, and once on a coarse cell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecmpipe.cards import ToughnessCard, read_card
from ecmpipe.errors import ConvergenceError
from ecmpipe.fem import calibrate as module
from ecmpipe.fem.calibrate import CLOSE, calibrate, find
from ecmpipe.settings.fem import calibrate_step
from tests.fem.fixtures import write_cards
from tests.fem.helpers import COARSE, settings


@pytest.mark.parametrize("start", [0.02, 0.165, 3.0])
def test_the_search_meets_the_wanted_onset(start: float) -> None:
    seen = []

    def onset(toughness: float) -> float:  # steeper below, flat above, as the volume of the cathode makes it
        seen.append(toughness)
        return min(0.9, 0.8 * toughness**0.4)

    assert abs(onset(find(onset, start, 0.45)) - 0.45) <= CLOSE
    assert len(set(seen)) == len(seen) - 1 <= 8  # none twice but for the last, which is asked for here


def test_a_first_trial_that_fits_is_taken_as_it_is() -> None:
    assert find(lambda toughness: 0.452, 0.165, 0.45) == 0.165


def test_no_toughness_is_an_error_that_names_the_last() -> None:
    with pytest.raises(ConvergenceError, match="10 trials.*Q = 0.45.*at 0.9"):
        find(lambda toughness: 0.9, 0.165, 0.45)


def test_a_coarse_cell_is_calibrated_and_trials_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = write_cards(tmp_path / "cards")
    names = ("cathode_crystal", "cathode_elastic", "electrolyte_crystal", "electrolyte_elastic", "surfaces", "delithiation")
    step = calibrate_step(settings(COARSE))
    output, work = tmp_path / "toughness.json", tmp_path / "work"
    calibrate(step, **{name: cards[name] for name in names}, output=output, work=work)
    card = read_card(ToughnessCard, output)
    assert card.onset == pytest.approx(0.45, abs=CLOSE) and card.model == "AT2"
    assert [card.toughness, card.onset] in card.trials
    assert all((one[0] < other[0]) == (one[1] < other[1]) for one in card.trials for other in card.trials if one != other)
    monkeypatch.setattr(module, "onset_of", lambda model: pytest.fail("computed again"))
    calibrate(step, **{name: cards[name] for name in names}, output=output, work=work)
    assert json.loads((work / "trials.json").read_text())["trials"] == card.trials
