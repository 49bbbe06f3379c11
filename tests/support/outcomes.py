"""Outcomes as a run would have left them, made without one."""

from __future__ import annotations

import math
import shlex
from typing import Any

from pytest_chaos.outcome import ChaosOutcome, ChaosResult, Series, Verdict, VerifyReport, Window

ARGV = shlex.split(
    "/usr/lib/python3/site-packages/pytest_chaos/fortio/bin/fortio load -json - -access-log-file /dev/stdout "
    "-access-log-format json -loglevel warning -logger-json=true -logger-no-color -log-errors=false -qps 300 -c 75 "
    "-t 600000ms -timeout 3000ms -p 50,75,90,95,99,99.9 -r 0.0001 -nocatchup -uniform -stdclient -allow-initial-errors "
    "-labels pytest-chaos:test_shop.py::test_rush -resolve 127.0.0.1 -- 'http://127.0.0.1:8080/checkout?a=1&b=2'"
)
CALL = {
    "tool": "generate_load",
    "args": {"qps": 300, "duration_s": None},
    "accepted": True,
    "output": {
        "asked_qps": 300,
        "delivered_qps": 298.7,
        "seconds": 1.045,
        "requests": 361,
        "errors": 2,
        "responses": {"200": 359, "503": 2},
        "p50_s": 0.000378,
        "p90_s": 0.002307,
        "p99_s": 0.008222,
    },
}


def series(stretches: int, *, width_s: float = 0.1, start_s: float = 0.4) -> Series:
    """Return a series with waves, one peak of 4 s in the middle, a gap after a third, and a few 503."""
    gap = stretches // 3
    sent = [0 if at == gap else 30 + round(5 * math.sin(at / 7)) for at in range(stretches)]
    bad = [at % 5 if count else 0 for at, count in enumerate(sent)]
    p50 = [None if not count else 0.001 + 0.0001 * (at % 7) for at, count in enumerate(sent)]
    p99 = [None if one is None else 3 * one for one in p50]
    top = [None if one is None else 5 * one for one in p50]
    top[stretches // 2] = 4.0
    return Series(
        start_s=start_s,
        width_s=width_s,
        requests=sent,
        errors=bad,
        codes={"200": [one - two for one, two in zip(sent, bad, strict=True)], "503": bad},
        p50_s=p50,
        p99_s=p99,
        max_s=top,
    )


def loaded(
    test: str = "test_shop.py::test_rush",
    name: str = "lunch rush",
    verdict: Verdict = Verdict.held,
    *,
    stretches: int = 30,
    **said: Any,
) -> ChaosOutcome:
    """Return the outcome of a load that began when setup was 0.3 s old, with a body of 2 s."""
    edges = [0.001, 0.00125, 0.0016, 0.002, 0.0025, 0.00315, 0.004]
    figures: dict[str, Any] = {
        "asked_qps": 300.0,
        "delivered_qps": 298.7,
        "seconds": 3.0,
        "requests": 897,
        "errors": 12,
        "responses": {"200": 885, "503": 12},
        "warmup_requests": 8,
        "connections": 8,
        "bytes": 123456,
        "p50_s": 0.0012,
        "p90_s": 0.002,
        "p99_s": 0.0036,
        "max_s": 4.0,
        "fortio_version": "1.68.2",
        "histogram": {"edges_s": edges, "counts": [400, 300, 120, 50, 20, 7]},
        "argv": ARGV,
        "agent": {
            "client": "planned",
            "model": None,
            "turns": 2,
            "tokens": 0,
            "stop": "done",
            "calls": [CALL],
            "model_text": "done",
        },
    }
    moments = {"planned": 0.25, "fired": 0.3, "active": 0.4, "body_started": 0.5, "body_ended": 2.5}
    told: dict[str, Any] = {
        "name": name,
        "verdict": verdict,
        "reason": "the body passed while it was disrupted",
        "result": ChaosResult(
            success=True, injected_fault="generate_load", elapsed_time=3.1, details=figures
        ),
        "overlap": 1.0,
        "overlap_s": 2.0,
        "window": Window(seconds=2.0, requests=598, delivered_qps=299.0, errors=3),
        "timeline": {
            **moments,
            "last_effect": 2.52,
            "stopped": 2.5,
            "finished": 2.6,
            "verified": 2.7,
            "recovered": 2.65,
        },
        "verify": VerifyReport(
            name="orders add up", phases={"before": True, "after": True}, tries=2, time_to_recover_s=0.13
        ),
        "series": series(stretches),
        "test": test,
        "worker": "gw0",
        "started_at": 1_795_000_000.0,
        "spec": {
            "name": name,
            "trigger": {"type": "time"},
            "action": {"type": "generate_load", "target": {"service_url": "{{SHOP}}/checkout", "qps": 300}},
            "verify": "orders add up",
        },
    }
    return ChaosOutcome.model_validate({**told, **said})


def thousand(stretches: int = 600) -> dict[str, list[ChaosOutcome]]:
    """Return a thousand disruptions of as many tests, run by two workers, each with a long series."""
    verdicts = [Verdict.held] * 7 + [Verdict.broke, Verdict.inconclusive, Verdict.not_judged]
    tests = {}
    for number in range(1000):
        test = f"tests/integration/test_checkout.py::TestCheckout::test_answers_in_a_rush[case-{number}]"
        began = 1_795_000_000.0 + 3 * (number // 2)
        tests[test] = [
            loaded(
                test,
                verdict=verdicts[number % 10],
                stretches=stretches,
                worker=f"gw{number % 2}",
                started_at=began,
            )
        ]
    return tests


HOSTILE = {
    "html": "<b>bold</b><img src=x onerror=window.pwned=1>",
    "script": "</script><script>window.pwned=2</script>",
    "attribute": "\"'><svg onload=window.pwned=3>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "entity": "&lt;i&gt; &amp; &#60;",
    "cdata": "<![CDATA[ ]]> <!-- --> ]]>",
    "style": "</style></title></textarea></template>",
    "rtl": "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "emoji": "\U0001f525\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "ansi": "\x1b[31mred\x1b[0m\x07",
    "long": "x" * 10_240,
    "separators": "a\u2028b\u2029c",
    "markup": "<a href='javascript:window.pwned=4'>plotly takes it for a link</a>",
}


def hostile(text: str) -> ChaosOutcome:
    """Return an outcome that holds ``text`` wherever somebody else's text may stand."""
    plain = loaded()
    agent = {"client": text, "model": text, "stop": text, "model_text": text}
    call = {"tool": text, "args": {text: text}, "refused": text}
    details = {
        **plain.result.details,
        "argv": [text],
        text: text,
        "fortio_version": text,
        "responses": {text: 1},
    }
    many = series(10).model_dump()
    return loaded(
        text,
        text,
        Verdict.broke,
        reason=text,
        worker=text,
        result={
            "success": False,
            "injected_fault": text,
            "output": text,
            "error": text,
            "details": {**details, "agent": {**agent, "calls": [call]}},
        },
        verify={
            "name": text,
            "phases": {text: False},
            "failed": 1,
            "failures": [{"at_s": 1.0, "phase": text, "message": text}],
        },
        timeline={**plain.timeline, text: 1.5},
        series={**many, "codes": {text: many["requests"]}},
        spec={"name": text, text: [text]},
    )
