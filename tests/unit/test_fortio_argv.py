"""The one command line: what it holds, what it never holds, and what of it may be shown."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_chaos.fortio.argv import Load, load_argv, masked

LOAD = Load(url="http://shop.example:8080/checkout?x=1", qps=300, concurrency=75, timeout_s=3.0)


def argv_of(load: Load, ip: str | None = "127.0.0.1", run_limit_s: float = 600.0) -> list[str]:
    return load_argv(load, binary="/opt/fortio", ip=ip, run_limit_s=run_limit_s)


def value(argv: list[str], flag: str) -> str:
    assert argv.count(flag) == 1, f"{flag} stands {argv.count(flag)} times in {argv}"
    return argv[argv.index(flag) + 1]


def test_a_plain_load() -> None:
    assert argv_of(LOAD) == [
        "/opt/fortio",
        "load",
        *("-json", "-", "-access-log-file", "/dev/stdout", "-access-log-format", "json"),
        *("-loglevel", "warning", "-logger-json=true", "-logger-no-color", "-log-errors=false"),
        *("-qps", "300", "-c", "75", "-t", "600000ms", "-timeout", "3000ms"),
        *("-p", "50,75,90,95,99,99.9", "-r", "0.0001"),
        *("-nocatchup", "-uniform", "-stdclient", "-allow-initial-errors"),
        *("-labels", "pytest-chaos", "-resolve", "127.0.0.1"),
        "--",
        "http://shop.example:8080/checkout?x=1",
    ]


def test_the_checked_address_is_pinned() -> None:
    assert value(argv_of(LOAD, ip="10.0.0.7"), "-resolve") == "10.0.0.7"
    assert value(argv_of(LOAD, ip="::1"), "-resolve") == "[::1]"
    assert "-resolve" not in argv_of(LOAD, ip=None)


def test_method_headers_and_body_stand_before_the_url() -> None:
    load = replace(LOAD, method="PUT", headers=(("X-One", "1"), ("Accept", "a: b")), body="-c 9999")
    argv = argv_of(load)
    assert value(argv, "-X") == "PUT"
    assert [argv[at + 1] for at, word in enumerate(argv) if word == "-H"] == ["X-One:1", "Accept:a: b"]
    assert value(argv, "-payload") == "-c 9999"
    assert argv[-2:] == ["--", LOAD.url]


def test_a_body_does_not_change_the_method() -> None:
    """Left to itself, fortio would make a POST of it."""
    assert value(argv_of(replace(LOAD, body="x")), "-X") == "GET"
    assert "-X" not in argv_of(LOAD)


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("pytest-chaos:tests/test_shop.py::test_it[a-1]", "pytest-chaos:tests/test_shop.py::test_it[a-1]"),
        ("a b\n,c", "a_b_c"),
        ("-t 1s", "-t_1s"),
        ("x" * 200, "x" * 80),
        ("", "pytest-chaos"),
    ],
)
def test_a_label_is_one_plain_word(label: str, shown: str) -> None:
    assert value(argv_of(replace(LOAD, label=label)), "-labels") == shown


@given(timeout_s=st.floats(0.001, 30), limit_s=st.floats(0.001, 7200))
def test_durations_are_whole_milliseconds(timeout_s: float, limit_s: float) -> None:
    argv = argv_of(replace(LOAD, timeout_s=timeout_s), run_limit_s=limit_s)
    for flag, seconds in (("-timeout", timeout_s), ("-t", limit_s)):
        written = value(argv, flag)
        assert re.fullmatch(r"[1-9]\d*ms", written)
        assert abs(int(written.removesuffix("ms")) / 1000 - seconds) <= 0.001


def test_header_values_are_masked_and_nothing_else() -> None:
    load = replace(LOAD, headers=(("Authorization", "Bearer s3cret"), ("X-Empty", "")), body="-H")
    shown = masked(argv_of(load))
    assert [shown[at + 1] for at, word in enumerate(shown[:-4]) if word == "-H"] == [
        "Authorization:***",
        "X-Empty:***",
    ]
    assert shown[-4:] == ("-payload", "-H", "--", LOAD.url)
    assert [word for word, real in zip(shown, argv_of(load), strict=True) if word != real] == [
        "Authorization:***",
        "X-Empty:***",
    ]


@given(st.dictionaries(st.from_regex(r"[A-Za-z-]{1,10}", fullmatch=True), st.uuids().map(str), max_size=5))
def test_no_header_value_is_ever_shown(headers: dict[str, str]) -> None:
    shown = " ".join(masked(argv_of(replace(LOAD, headers=tuple(headers.items())))))
    assert not [secret for secret in headers.values() if secret in shown]
    assert all(f"{name}:***" in shown for name in headers)
