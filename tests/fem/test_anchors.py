"""The quick anchors of the verification page; the slow ones are `make verify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecmpipe.errors import ConvergenceError, SettingsError
from ecmpipe.verify import page
from ecmpipe.verify.anchors import CHECKS, SLOW, at_most, near


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in SLOW])
def test_anchor(name: str) -> None:
    anchors = CHECKS[name]()
    if not anchors:
        pytest.skip("PyBaMM is not installed; make verify installs it")
    for anchor in anchors:
        assert anchor.holds, f"{anchor.what}: {anchor.value:.6g} {anchor.unit}, {anchor.low:.6g} to {anchor.high:.6g} ({anchor.reference})"


def test_limits() -> None:
    assert at_most("a", "b", 1.0, 1.0).holds and not at_most("a", "b", 1.1, 1.0).holds
    assert near("a", "b", -1.01, -1.0, 0.02).holds and not near("a", "b", 1.03, 1.0, 0.02).holds
    assert not at_most("a", "b", float("nan"), 1.0).holds


def test_page_names_what_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"output": tmp_path / "index.html", "output_numbers": tmp_path / "anchors.json"}
    with pytest.raises(SettingsError, match="no check 'nothing'"):
        page.verify(**outputs, only=["nothing"])
    monkeypatch.setitem(CHECKS, "Mooney-Rivlin", lambda: [at_most("too much", "a law", 2.0, 1.0)])
    with pytest.raises(ConvergenceError, match="1 anchors do not hold: Mooney-Rivlin: too much"):
        page.verify(**outputs, only=["Mooney-Rivlin"])
    assert "does not hold" in (tmp_path / "index.html").read_text()
    assert json.loads((tmp_path / "anchors.json").read_text())["Mooney-Rivlin"][0]["holds"] is False
