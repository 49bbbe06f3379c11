"""What Gemini refuses in a request: the rules of the service, as far as a tool loop meets them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

_FIELDS = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}
_SCHEMA = {
    *("$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items"),
    *("prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties"),
    *("additionalProperties", "required"),
}
_PAYLOADS = {"args", "response", "parametersJsonSchema"}


def read(body: bytes) -> Any:
    """Return the request with its names in camelCase. Raises ``ValueError`` if it is not strictly JSON."""

    def no_constant(name: str) -> float:
        raise ValueError(f"Unexpected token: {name}")

    return normal(json.loads(body, parse_constant=no_constant))


def normal(value: Any) -> Any:
    """Return ``value`` as proto-JSON reads it: both spellings of a name, no nulls; payloads stay as they are."""
    if isinstance(value, list):
        return [normal(item) for item in value]
    if not isinstance(value, dict):
        return value
    camel = {re.sub("_([a-z])", lambda match: match[1].upper(), name): item for name, item in value.items()}
    return {
        name: item if name in _PAYLOADS else normal(item) for name, item in camel.items() if item is not None
    }


def fault_in(request: Any, said: list[Any]) -> str | None:
    """Return why the service would refuse ``request``, whose history must be ``said``; None if it would not."""
    if unknown := request.keys() - _FIELDS:
        return f"Unknown name {sorted(unknown)}: Cannot find field."
    return _fault_in_tools(request) or _fault_in_turns(request["contents"], said)


def _fault_in_tools(request: Any) -> str | None:
    declared = [one for tool in request.get("tools", ()) for one in tool.get("functionDeclarations", ())]
    if not declared:
        return "No tool was declared."
    for one in declared:
        if unknown := _keywords(one["parametersJsonSchema"]) - _SCHEMA:
            return f"Unknown name {sorted(unknown)} in the schema of {one['name']}: Cannot find field."
    return None


def _keywords(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_keywords, schema))
    if not isinstance(schema, dict):
        return set()
    inner = [
        list(item.values()) if word in {"properties", "$defs"} else item for word, item in schema.items()
    ]
    return set(schema).union(*map(_keywords, inner))


def _fault_in_turns(turns: list[Any], said: list[Any]) -> str | None:
    *before, last = turns
    if [turn["role"] for turn in turns] != ["user", "model"] * (len(before) // 2) + ["user"]:
        return "Please ensure that turns alternate between user and model."
    if not before:
        new = all("text" in part for part in _parts(last))
        return None if new else "Please ensure that a function response comes after its function call."
    if fault := _fault_in_results(_parts(before[-1]), _parts(last)):
        return fault
    if [_signatures(turn) for turn in before] != [_signatures(turn) for turn in said]:
        return "Function call is missing a thought_signature in functionCall parts."
    if [_unsigned(turn) for turn in before] != [_unsigned(turn) for turn in said]:
        return "The history is not what was said."
    return None


def _fault_in_results(asked: list[Any], got: list[Any]) -> str | None:
    calls = [part["functionCall"] for part in asked if "functionCall" in part]
    results = [part.get("functionResponse", {}) for part in got]
    if len(calls) != len(results):
        return (
            "Please ensure that the number of function response parts is equal to the number of function call "
            "parts of the function call turn."
        )
    if [_identity(one) for one in calls] != [_identity(one) for one in results]:
        return "Please ensure that function responses have the ids and names of their function calls."
    if not all(isinstance(one.get("response"), dict) for one in results):
        return "Invalid value at 'function_response.response': it must be a Struct."
    return None


def _identity(one: Any) -> tuple[str, str]:
    return one.get("id", ""), one.get("name", "")


def _parts(turn: Any) -> list[Any]:
    parts = turn.get("parts", [])
    assert isinstance(parts, list)
    return parts


def _signatures(turn: Any) -> list[bytes | None]:
    """Return the thought signatures of a turn, decoded: base64 has more than one spelling."""
    texts = [part.get("thoughtSignature") for part in _parts(turn)]
    return [
        None if text is None else base64.urlsafe_b64decode(text.translate(_URLSAFE) + "==") for text in texts
    ]


_URLSAFE = str.maketrans("+/", "-_", "=")


def _unsigned(turn: Any) -> Any:
    parts = [
        {name: item for name, item in part.items() if name != "thoughtSignature"} for part in _parts(turn)
    ]
    return {"role": turn.get("role"), "parts": parts}
