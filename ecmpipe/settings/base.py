"""The base of every settings model, and the one-line errors made of pydantic's.

Dimensional keys carry their unit in brackets, in the form ``strain_rate [s-1]``; a number of the
physics is a `Parameter`: value, unit, label and source.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ecmpipe.errors import SettingsError

Label = Literal["printed", "computed", "literature", "assumed", "calibrated"]


class Model(BaseModel):
    """A frozen record that refuses unknown keys, infinities and NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True)

    def canonical(self) -> str:
        """One sorted JSON text: equal settings give equal text, whatever the order or notation they came in."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


class Step(Model):
    """Exactly what one workflow step reads; its canonical text is the step's rerun trigger.

    ``version`` is raised by hand when the code of the stage changes what a step computes.
    """

    version: int

    def files(self) -> list[str]:
        """The files that these settings name and the step reads."""
        return []


class Parameter(Model):
    """A number of the physics with its address."""

    value: float
    unit: str
    label: Label
    source: str


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a truth value stands where a number belongs")
    return value


# A name is part of paths and command lines.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Number = Annotated[float, BeforeValidator(_refuse_bool)]
Count = Annotated[int, BeforeValidator(_refuse_bool)]


def existing_file(value: str) -> str:
    """A path that is a file, seen from the project's root."""
    try:
        found = Path(value).is_file()
    except OSError:
        found = False
    if not found:
        raise ValueError("no such file; give its path from the project's root (examples lie in inputs/)")
    return value


def quantity(unit: str, *, gt: float | None = None, ge: float | None = None, lt: float | None = None, le: float | None = None):
    """A `Parameter` field with a fixed unit and a range; the value is never converted silently."""

    def check(parameter: Parameter) -> Parameter:
        if parameter.unit != unit:
            raise ValueError(f"unit '{parameter.unit}' given, '{unit}' expected: convert the value and write the unit '{unit}'")
        value = parameter.value
        for word, limit, holds in (
            ("above", gt, gt is None or value > gt),
            ("at least", ge, ge is None or value >= ge),
            ("below", lt, lt is None or value < lt),
            ("at most", le, le is None or value <= le),
        ):
            if not holds:
                raise ValueError(f"value {value:g} {unit} must be {word} {limit:g} {unit}")
        return parameter

    return Annotated[Parameter, AfterValidator(check)]


def separate_words(command: list[str]) -> list[str]:
    """A command whose program is one word; ``["srun lmp"]`` would be looked for as a program of that name."""
    if " " in command[0] and not Path(command[0]).is_file():
        raise ValueError(f"'{command[0]}' is no program; write each word for itself: {command[0].split() + command[1:]}")
    return command


DEEPEST = 40  # lists and sections within each other
LARGEST = 200_000  # entries, an alias counted wherever it stands
LONGEST_LINE = 1_000  # characters of a message
LONGEST = 1_000  # bits of a whole number; Python refuses to print far longer ones


def _bounded(value: Any, depth: int = 0, left: list[int] | None = None) -> None:
    """Raise a ValueError where ``value`` holds what no settings hold, and what no JSON or no memory could."""
    left = [LARGEST] if left is None else left
    left[0] -= 1
    if depth > DEEPEST or left[0] < 0:
        raise ValueError(f"more than {DEEPEST} levels or {LARGEST} entries, aliases written out; write less")
    if isinstance(value, bytes | set):
        raise ValueError(f"{type(value).__name__} given ({_short(value)}); write numbers, words, lists and keys")
    if isinstance(value, int) and value.bit_length() > LONGEST:
        raise ValueError(f"a whole number of {value.bit_length()} bits; write a shorter one")
    if isinstance(value, str):
        value.encode("utf-8")  # half of a surrogate pair is no text
    for item in [*value.keys(), *value.values()] if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        _bounded(item, depth + 1, left)


class _NoKeyTwice:
    """YAML would silently take the last of equal keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        if not isinstance(node, yaml.MappingNode):
            raise yaml.constructor.ConstructorError(None, None, "keys with values expected", node.start_mark)
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for number, key in enumerate(keys) if key in keys[:number]), None)
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"the key '{twice[1]}' stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


class SafeLoader(_NoKeyTwice, yaml.SafeLoader):
    """YAML with numbers and truth values."""


class PlainLoader(_NoKeyTwice, yaml.BaseLoader):
    """YAML whose words all stay words: ``NO`` is no truth value."""


def read_yaml(path: Path, what: str, loader: type = SafeLoader) -> Any:
    """The content of a YAML file; ``what`` names the kind of file in the `SettingsError` when it cannot be read."""
    try:
        data = yaml.load(Path(path).read_text(encoding="utf-8"), loader)
        _bounded(data)
        return data
    except OSError as error:
        raise SettingsError(f"{path}: cannot read this {what} ({error.strerror}); give the path of one") from None
    # the last four: PyYAML's on tags that do not fit what they stand before, as !!bool 7
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, LookupError, AttributeError, OverflowError) as error:
        hint = "; inside { } a key with its unit needs quotes" if "flow mapping" in str(error) else ""
        raise SettingsError(f"{path}: not valid YAML ({' '.join(str(error).split())}){hint}; correct this {what}") from None


def validate(model: type[Model], data: Any, *, where: str = "") -> Any:
    """Validate ``data`` as ``model``; a failure is one `SettingsError` of one line per problem."""
    try:
        _bounded(data)
    except ValueError as error:
        raise SettingsError(f"{where or 'settings'}: {error}") from None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [_one_line(_explain(item, model, where)) for item in error.errors(include_url=False)]
        raise SettingsError("\n".join(lines)) from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid over ``base``, section by section."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _explain(item: dict[str, Any], model: type[Model], where: str) -> str:
    given_path = [str(part) for part in item["loc"]]
    location, _ = _walk(model, given_path)
    key = ".".join(([where] if where else []) + location) or "settings"
    given = _short(item.get("input"))
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        known = known_keys(model, given_path[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        remedy = f"did you mean '{near[0]}'?" if near else f"known keys here: {', '.join(known)}"
        return f"{key}: unknown key (value {given}); {remedy}"
    if item["type"] == "missing":
        return f"{key}: missing; add it (the files in inputs/ show every key)"
    return f"{key}: {given} is not accepted: {message[0].lower()}{message[1:]}"


def _one_line(text: str) -> str:
    """What a file put into it neither breaks the line nor fills the screen."""
    text = text.replace("\n", "\\n")
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 100]} ... {text[-95:]}"


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


def known_keys(model: Any, path: list[str]) -> list[str]:
    """The keys that the model at ``path`` accepts; empty when the path leaves the models."""
    return [field.alias or name for name, field in getattr(_walk(model, path)[1], "model_fields", {}).items()]


def _walk(model: Any, path: list[str]) -> tuple[list[str], Any]:
    """``path`` as a user writes it, without pydantic's tags of the members of a union, and the type it leads to."""
    here, written = _bare(model), []
    for part in path:
        if get_origin(here) in (Union, UnionType):
            chosen = next((member for member in get_args(here) if part in _tags(member)), None)
            if chosen is not None:
                here = chosen
                continue
        written.append(part)
        fields = getattr(here, "model_fields", None)
        if fields is None:  # dict[str, M] or list[M]: the key or index is anyone's
            here = _bare(next(reversed(get_args(here)), None))
        else:
            here = _bare(next((field.annotation for name, field in fields.items() if part in (name, field.alias)), None))
    return written, here


def _tags(member: Any) -> set[str]:
    fields = getattr(member, "model_fields", {}).values()
    return {word for field in fields if get_origin(field.annotation) is Literal for word in get_args(field.annotation)}


def _bare(annotation: Any) -> Any:
    """An annotation without ``Annotated`` and without ``| None``."""
    while get_origin(annotation) is Annotated or type(None) in get_args(annotation):
        annotation = next(item for item in get_args(annotation) if item is not type(None))
    return annotation
