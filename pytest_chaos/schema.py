"""What people and editors need around a spec: its JSON Schema, its validation, and errors that say what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ValidationError

from pytest_chaos.placeholders import PLACEHOLDER
from pytest_chaos.reading.position import Where
from pytest_chaos.reading.tree import dotted
from pytest_chaos.registry import did_you_mean
from pytest_chaos.scrub import clean, shown
from pytest_chaos.secrecy import Redactor, bare, secrets_of_headers
from pytest_chaos.sources import TASK_KEYS, Entry
from pytest_chaos.spec import ChaosSpec, Tagged

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# Nobody reads more of one entry, and each one looks for a nearest match.
_MAX_PROBLEMS: Final = 20
# Those of a load stand on the third level; what somebody has nested without end is no spec.
_DEEPEST_HEADERS: Final = 6
_NO_HEADER_CHARACTER: Final = re.compile(r"[^A-Za-z0-9!#$%&'*+.^_`|~-]")
_NUMBERS: Final = {"int_type", "float_type", "bool_type"}
_SHOULD: Final = re.compile(r"^[a-z]+ should ")
_WANTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""What errors of pydantic want, in words for people who write YAML as well."""

SchemaKind = Literal["entry", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with an entry.

    ``path`` names it. ``place`` is where to look, if that is more exact; ``at_key`` tells that the key there is
    wrong rather than its value.
    """

    path: tuple[Any, ...]
    message: str
    place: tuple[Any, ...] = ()
    at_key: bool = False

    def where(self, entry: Entry) -> Where:
        """Return where it stands in the file that ``entry`` came from."""
        return entry.locate(self.place or self.path, key=self.at_key)

    def __str__(self) -> str:
        return f"{dotted(_safe(self.path)) or 'spec'}: {self.message}"


def json_schema(kind: SchemaKind = "entry") -> dict[str, Any]:
    """Return a JSON Schema (draft 2020-12) with every fault and trigger that is registered now.

    ``entry`` is what ``validate_spec`` takes. ``file`` is what a file may hold: an entry, a list of entries, or a
    task file; what stands in the text of a task file is not described.
    """
    entry = _described(ChaosSpec.model_json_schema())
    if kind == "entry":
        return {"$schema": DIALECT, **entry}
    definitions = {**entry.pop("$defs", {}), "ChaosSpec": entry}
    one = {"$ref": "#/$defs/ChaosSpec"}
    entries = {
        "type": "array",
        "items": one,
        "minItems": 1,
        "description": "Disruptions, each of them one entry.",
    }
    held = {
        "description": "The disruptions of this task: an entry, a list of entries, or text that holds either as JSON or YAML.",
        "if": {"type": "array"},
        "then": entries,
        "else": {"if": {"type": "string"}, "then": {"pattern": r"\S"}, "else": one},
    }
    has_task_key = {"type": "object", "anyOf": [{"required": [key]} for key in TASK_KEYS]}
    task = {
        "title": "Task file",
        "description": "Somebody's own file with disruptions under one of two keys; the other keys are not looked at.",
        "properties": dict.fromkeys(TASK_KEYS, held),
        "not": {"required": [*TASK_KEYS]},
    }
    return {
        "$schema": DIALECT,
        "title": "File of pytest-chaos",
        "description": "One disruption, a list of disruptions, or a task file with `chaos_spec` or `chaos`.",
        "type": ["object", "array"],
        "if": {"type": "array"},
        "then": entries,
        "else": {"if": has_task_key, "then": task, "else": one},
        "$defs": definitions,
    }


def _described(schema: Any) -> Any:
    """Return a schema whose descriptions are for people who do not read docstrings."""
    if isinstance(schema, dict):
        return {
            key: value.replace("``", "`")
            if key == "description" and isinstance(value, str)
            else _described(value)
            for key, value in schema.items()
        }
    return [_described(value) for value in schema] if isinstance(schema, list) else schema


def validate_spec(entry: Any) -> ChaosSpec:
    """Return ``entry`` (a mapping, or a ``ChaosSpec``) as a checked spec.

    Raises:
        pydantic.ValidationError: ``explain`` turns it into sentences.
    """
    return ChaosSpec.model_validate(dict(entry) if isinstance(entry, Mapping) else entry)


def problems(error: ValidationError, entry: Any) -> list[Problem]:
    """Return what is wrong with ``entry``, at most twenty of it and how much there is besides."""
    items = error.errors(include_url=False)
    redactor = Redactor((), _words_of_headers(entry))
    found = [_problem(item, entry, redactor) for item in items[:_MAX_PROBLEMS]]
    if len(items) > _MAX_PROBLEMS:
        found.append(Problem(path=(), message=f"{len(items) - _MAX_PROBLEMS} more errors"))
    return found


def explain(error: ValidationError, entry: Any) -> list[str]:
    """Return one sentence for each error: the path, what is wrong, the value, and the nearest match."""
    return [str(problem) for problem in problems(error, entry)]


def explain_in_file(error: ValidationError, entry: Entry) -> list[str]:
    """Return the sentences of ``explain``, each after the place in the file: ``path:line:col: ...``."""
    return [f"{problem.where(entry)}: {problem}" for problem in problems(error, entry.data)]


def _words_of_headers(node: Any, depth: int = _DEEPEST_HEADERS) -> Iterator[str]:
    """Yield what stands in the headers of ``node``: it may stand elsewhere as well, where it does not fit."""
    for key, value in node.items() if depth and isinstance(node, Mapping) else ():
        if key == "headers" and isinstance(value, Mapping):
            headers = {str(name): text for name, text in value.items() if isinstance(text, str)}
            yield from secrets_of_headers(headers, headers)
        else:
            yield from _words_of_headers(value, depth - 1)


def _problem(item: Any, entry: Any, redactor: Redactor) -> Problem:
    path: tuple[Any, ...] = item["loc"]
    message = clean(redactor.text(item["msg"].removeprefix("Value error, ")), 500)
    message = _SHOULD.sub("must ", message[0].lower() + message[1:])
    if item["type"] == "extra_forbidden":
        known = _fields_at(entry, path[:-1])
        allowed = f"; allowed: {', '.join(known)}{did_you_mean(str(path[-1]), known)}" if known else ""
        return Problem(path=path, message=f"unknown key{allowed}", at_key=True)
    if item["type"] == "between_keys":
        return Problem(path=(*path, item["ctx"]["key"]), message=message, at_key=True)
    if item["type"] == "unknown_type":
        return Problem(path=path, message=message, place=(*path, "type"))
    if item["type"] in {"missing", "missing_type", "not_a_mapping"}:
        return Problem(path=path, message=message)
    if item["type"] in _WANTED:
        message = f"must be {_WANTED[item['type']]}{_for_example(entry, path)}"
    if item["type"] in _NUMBERS and isinstance(item["input"], str) and PLACEHOLDER.search(item["input"]):
        message += ", and a placeholder only ever stands for text"
    at_key = path[-1:] == ("[key]",)
    return Problem(
        path=path[:-1] if at_key else path,
        message=f"{message} (got {_shown(item['input'], path, redactor)})",
        at_key=at_key,
    )


def _safe(path: Sequence[Any]) -> list[Any]:
    """Return the path to a value without what was written into the name of a header by mistake."""
    return [
        f"{_NO_HEADER_CHARACTER.split(part, maxsplit=1)[0]}..."
        if at and path[at - 1] == "headers" and isinstance(part, str) and _NO_HEADER_CHARACTER.search(part)
        else part
        for at, part in enumerate(path)
    ]


def _shown(value: Any, path: Sequence[Any], redactor: Redactor) -> str:
    """Return a wrong value as it may be printed: no header values, no user information, no containers."""
    if "headers" in path:
        return "***"
    if isinstance(value, Mapping | list | tuple | set):
        return f"a {type(value).__name__}"
    return redactor.text(shown(bare(value) if isinstance(value, str) else value))


def _for_example(entry: Any, path: Sequence[Any]) -> str:
    """Return what could stand at ``path`` of ``entry``: its keys, or an example."""
    if known := _fields_at(entry, path):
        return f" with the keys {', '.join(known)}"
    model = _model_at(entry, path[:-1])
    field = model.model_fields.get(path[-1]) if model else None
    return f", such as {json.dumps(field.examples[0], default=str)}" if field and field.examples else ""


def _fields_at(entry: Any, path: Sequence[Any]) -> list[str]:
    """Return the keys that are allowed in the node of ``entry`` that ``path`` leads to."""
    model = _model_at(entry, path)
    return [*model.model_fields] if model else []


def _model_at(entry: Any, path: Sequence[Any]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = ChaosSpec
    node = entry
    for part in path:
        field = model.model_fields.get(part) if model else None
        node = node.get(part) if isinstance(node, Mapping) else None
        model = next(_models_in(field, node), None) if field else None
    return model


def _models_in(field: Any, node: Any) -> Iterator[type[BaseModel]]:
    for mark in field.metadata:
        if isinstance(mark, Tagged) and isinstance(node, Mapping) and node.get("type") in mark.registry:
            yield mark.registry.get(node["type"])
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
