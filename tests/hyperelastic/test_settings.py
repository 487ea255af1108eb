"""Names of coefficients that make no material are refused with the reason."""

from __future__ import annotations

import pytest

from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import validate
from ecmpipe.settings.hyperelastic import HyperelasticSettings
from tests.hyperelastic.samples import settings


@pytest.mark.parametrize("names", [["C10", "C01", "kappa1"], ["kappa1", "C10"], ["C10", "C01", "C11", "C20", "kappa1", "kappa2"]])
def test_names_that_make_a_material(names: list[str]) -> None:
    assert settings(coefficients=names).coefficients == names


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["C00", "C10", "kappa1"], "C00 stores energy in a body at rest"),  # the misprint of S.33
        (["C10", "C10", "kappa1"], "'C10' stands twice"),
        (["C10", "C01"], "without kappa1"),
        (["C20", "kappa1"], "without C10 or C01"),
        (["kappa1"], "without C10 or C01"),
        ([], "without C10 or C01"),
        (["C10", "kappa"], "'kappa' is no coefficient of S.33"),
        (["C10", "kappa0", "kappa1"], "'kappa0' is no coefficient"),
        (["c10", "kappa1"], "'c10' is no coefficient"),
    ],
)
def test_names_that_make_none(names: list[str], words: str) -> None:
    data = settings().model_dump(mode="json") | {"coefficients": names}
    with pytest.raises(SettingsError) as error:
        validate(HyperelasticSettings, data, where="hyperelastic")
    message = str(error.value).lower()
    assert words.lower() in message and message.startswith("hyperelastic.coefficients: ") and "\n" not in message


@pytest.mark.parametrize(("key", "value"), [("bootstrap", 0), ("bootstrap", True), ("seed", -1)])
def test_counts_out_of_range(key: str, value: int) -> None:
    with pytest.raises(SettingsError, match=f"hyperelastic.{key}"):
        validate(HyperelasticSettings, settings().model_dump(mode="json") | {key: value}, where="hyperelastic")
