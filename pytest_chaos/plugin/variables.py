"""Fill ``{{NAME}}`` in specs, from the command line, a fixture and named environment variables, in this order."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from pytest_chaos.errors import SpecError
from pytest_chaos.placeholders import fill, names
from pytest_chaos.registry import did_you_mean
from pytest_chaos.schema import explain
from pytest_chaos.settings import Settings
from pytest_chaos.spec import ChaosSpec


def variables_of(request: pytest.FixtureRequest | None, settings: Settings) -> dict[str, str]:
    """Return what may be filled in, the highest rank winning.

    Raises:
        SpecError: ``chaos_variables`` is no mapping of text to text.
    """
    given = request.getfixturevalue("chaos_variables") if request else {}
    if not isinstance(given, Mapping):
        raise SpecError(f"chaos_variables must return a mapping, not {type(given).__name__}")
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float) or isinstance(value, bool):
            raise SpecError(f"chaos_variables: {name!r} must be text or a number, not {type(value).__name__}")
    return _ranked({name: str(value) for name, value in given.items()}, settings)


def _ranked(given: Mapping[str, str], settings: Settings) -> dict[str, str]:
    environment = {name: os.environ[name] for name in settings.env_names if name in os.environ}
    return {**environment, **given, **dict(settings.variables)}


def fill_known(spec: ChaosSpec, settings: Settings) -> ChaosSpec:
    """Return ``spec`` with what is known without any fixture filled in.

    Raises:
        SpecError: a value does not fit where it stands.
    """
    known = _ranked({}, settings)
    return _filled(spec, known) if known else spec


def fill_spec(spec: ChaosSpec, variables: Mapping[str, str]) -> ChaosSpec:
    """Return ``spec`` with its placeholders filled.

    Raises:
        SpecError: one has no value, or a value does not fit where it stands.
    """
    holes = names(spec.model_dump())
    if not holes:
        return spec
    if missing := [name for name in holes if name not in variables]:
        hints = "".join(did_you_mean(name, variables) for name in missing[:1])
        raise SpecError(
            f"{spec.name!r}: no value for {', '.join('{{' + name + '}}' for name in missing)}; give it with "
            f"--chaos-var NAME=VALUE, the fixture chaos_variables, or an environment variable named in ini chaos_env{hints}"
        )
    return _filled(spec, variables)


def _filled(spec: ChaosSpec, variables: Mapping[str, str]) -> ChaosSpec:
    try:
        return spec.filled(variables)
    except ValidationError as error:
        filled = fill(spec.model_dump(exclude_unset=True), variables)
        raise SpecError(f"{spec.name!r}: " + "; ".join(explain(error, filled))) from None
