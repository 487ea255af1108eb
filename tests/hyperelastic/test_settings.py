"""What one window for all pulls asks of the settings; seen before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecmpipe.cli import main


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ("hyperelastic: {'window [s]': 2.6e-14}", ("no multiple", "md.polymers.polyamide.points (300)")),
        ("hyperelastic: {'window [s]': 9.0e-13}", ("too long", "md.polymers.pdms", "give at most 5e-13")),
        ("md: {polymers: {pdms: {points: 130, chunks: 10}}}", ("make 'strain_rate [s-1]'", "change points")),
        ("hyperelastic: {window [s]: 1e-13}", ("needs quotes",)),
    ],
)
def test_what_the_window_asks_is_said_by_check(overlay: str, words: tuple, tmp_path: Path, root: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(root)
    path = tmp_path / "overlay.yaml"
    path.write_text(overlay)
    assert main(["check", "--overlay", str(path)]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words), error
    assert "Traceback" not in error


def test_a_polymer_can_be_left_out(tmp_path: Path, root: Path, monkeypatch) -> None:
    monkeypatch.chdir(root)
    path = tmp_path / "overlay.yaml"
    left_out = "fem: {'cases [h-1]': {default: {pdms: null}, cohesive: {pdms: null}, behind: {pdms: null}}}"
    path.write_text(f"md: {{polymers: {{pdms: null}}}}\n{left_out}\n")
    assert main(["check", "--overlay", str(path)]) == 0
