"""Hand-over files: written whole or not at all, refused with a clear error when damaged."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ecmpipe.cards import Sourced, read_card, read_curve, read_json, whole_file, write_card, write_curve, write_json
from ecmpipe.errors import CardError

CARD = Sourced(value=3.04e-13, unit="m2.s-1", label="printed", source="SI")


def test_a_card_comes_back_as_it_went(tmp_path: Path) -> None:
    write_card(tmp_path / "card.json", CARD)
    assert read_card(Sourced, tmp_path / "card.json") == CARD


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    write_card(path, CARD)
    with pytest.raises(RuntimeError), whole_file(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert read_card(Sourced, path) == CARD
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "not valid JSON"), ('{"value": 1', "not valid JSON"), ('{"value": 1}', "'unit'"), ('{"value": "x", "unit": "m"}', "'value'")],
)
def test_a_damaged_card_names_the_file_and_the_remedy(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(CardError) as error:
        read_card(Sourced, path)
    assert str(path) in str(error.value) and words in str(error.value) and "rerun" in str(error.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="missing; rerun"):
        read_json(tmp_path / "none.json")


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"x": float("nan")})
    with pytest.raises(CardError, match="missing values"):
        write_curve(tmp_path / "x.csv", pd.DataFrame({"Time [s]": [0.0, float("nan")]}))
    assert not list(tmp_path.iterdir())


def test_curves_keep_every_digit_and_name_missing_columns(tmp_path: Path) -> None:
    table = pd.DataFrame({"Time [s]": [1 / 3, 2e-17]})
    write_curve(tmp_path / "x.csv", table)
    assert (read_curve(tmp_path / "x.csv", ["Time [s]"])["Time [s]"] == table["Time [s]"]).all()
    with pytest.raises(CardError, match="Voltage"):
        read_curve(tmp_path / "x.csv", ["Voltage [V]"])


@pytest.mark.parametrize("text", ["", "Time [s]\n", 'Time [s]\n1\n""\n', "Time [s]\nlater\n", "Time [s]\n1,2\n3\n"])
def test_a_damaged_curve_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(CardError, match="rerun"):
        read_curve(path, ["Time [s]"])
