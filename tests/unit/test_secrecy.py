"""Secrets in text: known by their names, by their values, and also where they were cut off."""

from __future__ import annotations

import json
import threading
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pytest_chaos.base import Fault
from pytest_chaos.context import RunContext
from pytest_chaos.engine.guard import Guard
from pytest_chaos.errors import SpecError, TargetRefused
from pytest_chaos.faults.generate_load import GenerateLoadFault, LoadTarget
from pytest_chaos.outcome import ChaosResult
from pytest_chaos.plugin.variables import fill_spec
from pytest_chaos.schema import explain, validate_spec
from pytest_chaos.scrub import clean
from pytest_chaos.secrecy import Redactor, bare, is_secret_header, secrets_of_headers
from pytest_chaos.settings import Settings
from pytest_chaos.triggers.http_answer import HttpTrigger

TOKEN = "s3nt1nel-0123456789"
# What an HTTP header may hold, without white space at its ends.
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=60)


def fault(**target: Any) -> GenerateLoadFault:
    return GenerateLoadFault(target=LoadTarget(**{"service_url": "http://127.0.0.1/", **target}))


def redactor(one: GenerateLoadFault, *named: str) -> Redactor:
    settings = Settings(secrets=named)
    return Redactor(named, one.secrets(settings))


@given(value=VALUES, before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_value_is_found_wherever_it_stands(value: str, before: str, after: str) -> None:
    text = Redactor((), [value]).text(f"{before}{value}{after}")
    assert value not in text or value in before + after or value in "***"


@given(value=VALUES, kept=st.integers(min_value=4, max_value=60))
def test_the_beginning_of_a_value_is_found_where_text_was_cut_off(value: str, kept: int) -> None:
    part = value[:kept]
    text = Redactor((), [value]).text(f"no: {part}... (17 more characters)")
    assert part not in text or part in "... (17 more characters)"


@pytest.mark.parametrize("limit", range(60, 90))
def test_whatever_a_cut_leaves_is_no_secret(limit: int) -> None:
    text = clean(f"{'x' * 25} Bearer {TOKEN} {'y' * 90}", limit)
    assert "s3nt" not in Redactor((), [f"Bearer {TOKEN}", TOKEN]).text(text)


def test_of_two_values_that_begin_alike_nothing_of_the_longer_one_is_left() -> None:
    assert Redactor((), [TOKEN, f"{TOKEN}-and-more"]).text(f"a {TOKEN}-and-more b") == "a *** b"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("http://x/?token=abc&b=2", "http://x/?token=***&b=2"),
        ("http://x/?a=1&API_KEY=abc", "http://x/?a=1&API_KEY=***"),
        ("http://x/?x-mine=abc;def'ghi rest", "http://x/?x-mine=*** rest"),
        ("http://x/?%74oken=abc", "http://x/?%74oken=***"),
        ("http://x/?X%2DMine=abc", "http://x/?X%2DMine=***"),
        ('"http://x/?token=abc"', '"http://x/?token=***"'),
        ("http://x/?tokens=abc", "http://x/?tokens=abc"),
        ("token=abc", "token=abc"),
        ("http://me:pass@x/", "http://***@x/"),
        ("http://me:p@ss/word@x/", "http://***@x/"),
        ("me@example.org says //", "me@example.org says //"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_stands_behind_a_name_is_masked(text: str, redacted: str) -> None:
    assert Redactor(["X-Mine"]).text(text) == redacted


@pytest.mark.parametrize("name", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
def test_keys_of_the_provider_are_known(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, f" {TOKEN}\n")
    assert Redactor(()).text(f"key: {TOKEN}.") == "key: ***."


def test_json_is_redacted_in_values_and_in_depth_and_stays_what_it_is() -> None:
    document = {"a": [1, None, True, {"b": f"x {TOKEN}"}], "c": 2.5}
    assert Redactor((), [TOKEN]).json(document) == {"a": [1, None, True, {"b": "x ***"}], "c": 2.5}
    assert Redactor((), [TOKEN]).fields({"a": TOKEN, "b": TOKEN}, "a") == {"a": "***", "b": TOKEN}


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ({"headers": {"Authorization": f"Bearer {TOKEN}"}}, f"no {TOKEN}"),
        ({"headers": {"Cookie": f"a=b; session={TOKEN}"}}, f"no {TOKEN}"),
        ({"headers": {"Authorization": f'Bearer "{TOKEN}"'}}, json.dumps({"x": f'Bearer "{TOKEN}"'})),
        ({"headers": {"X-Any": TOKEN}}, repr(TOKEN)),
        ({"headers": {"X-Mine": "abcd"}}, "it was abcd"),
        ({"service_url": f"http://127.0.0.1/?a=1&token={TOKEN}"}, f"no {TOKEN}"),
        ({"service_url": "http://127.0.0.1/?x-mine=a%20b%2Fcde"}, "it was a b/cde"),
        ({"service_url": "http://127.0.0.1/?x-mine=a%20b%2Fcde"}, "it was a%20b%2Fcde"),
    ],
)
def test_the_secrets_of_a_load_are_known_by_their_values(target: dict[str, Any], told: str) -> None:
    text = redactor(fault(**target), "X-Mine").text(told)
    assert "***" in text
    assert not any(word in text for word in (TOKEN, "abcd", "cde"))


def test_short_and_harmless_values_leave_sentences_alone() -> None:
    one = redactor(fault(headers={"X-Env": "test", "Accept": "a/b"}, service_url="http://127.0.0.1/?q=held"))
    assert one.text("the test held, a/b") == "the test held, a/b"


def test_a_placeholder_is_no_secret() -> None:
    assert fault(headers={"Authorization": "{{TOKEN}}"}).secrets(Settings()) == []


@pytest.mark.parametrize("name", ["Authorization", "proxy-AUTHORIZATION", "Cookie", "X-API-Key", "X-Mine"])
def test_a_secret_header_is_refused_unless_it_may_be_seen(name: str) -> None:
    one = fault(headers={"Accept": "text/plain", name: TOKEN})
    with pytest.raises(
        TargetRefused, match=rf"headers: {name} is secret.*chaos_allow_visible_headers"
    ) as caught:
        one.plan(Settings(secrets=("x-mine",)))
    assert TOKEN not in str(caught.value)
    allowed = one.plan(Settings(secrets=("x-mine",), allow_visible_headers=True))
    assert f"{name}:***" in allowed.argv
    assert TOKEN not in str(allowed)


def test_names_of_headers_are_compared_in_any_case() -> None:
    assert is_secret_header("x-mine", ["X-Mine"])
    assert not is_secret_header("X-Mine-Too", ["X-Mine"])


@pytest.mark.parametrize(
    "shown",
    [
        fault(headers={"Authorization": TOKEN}, service_url=f"http://127.0.0.1/?x={TOKEN}"),
        HttpTrigger(url=f"http://127.0.0.1/?x={TOKEN}"),
        Settings(variables=(("TOKEN", TOKEN),)),
    ],
    ids=["fault", "trigger", "settings"],
)
def test_what_a_traceback_shows_of_our_objects_holds_none(shown: object) -> None:
    assert TOKEN not in repr(shown)
    assert TOKEN not in str(shown)


def test_a_validation_error_does_not_repeat_what_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        LoadTarget(service_url="http://127.0.0.1/", headers={"Authorization": f"{TOKEN}\n"})
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "secret", "kept"),
    [
        (
            {"Authorization": "Bearer correct-horse-battery-staple"},
            ["correct-horse-battery-staple"],
            "Bearer",
        ),
        ({"Authorization": "Bearer hunt3R7"}, ["hunt3R7"], "Bearer"),
        ({"Authorization": "Basic dXNlcg=="}, ["dXNlcg=="], "Basic"),
        ({"Authorization": "ApiKey user:S3nt1nelZZ00"}, ["S3nt1nelZZ00"], "ApiKey"),
        ({"Authorization": 'Digest username="mufasa", realm="here"'}, ["mufasa"], "username"),
        ({"Authorization": "correct-horse"}, ["correct-horse"], "Bearer"),
        ({"Cookie": "session=abcdefghij; theme=darkness"}, ["abcdefghij", "darkness"], "session"),
        ({"X-Api-Key": "S3nt{{a}}1nel"}, ["S3nt{{a}}1nel"], "X-Api-Key"),
        ({"X-Mine": "correcthorse"}, ["correcthorse"], "X-Mine"),
    ],
    ids=str,
)
def test_every_credential_in_a_secret_header_is_found(
    headers: dict[str, str], secret: list[str], kept: str
) -> None:
    redactor = Redactor((), secrets_of_headers(headers, ["x-mine"]))
    for one in secret:
        assert redactor.text(f"{kept}: no such token: {one}!") == f"{kept}: no such token: ***!"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("aB3/dE+fG5h=", "401 for http://api/?key=aB3%2FdE%2BfG5h%3D"),
        ("pa\\ss\\W0rd", repr({"password": "pa\\ss\\W0rd"})),
        ('quo"ted"', json.dumps({"password": 'quo"ted"'})),
        ("no text: \udcff", "no text: \udcff"),
    ],
)
def test_a_value_is_found_as_others_write_it(value: str, text: str) -> None:
    assert Redactor((), [value]).text(text).count("***") == 1


@pytest.mark.parametrize(
    ("url", "left"),
    [
        (f"https://x-access-token:{'Ab9' * 90}@host/path", "https://***@host/path"),
        ("http://me:p's3cret@host/", "http://***@host/"),
        ("http://me:abc s3cret@host/", "http://***@host/"),
        ("me:s3cret@host/", "***@host/"),
        ("http://host/?token=abc s3cret", "http://host/?***"),
        ("http://host/?why", "http://host/?why"),
        ("http://host/path", "http://host/path"),
    ],
)
def test_what_is_no_usable_url_is_shown_bare(url: str, left: str) -> None:
    assert bare(url) == left


@pytest.mark.parametrize(
    "url",
    [
        f"https://x-access-token:s3cret{'Ab9' * 90}@127.0.0.1/",
        "http://me:p's3cret@127.0.0.1/",
        "http://me:abc s3cret@127.0.0.1/",
        "me:s3cret@127.0.0.1/",
        "http://127.0.0.1:1/?token=abc s3cret",
    ],
)
def test_a_refused_url_is_told_without_its_secrets(url: str) -> None:
    entry = {"trigger": {"type": "time"}, "action": {"type": "generate_load", "target": {"service_url": url}}}
    with pytest.raises(ValidationError) as wrong:
        validate_spec(entry)
    assert "s3cret" not in "".join(explain(wrong.value, entry))
    with pytest.raises(TargetRefused) as refused:
        Guard().check(url)
    assert "s3cret" not in str(refused.value)


def test_a_repr_shows_no_query_and_nothing_that_a_fault_calls_secret() -> None:
    assert "s3cret" not in repr(fault(service_url="{{SHOP}}/?token=s3cret"))

    class Login(Fault):
        type: Literal["login"] = "login"
        password: str = ""

        def secrets(self, settings: Settings) -> list[str]:
            return [self.password, *super().secrets(settings)]

        def inject(self, ctx: RunContext, chaos_active_event: threading.Event | None = None) -> ChaosResult:
            raise NotImplementedError

    assert repr(Login(password="s3cret-0")) == "Login(type='login', password='***')"


# ------------------------------------------------------------------ values that do not fit where they stand


MISPLACED = {
    "in a URL": {"service_url": "ftp://127.0.0.1:1/hooks/{{TOKEN}}"},
    "as a duration": {"duration": "{{TOKEN}}"},
    "as a method": {"method": "{{TOKEN}}"},
}


@pytest.mark.parametrize(
    "token", ["s3nt1nel-of-a-header", "s3nt1nel\n", 's3nt1nel"\\'], ids=["plain", "line", "quotes"]
)
@pytest.mark.parametrize("field", MISPLACED.values(), ids=MISPLACED.keys())
@pytest.mark.parametrize(
    "header", ["Authorization: Bearer {{TOKEN}}", "X-Api-Key: {{TOKEN}}", "X-Shop: {{TOKEN}}"]
)
def test_what_stands_in_a_header_is_not_shown_where_it_does_not_fit(
    token: str, field: dict[str, str], header: str
) -> None:
    name, _, value = header.partition(": ")
    target = {"service_url": "http://127.0.0.1:1/", **field, "headers": {name: value}}
    entry = {
        "name": "rush",
        "trigger": {"type": "time"},
        "action": {"type": "generate_load", "target": target},
    }
    filled = json.loads(json.dumps(entry).replace("{{TOKEN}}", json.dumps(token)[1:-1]))
    with pytest.raises(ValidationError) as wrong:
        validate_spec(filled)
    told = "\n".join(explain(wrong.value, filled))
    assert "s3nt1nel" not in told
    assert "***" in told


def test_neither_is_what_was_filled_in() -> None:
    target = {"service_url": "{{URL}}/{{TOKEN}}", "headers": {"X-Api-Key": "{{TOKEN}}"}}
    spec = validate_spec(
        {"name": "rush", "trigger": {"type": "time"}, "action": {"type": "generate_load", "target": target}}
    )
    with pytest.raises(SpecError) as wrong:
        fill_spec(spec, {"URL": "http://127.0.0.1:1", "TOKEN": "s3nt1nel\n"})
    assert "s3nt1nel" not in str(wrong.value)
    assert "(got 'http://127.0.0.1:1/***" in str(wrong.value)
