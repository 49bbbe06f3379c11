"""ChaosSpec: one authored entry. Trigger and action are resolved by their ``type`` when a value is validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Generic, Literal, Self, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    GetJsonSchemaHandler,
    SerializationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from pytest_chaos.base import FAULTS, SPEC_CONFIG, TRIGGERS, Fault, Trigger
from pytest_chaos.errors import SpecError
from pytest_chaos.notation import Plain
from pytest_chaos.placeholders import fill
from pytest_chaos.registry import Registry
from pytest_chaos.secrecy import MASK, Redactor
from pytest_chaos.settings import Settings

M = TypeVar("M", bound=BaseModel)


def _dump(value: Any, info: SerializationInfo) -> dict[str, Any]:
    """Dump a fault or trigger; its tag is part of it even where it was left to the default."""
    return {"type": value.type, **value.model_dump(mode=info.mode, exclude_unset=info.exclude_unset)}


class Tagged(Generic[M]):
    """Mark a field as the union of whatever a registry holds when a value is validated.

    Nothing is rebuilt when a class is registered, so models and adapters that embed such a field see
    the new class too. The JSON Schema is written out when it is asked for.
    """

    def __init__(self, registry: Registry[M], base: type[M]) -> None:
        self.registry = registry
        self.base = base

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._resolve,
            serialization=core_schema.plain_serializer_function_ser_schema(_dump, info_arg=True),
        )

    def _resolve(self, value: Any) -> M:
        if isinstance(value, self.base):
            return value
        kind = self.registry.kind
        if not isinstance(value, Mapping):
            raise PydanticCustomError(
                "not_a_mapping",
                "must be a mapping with a `type`, not {got}",
                {"kind": kind, "got": type(value).__name__},
            )
        registered = ", ".join(self.registry.keys())
        if "type" not in value:
            raise PydanticCustomError(
                "missing_type",
                "missing required `type`; registered {kind} types: {registered}",
                {"kind": kind, "registered": registered},
            )
        tag = value["type"]
        if not isinstance(tag, str):
            raise PydanticCustomError(
                "unknown_type",
                "unknown {kind} type: it must be text, not {got}; registered: {registered}",
                {"kind": kind, "got": type(tag).__name__, "registered": registered},
            )
        try:
            cls = self.registry.get(tag)
        except SpecError as error:
            raise PydanticCustomError("unknown_type", "{message}", {"message": str(error)}) from None
        return cls.model_validate(dict(value))

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        refs = {tag: handler(cls.__pydantic_core_schema__) for tag, cls in self.registry.items()}
        for (
            tag,
            ref,
        ) in refs.items():  # the tag selects the class, so it must be there although it has a default
            definition = handler.resolve_ref_schema(ref)
            definition["required"] = sorted({*definition.get("required", ()), "type"})
            definition["properties"]["type"]["description"] = f"Selects the {self.registry.kind} `{tag}`."
        discriminator: dict[str, Any] = {"propertyName": "type"}
        if all("$ref" in ref for ref in refs.values()):
            discriminator["mapping"] = {tag: ref["$ref"] for tag, ref in refs.items()}
        return {"oneOf": list(refs.values()), "discriminator": discriminator}


Phase = Literal["before", "during", "after"]

# Keys that say more about a check, and the keys that name one.
_ABOUT_CHECKS: Final = {
    "verify_phases": ("verify",),
    "recover_within": ("verify",),
    "verify_every": ("verify", "abort_when"),
}


def _between_keys(key: str, message: str) -> PydanticCustomError:
    return PydanticCustomError("between_keys", "{message}", {"key": key, "message": message})


_NAMES: Final = {"verify": ("verify", "verification")}


def _is_text(key: str) -> JsonSchemaValue:
    return {"required": [key], "properties": {key: {"type": "string"}}}


def _rules_between_keys(schema: JsonSchemaValue) -> None:
    schema["properties"]["verification"] = {
        **schema["properties"]["verify"],
        "title": "Verification",
        "description": "Another name for `verify`.",
    }
    schema["not"] = {"required": ["verify", "verification"]}
    schema["dependentSchemas"] = {
        key: {
            "anyOf": [
                *(_is_text(name) for owner in owners for name in _NAMES.get(owner, (owner,))),
                {"properties": {key: {"const": schema["properties"][key]["default"]}}},
            ]
        }
        for key, owners in _ABOUT_CHECKS.items()
    }
    schema["if"] = {"required": ["recover_within"], "properties": {"recover_within": {"exclusiveMinimum": 0}}}
    schema["then"] = {"properties": {"verify_phases": {"contains": {"const": "after"}}}}


class ChaosSpec(BaseModel):
    """One disruption as it is authored: when it fires, what it does, and what must hold afterwards."""

    model_config = {**SPEC_CONFIG, "json_schema_extra": _rules_between_keys}

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="Names the disruption in every report.",
            examples=["lunch rush"],
        ),
        Plain,
    ] = "Planned Disruption"
    trigger: Annotated[
        Trigger,
        Tagged(TRIGGERS, Trigger),
        Field(description="When the fault fires.", examples=[{"type": "time", "delay_seconds": 0.5}]),
    ]
    action: Annotated[
        Fault,
        Tagged(FAULTS, Fault),
        Field(
            description="The fault: what harm is done.",
            examples=[{"type": "generate_load", "target": {"service_url": "{{SHOP_URL}}/", "qps": 300}}],
        ),
    ]
    verify: Annotated[
        Annotated[str, Plain] | None,
        Field(
            validation_alias=AliasChoices("verify", "verification"),
            description="Key of the check in `chaos_verifiers` that must hold afterwards.",
            examples=["orders add up"],
        ),
    ] = None

    verify_phases: Annotated[
        list[Phase],
        Field(
            min_length=1,
            max_length=3,
            json_schema_extra={"uniqueItems": True},
            description="When the check is asked: `before` anything starts, again and again `during` the disruption, "
            "`after` it.",
            examples=[["before", "during", "after"]],
        ),
    ] = ["before", "after"]
    recover_within: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="Seconds after the fault's end within which the check must hold again; 0: at once.",
            examples=[5],
        ),
    ] = 0.0
    verify_every: Annotated[
        float,
        Field(
            ge=0.01, le=60, description="Seconds between two times that the check is asked.", examples=[0.5]
        ),
    ] = 0.2

    abort_when: Annotated[
        Annotated[str, Plain] | None,
        Field(
            description="Key of a check that is asked during the disruption; when it fails, the disruption is stopped.",
            examples=["error budget is spent"],
        ),
    ] = None

    @model_validator(mode="after")
    def _keys_fit_each_other(self) -> Self:
        if len(set(self.verify_phases)) < len(self.verify_phases):
            raise _between_keys("verify_phases", "names a phase twice")
        for key, owners in _ABOUT_CHECKS.items():
            is_told = getattr(self, key) != type(self).model_fields[key].default
            if is_told and all(getattr(self, owner) is None for owner in owners):
                named = " or ".join(f"`{owner}`" for owner in owners)
                raise _between_keys(key, f"needs {named}, the check that it is about")
        if self.recover_within and "after" not in self.verify_phases:
            raise _between_keys("recover_within", "needs the phase `after` in `verify_phases`")
        return self

    def secrets(self, settings: Settings) -> list[str]:
        """Return values of trigger and action that must stand in no output."""
        return [*self.trigger.secrets(settings), *self.action.secrets(settings)]

    def redactor(self, settings: Settings) -> Redactor:
        """Return what keeps these, and what the settings call secret, out of text."""
        return Redactor(settings.secrets, self.secrets(settings))

    def filled(self, variables: Mapping[str, str]) -> ChaosSpec:
        """Return the spec with its placeholders filled, validated again.

        Raises:
            pydantic.ValidationError: a filled-in value does not fit where it stands.
        """
        return ChaosSpec.model_validate(fill(self.model_dump(exclude_unset=True), variables))


def masked(spec: ChaosSpec) -> dict[str, Any]:
    """Return ``spec`` as it was written, as plain JSON: without defaults, and with masks for the values of all headers."""

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: dict.fromkeys(item, MASK) if key == "headers" and isinstance(item, dict) else told(item)
                for key, item in value.items()
            }
        return [told(item) for item in value] if isinstance(value, list) else value

    plain: dict[str, Any] = told(spec.model_dump(mode="json", exclude_unset=True))
    return plain
