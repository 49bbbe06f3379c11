"""Write what is generated from the models: the reference of every field, and the JSON Schema that is shipped.

``python tools/generate.py`` writes; with ``--check`` it writes nothing, names what is out of date, and exits 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pytest_chaos.base import FAULTS, TRIGGERS
from pytest_chaos.schema import json_schema

ROOT = Path(__file__).parents[1]
HEAD = """\
# Reference of a spec

Every key that a spec may have. This page is generated from the models by `python tools/generate.py`; do not edit it.
[Write a spec](write-a-spec.md) says how it all fits together.

Unknown keys are errors. Numbers are numbers: `"300"` and `true` are no rates, `300.0` is. Durations are text such as
`500ms`, `30s`, `1m30s` or `1h`, above zero. `{{NAME}}` may stand in any text; see [placeholders](write-a-spec.md#placeholders).
"""
PLURALS = {"trigger": "Triggers", "action": "Faults"}


def reference() -> str:
    """Return the page with every field."""
    schema = json_schema()
    parts = [HEAD, "## A disruption", schema["description"], table(schema)]
    for key, heading in PLURALS.items():
        parts += [f"## {heading}", f"Under the key `{key}`."]
        for one in schema["properties"][key]["oneOf"]:
            model = resolved(one, schema)
            parts += [f"### `{model['properties']['type']['const']}`", *paragraphs(model), table(model)]
            parts += [part for name, held in nested(model, schema) for part in section(key, name, held)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def section(key: str, name: str, model: dict[str, Any]) -> Iterator[str]:
    """Yield the parts about a mapping inside a fault or trigger."""
    yield f"#### `{key}.{name}`"
    yield from paragraphs(model)
    yield table(model)


def nested(model: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the keys of ``model`` that hold another model, with that model."""
    for name, described in model["properties"].items():
        held = resolved(described, schema)
        if "properties" in held:
            yield name, held


def table(model: dict[str, Any]) -> str:
    """Return a table of the keys of ``model``."""
    rows = ["| key | value | default | meaning | examples |", "|---|---|---|---|---|"]
    for name, described in model["properties"].items():
        if name in model.get("required", ()):
            default = "required"
        else:
            default = "none" if described["default"] is None else code(described["default"])
        examples = ", ".join(code(example) for example in described.get("examples", ()))
        cells = [f"`{name}`", values(described), default, described["description"], examples]
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows)


def values(described: dict[str, Any]) -> str:
    """Return in words what values are allowed."""
    options = described.get("anyOf", [described])
    return " or ".join(word for option in options if (word := one_of(option)))


def one_of(option: dict[str, Any]) -> str:
    """Return one alternative in words; none for null, which is the same as leaving the key out."""
    if "const" in option:
        return code(option["const"])
    if "enum" in option:
        return ", ".join(code(value) for value in option["enum"])
    kind = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "array": "list",
        "null": "",
    }.get(option.get("type", ""), "mapping")
    for low, high, what in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minProperties", "maxProperties", " keys"),
    ):
        if low in option or high in option:
            kind += f", {bounds(option.get(low), option.get(high))}{what}"
    return kind


def bounds(low: float | None, high: float | None) -> str:
    """Return a range in words."""
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def resolved(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference in the schema leads to."""
    reference = described.get("$ref", "")
    found: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]] if reference else described
    return found


def paragraphs(model: dict[str, Any]) -> list[str]:
    """Return the description of a model."""
    return [" ".join(part.split()) for part in model["description"].split("\n\n")]


def code(value: Any) -> str:
    """Return a value as it stands in a spec."""
    return f"`{value if isinstance(value, str) else json.dumps(type_first(value))}`"


def type_first(value: Any) -> Any:
    """Return a mapping as people write it; JSON Schema has its keys sorted."""
    if not isinstance(value, dict):
        return value
    return {key: type_first(value[key]) for key in sorted(value, key=lambda key: (key != "type", key))}


def generated() -> dict[Path, str]:
    """Return the files and what they must hold: of this project's own faults and triggers only."""
    for registry in (FAULTS, TRIGGERS):
        for tag, cls in registry.items():
            if not cls.__module__.startswith("pytest_chaos."):
                registry.unregister(tag)
    return {
        ROOT / "docs" / "reference.md": reference(),
        ROOT / "pytest_chaos" / "schemas" / "chaos.schema.json": json.dumps(json_schema("file"), indent=2)
        + "\n",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the files; return the exit status."""
    parser = argparse.ArgumentParser(description="Write what is generated from the models.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if something is out of date"
    )
    check = parser.parse_args(arguments).check
    stale = [
        path
        for path, text in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        sys.stdout.write(f"{path.relative_to(ROOT)} {'is out of date' if check else 'written'}\n")
        if not check:
            path.write_text(generated()[path], encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
