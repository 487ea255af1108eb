"""One sub-command per workflow step. A command is a function; its options are the function's keyword arguments.

A step function has the form ``run(step: SomeStep, *, input_name: Path, ..., output: Path) -> dict | None``.
Arguments named ``output...`` are results: the CLI writes each one's provenance record beside it. An argument before the ``*`` that is
not ``step`` is written without its name, a ``bool`` is a switch.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import sys
import time
import typing
from collections.abc import Callable
from pathlib import Path

from ecmpipe.errors import CardError, EcmpipeError, SettingsError
from ecmpipe.provenance import hash_files, write_provenance
from ecmpipe.settings.base import Step, validate

COMMANDS = {
    "check": "ecmpipe.check:check",
    "doctor": "ecmpipe.doctor:doctor",
    "readme": "ecmpipe.readme:update_readme",
    "trace": "ecmpipe.trace:trace",
    "verify-results": "ecmpipe.verify_results:verify_results",
    "verify": "ecmpipe.verify.page:verify",
    "dft-structures": "ecmpipe.dft.structures:build_structures",
    "dft-slabs": "ecmpipe.dft.cuts:build_slabs",
    "dft-interface": "ecmpipe.dft.interface:build_interface",
    "dft-inputs": "ecmpipe.dft.inputs:write_inputs",
    "dft-run": "ecmpipe.dft.runs:run_batch",
    "dft-delithiation": "ecmpipe.dft.delithiation:collect_delithiation",
    "dft-crystal": "ecmpipe.dft.crystal:collect_crystal",
    "dft-elastic": "ecmpipe.dft.elasticity:collect_elastic",
    "dft-surfaces": "ecmpipe.dft.surfaces:collect_surfaces",
    "dft-adhesion": "ecmpipe.dft.adhesion:collect_adhesion",
    "md-build": "ecmpipe.md.build:build_cell",
    "md-equilibrate": "ecmpipe.md.equilibrate:equilibrate",
    "md-tensile": "ecmpipe.md.tensile:pull",
    "hyperelastic-fit": "ecmpipe.hyperelastic.fit:fit_card",
    "fem-parameters": "ecmpipe.fem.parameters:collect_parameters",
    "fem-calibrate": "ecmpipe.fem.calibrate:calibrate",
    "fem-run": "ecmpipe.fem.run:run_case",
    "fem-specimen": "ecmpipe.fem.specimen:run_specimen",
    "report-figures": "ecmpipe.report.figures:plot_figures",
    "report-summary": "ecmpipe.report.summary:write_summary",
    "report-page": "ecmpipe.report.page:write_page",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors meant for the user are one line each and an exit code of 1 or 2."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m ecmpipe",
        description="Steps of the ecmpipe workflow, which calls them with all their options; 'snakemake -n -p' shows the calls.",
        epilog="python -m ecmpipe COMMAND --help: what a command reads and writes.",
    )
    parser.add_argument("command", choices=COMMANDS)
    options = parser.parse_args(arguments[:1])
    try:
        return _run(options.command, arguments[1:])
    except OSError as error:
        where = error.filename2 or error.filename or "a file"
        print(f"error: {where}: {error.strerror or error}; see that its disk has room and that you may write there", file=sys.stderr)
        return 1
    except EcmpipeError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return error.exit_code


def _run(command: str, arguments: list[str]) -> int:
    module, name = COMMANDS[command].split(":")
    function = getattr(importlib.import_module(module), name)
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    parser = argparse.ArgumentParser(prog=f"python -m ecmpipe {command}", description=inspect.getdoc(function))
    for key, parameter in parameters.items():
        _add_option(parser, key, hints[key], parameter)
    values = vars(parser.parse_args(arguments))
    step = values.get("step")
    if step is not None:
        values["step"] = validate(hints["step"], _load(step), where=command)
    began = time.time()
    read = _inputs(values) if any(map(_is_output, values)) else []
    inputs = hash_files(read)  # as they are before the step reads them
    outcome = function(**values)
    if changed := [name for name, digest in hash_files(read).items() if digest != inputs[name]]:
        raise CardError(f"{', '.join(changed)}: changed while this step worked; run it again")
    outputs = [path for key, value in values.items() if _is_output(key) for path in _paths(value)]
    if outputs:
        write_provenance(command, values.get("step"), inputs, outputs, outcome or {}, began, values.get("work"))
    return outcome if isinstance(outcome, int) else 0


def _add_option(parser: argparse.ArgumentParser, key: str, hint: typing.Any, parameter: inspect.Parameter) -> None:
    flag, default = "--" + key.replace("_", "-"), parameter.default
    if key != "step" and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
        parser.add_argument(key, type=hint)
        return
    if hint is bool:
        parser.add_argument(flag, action="store_true")
        return
    required = default is inspect.Parameter.empty
    if type(None) in typing.get_args(hint):  # an option that may be left out
        hint = next(item for item in typing.get_args(hint) if item is not type(None))
    many = typing.get_origin(hint) is list
    kind: Callable[[str], typing.Any] = typing.get_args(hint)[0] if many else hint
    if issubclass(kind, Step):
        kind = str
    parser.add_argument(flag, type=kind, nargs="*" if many else None, required=required, default=None if required else default)


def _load(text: str) -> typing.Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"step: not valid JSON ({error}); the workflow writes it, see 'snakemake -n -p'") from None


def _is_output(key: str) -> bool:
    return key.startswith("output")


def _inputs(values: dict[str, typing.Any]) -> list[Path]:
    given = [path for key, value in values.items() if not (_is_output(key) or key == "work") for path in _paths(value)]
    step = values.get("step")
    return given + (_paths([Path(name) for name in step.files()]) if step is not None else [])


def _paths(value: typing.Any) -> list[Path]:
    """The files among the values of an argument; the numbers of an XDMF file lie in the HDF5 file of its name."""
    items = value if isinstance(value, list) else [value]
    found = [item for item in items if isinstance(item, Path) and item.is_file()]
    return found + [heavy for path in found if path.suffix == ".xdmf" and (heavy := path.with_suffix(".h5")).is_file()]
