"""Snakemake does not see the package's code: whoever changes what a stage computes must say so by its VERSION."""

from __future__ import annotations

import json

import pytest

from tests.versions import RECORD, STAGES, fingerprint, found


@pytest.mark.parametrize("stage", STAGES)
def test_changed_code_is_a_new_version_or_declared_harmless(stage: str) -> None:
    recorded, here = json.loads(RECORD.read_text())[stage], found()[stage]
    assert here == recorded, (
        f"the code of '{stage}' changed. If its results change, raise VERSION in ecmpipe/settings/{STAGES[stage][0]}.py, so that they are "
        "computed anew; in either case 'make versions' records the code as it is"
    )


def test_docstrings_and_comments_do_not_count(tmp_path, monkeypatch) -> None:
    from tests import versions

    monkeypatch.setattr(versions, "PACKAGE", tmp_path)
    (tmp_path / "laws").mkdir()
    path, prints = tmp_path / "laws/a.py", []
    for text in (
        "def f():\n    '''One.'''\n    return 1\n",
        "# why\ndef f():\n    '''Two.'''\n\n    return 1\n",
        "def f():\n    return 2\n",
    ):
        path.write_text(text)
        prints.append(fingerprint(("laws",)))
    assert prints[0] == prints[1] != prints[2]
