"""What people and editors need around a spec: its JSON Schema, its validation, and errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from pytest_chaos.registry import did_you_mean
from pytest_chaos.scrub import clean
from pytest_chaos.spec import ChaosSpec, Tagged

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one entry, with every fault and trigger that is registered now."""
    return {"$schema": DIALECT, **ChaosSpec.model_json_schema()}


def validate_spec(entry: Any) -> ChaosSpec:
    """Return ``entry`` (a mapping, or a ``ChaosSpec``) as a checked spec.

    Raises:
        pydantic.ValidationError: ``explain`` turns it into sentences.
    """
    return ChaosSpec.model_validate(dict(entry) if isinstance(entry, Mapping) else entry)


def explain(error: ValidationError, entry: Any) -> list[str]:
    """Return one sentence for each error: the path, what is wrong, the value, and the nearest match."""
    return [_sentence(item, entry) for item in error.errors(include_url=False)]


def _sentence(item: Any, entry: Any) -> str:
    path: tuple[Any, ...] = item["loc"]
    where = ".".join(str(part) for part in path) or "spec"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        known = _fields_at(entry, path[:-1])
        return f"{where}: unknown key; allowed: {', '.join(known)}{did_you_mean(str(path[-1]), known)}"
    if item["type"] in {"missing", "missing_type", "not_a_mapping", "unknown_type"}:
        return f"{where}: {message[0].lower() + message[1:]}"
    return f"{where}: {message[0].lower() + message[1:]} (got {_shown(item['input'], path)})"


def _shown(value: Any, path: tuple[Any, ...]) -> str:
    """Return a wrong value as it may be printed: no header values, no user information, no containers."""
    if "headers" in path:
        return "***"
    if isinstance(value, Mapping | list | tuple | set):
        return f"a {type(value).__name__}"
    return re.sub(r"//[^/@]*@", "//***@", clean(repr(value), 120))


def _fields_at(entry: Any, path: tuple[Any, ...]) -> list[str]:
    """Return the keys that are allowed in the node of ``entry`` that ``path`` leads to."""
    model: type[BaseModel] = ChaosSpec
    node = entry
    for part in path:
        field = model.model_fields.get(part)
        node = node.get(part) if isinstance(node, Mapping) else None
        found = next(_models_in(field, node), None) if field else None
        if found is None:
            return []
        model = found
    return [*model.model_fields]


def _models_in(field: Any, node: Any) -> Iterator[type[BaseModel]]:
    for mark in field.metadata:
        if isinstance(mark, Tagged) and isinstance(node, Mapping) and node.get("type") in mark.registry:
            yield mark.registry.get(node["type"])
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        yield field.annotation
