"""Fingerprints of the code that computes a stage. `make versions` writes them anew; a bump of VERSION is a decision of whoever edits."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "ecmpipe"
RECORD = Path(__file__).with_name("versions.json")
STAGES = {  # stage: its settings module and the folders whose code its results come from
    "dft": ("dft", ("dft", "engines")),
    "md": ("md", ("md", "engines", "laws")),
    "hyperelastic": ("hyperelastic", ("hyperelastic", "laws")),
    "fem": ("fem", ("fem", "laws")),
    "report": ("report", ("report",)),
}


def fingerprint(folders: tuple[str, ...]) -> str:
    """Hash of the syntax trees of all modules in ``folders``: comments, layout and docstrings do not count."""
    text = []
    for folder in folders:
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                body = getattr(node, "body", None)
                if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                    body[0] = ast.Pass()
            text.append(f"{path.relative_to(PACKAGE)} {ast.dump(tree)}")
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]


def found() -> dict[str, dict[str, int | str]]:
    """Version and fingerprint of every stage as they are."""
    return {
        stage: {"version": importlib.import_module(f"ecmpipe.settings.{module}").VERSION, "code": fingerprint(folders)}
        for stage, (module, folders) in STAGES.items()
    }


if __name__ == "__main__":
    RECORD.write_text(json.dumps(found(), indent=1) + "\n", encoding="utf-8")
