"""``verify_phases`` under real load: asked before anything starts, while it is active, and until it has recovered."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest

from tests.support.inner import InnerPytest, InnerRun
from tests.support.processes import assert_none_left
from tests.support.server import Shop
from tests.support.specs import load_spec

SLOW_S = 0.4


class TiredShop(Shop):
    """Slow while somebody checks out, and for ``tired_s`` after the last one did."""

    tired_s = 1.5

    @property
    def delay_s(self) -> float:
        last = next((hit.at for hit in reversed(self.hits) if hit.path == "/checkout"), -self.tired_s)
        return SLOW_S if time.monotonic() - last < self.tired_s else 0.0

    @delay_s.setter
    def delay_s(self, _value: float) -> None:
        """Its makers want it to begin awake, and so it does."""

    def asked_for(self, path: str) -> list[float]:
        """Return when ``path`` was asked for."""
        return [hit.at for hit in self.hits if hit.path == path]


@pytest.fixture
def tired() -> Generator[TiredShop, None, None]:
    server = TiredShop()
    yield server
    server.close()
    assert_none_left(f":{server.port}")


def rush(shop: Shop, *phases: str, duration: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a spec for a load that the shop can bear; ``fast`` is to be asked in ``phases``."""
    spec = load_spec(
        f"{shop.url}/checkout",
        name="rush",
        verify="fast",
        qps=50,
        concurrency=30,
        min_delivered=0.5,
        duration=duration,
    )
    return {**spec, "verify_phases": list(phases), "verify_every": 0.05, **more}


def module(shop: Shop, test: str) -> str:
    """Return a module whose check asks ``/health`` and wants an answer soon."""
    return f"""
import time
import urllib.error
import urllib.request

import pytest
from pytest_chaos.errors import NotHeld

@pytest.fixture
def chaos_verifiers():
    def fast():
        try:
            with urllib.request.urlopen("{shop.url}/health", timeout={0.6 * SLOW_S}) as answer:
                assert answer.status == 200
        except urllib.error.HTTPError as error:
            error.close()
            raise
        except TimeoutError:
            raise AssertionError("the shop is slow") from None
    return {{"fast": fast}}

{test}
"""


def marked(spec: dict[str, Any], *, body: str = "time.sleep(0.7)", wait: str = "active") -> str:
    return f"@pytest.mark.chaos({spec!r}, wait={wait!r})\ndef test_it():\n    {body}\n"


def by_hand(spec: dict[str, Any], *, wait: str = "active") -> str:
    return (
        "def test_it(chaos_injector):\n"
        f"    with chaos_injector.inject({spec!r}, wait={wait!r}):\n        time.sleep(0.7)\n"
    )


def the_outcome(run: InnerRun) -> dict[str, Any]:
    (outcome,) = run.test().chaos
    return outcome


def drawn(run: InnerRun) -> set[str]:
    """Return the marks in the row of the check in the timeline: ``!`` failed, ``r`` recovered."""
    sections = [text for report in run.test().reports for name, text in report.sections if name == "chaos"]
    rows = [row.strip().removeprefix("check ") for row in sections[-1].splitlines() if " check " in row]
    marks = [set(row) - {" "} for row in rows if set(row) <= {" ", "!", "r"}]
    return marks[-1] if marks else set()


MADE = pytest.mark.parametrize("made", [marked, by_hand], ids=["mark", "by hand"])
WAYS = pytest.mark.parametrize(
    ("made", "option"),
    [
        pytest.param(marked, "-n0", id="mark"),
        pytest.param(marked, "-n2", id="mark, distributed"),
        pytest.param(by_hand, "-n0", id="by hand"),
    ],
)


@WAYS
def test_a_service_that_recovers_in_time(
    inner: InnerPytest, tired: TiredShop, made: Any, option: str
) -> None:
    source = module(tired, made(rush(tired, "before", "after", recover_within=5)))
    run = inner(source, option, plugins=["xdist.plugin"], junit=True)
    outcome = the_outcome(run)
    verify = outcome["verify"]
    assert (run.exit_code, run.test().word, outcome["verdict"]) == (0, "passed", "held"), run.stdout
    assert verify["time_to_recover_s"] == pytest.approx(1.5, abs=0.4)
    assert verify["phases"] == {"before": True, "after": True}
    assert verify["tries"] == verify["failed"] + 2
    assert verify["failed"] >= 3
    times = [failure["at_s"] for failure in verify["failures"]]
    over = outcome["timeline"]["last_effect"]
    assert over <= times[0] < times[-1] <= over + verify["time_to_recover_s"] + 0.01
    assert outcome["timeline"]["recovered"] == pytest.approx(over + verify["time_to_recover_s"], abs=1e-5)
    # One check before, all the others after; each really asked the shop.
    assert len(tired.asked_for("/health")) == 1 + verify["tries"]
    assert tired.asked_for("/health")[0] < tired.asked_for("/checkout")[0]
    assert run.junit["test_it"].chaos[0]["verify"] == verify
    assert drawn(run) == {"!", "r"}


@WAYS
def test_a_service_that_recovers_too_late(
    inner: InnerPytest, tired: TiredShop, made: Any, option: str
) -> None:
    source = module(tired, made(rush(tired, "before", "after", recover_within=0.5)))
    run = inner(source, option, plugins=["xdist.plugin"])
    end, outcome = run.test(), the_outcome(run)
    assert (run.exit_code, end.word, end.verdicts) == (1, "failed", ["broke"]), run.stdout
    last = outcome["verify"]["failures"][-1]["message"]
    assert last == "the check 'fast' failed: AssertionError: the shop is slow"
    assert last in outcome["reason"]
    assert last in end.longrepr
    assert "`recover_within` allows 0.5 s" in end.longrepr
    assert outcome["verify"]["time_to_recover_s"] is None
    assert outcome["verify"]["phases"] == {"before": True, "after": False}
    assert (
        tired.asked_for("/health")[-1] - tired.asked_for("/checkout")[-1] < 1.4
    )  # it gave up when it was time


@pytest.mark.parametrize("wait", ["active", "done", "none"])
@WAYS
def test_a_service_that_is_broken_from_the_start(
    inner: InnerPytest, shop: Shop, made: Any, wait: str, option: str
) -> None:
    shop.status = 500
    source = module(shop, made(rush(shop, "before", "after", duration="0.2s"), wait=wait))
    run = inner(source, option, plugins=["xdist.plugin"])
    end, outcome = run.test(), the_outcome(run)
    assert run.exit_code == 1
    assert end.word == ("error" if made is marked else "failed")
    assert end.verdicts == ["inconclusive"]
    why = "the steady state was bad before anything was started: the check 'fast' failed: HTTPError: HTTP Error 500"
    assert outcome["reason"].startswith(why)
    assert why in end.longrepr
    assert outcome["verify"]["phases"] == {"before": False}
    assert outcome["result"]["success"] is False
    assert {"fired", "active"} & set(outcome["timeline"]) == set()
    assert [hit.path for hit in shop.hits] == ["/health"]  # no request of fortio's


# Phases, the verdict, and what the timeline shows of the check.
DURING_THE_SPIKE = {
    "after": (["after"], "held", {"r"}),
    "during": (["during"], "broke", {"!"}),
    "both": (["during", "after"], "broke", {"!", "r"}),
    "all": (["before", "during", "after"], "broke", {"!", "r"}),
}


@pytest.mark.parametrize(("phases", "verdict", "marks"), DURING_THE_SPIKE.values(), ids=DURING_THE_SPIKE)
@MADE
def test_a_service_that_fails_only_during_the_spike(
    inner: InnerPytest,
    tired: TiredShop,
    made: Any,
    phases: list[str],
    verdict: str,
    marks: set[str],
) -> None:
    tired.tired_s = 0.3  # less than the last answer takes, for which fortio waits
    run = inner(module(tired, made(rush(tired, *phases))))
    outcome = the_outcome(run)
    verify, timeline = outcome["verify"], outcome["timeline"]
    assert outcome["verdict"] == verdict, run.stdout
    assert run.test().word == ("passed" if verdict == "held" else "failed")
    assert verify["phases"] == {phase: phase != "during" for phase in phases}
    assert drawn(run) == marks
    if "after" in phases:
        assert verify["tries"] == 1
        assert 0 <= verify["time_to_recover_s"] < 1
        assert "recovered" in timeline
    if "during" in phases:
        assert verify["samples"] == verify["failed"] == len(verify["failures"]) >= 2
        for failure in verify["failures"]:
            assert timeline["active"] <= failure["at_s"] <= timeline["last_effect"] + 0.05
            assert failure["phase"] == "during"
        assert outcome["reason"].endswith("(while it was active)")
        assert "the shop is slow" in outcome["reason"]
    else:
        assert (verify["samples"], verify["failed"]) == (0, 0)


def test_when_the_load_is_over_recovery_is_asked_before_the_body(
    inner: InnerPytest, tired: TiredShop
) -> None:
    spec = rush(tired, "before", "during", "after", duration="0.6s", recover_within=5)
    run = inner(module(tired, marked(spec, wait="done", body="pass")))
    timeline = the_outcome(run)["timeline"]
    # It is slow under load, so the phase during fails; what counts here is the order.
    assert run.test().verdicts == ["broke"]
    assert the_outcome(run)["verify"]["phases"] == {"before": True, "during": False, "after": True}
    moments = ["fired", "active", "last_effect", "recovered", "verified", "body_started", "body_ended"]
    assert [timeline[one] for one in moments] == sorted(timeline[one] for one in moments)
    assert timeline["recovered"] - timeline["last_effect"] == pytest.approx(1.5, abs=0.4)


@pytest.mark.parametrize(("within", "verdict"), [(5, "held"), (0.5, "broke")])
@MADE
def test_a_test_of_recovery(
    inner: InnerPytest, tired: TiredShop, made: Any, within: float, verdict: str
) -> None:
    spec = rush(tired, "before", "after", duration="0.6s", recover_within=within)
    run = inner(module(tired, made(spec, wait="done")))
    assert run.test().verdicts == [verdict], run.stdout
    assert run.exit_code == (0 if verdict == "held" else 1)
    assert "body_ended" in the_outcome(run)["timeline"]


def test_run_to_completion_asks_too(inner: InnerPytest, tired: TiredShop) -> None:
    spec = rush(tired, "before", "after", duration="0.6s", recover_within=0.5)
    run = inner(
        module(
            tired,
            f"""
def test_it(chaos_injector):
    with pytest.raises(NotHeld, match="it did not hold again 0[.]"):
        chaos_injector.run({spec!r})
    (outcome,) = chaos_injector.outcomes
    assert outcome.verify.phases == {{"before": True, "after": False}}
""",
        )
    )
    assert (run.test().word, run.test().verdicts) == ("passed", ["broke"]), run.stdout


def test_an_outcome_that_is_left_to_the_test_tells_of_the_check(inner: InnerPytest, tired: TiredShop) -> None:
    spec = rush(tired, "before", "during", "after", recover_within=5)
    run = inner(
        module(
            tired,
            f"""
def test_it(chaos_injector):
    with chaos_injector.inject({spec!r}, check=False) as block:
        time.sleep(0.7)
    verify = block.outcome.verify
    assert block.outcome.verdict == "broke"
    assert verify.phases == {{"before": True, "during": False, "after": True}}
    assert 1.1 <= verify.time_to_recover_s <= 1.9
""",
        )
    )
    assert (run.test().word, run.test().verdicts) == ("passed", ["broke"]), run.stdout


def test_a_load_that_ended_long_before_the_body_recovered_in_the_meantime(
    inner: InnerPytest, tired: TiredShop
) -> None:
    """The first try always counts: it could not have come earlier."""
    tired.tired_s = 0.5
    spec = rush(tired, "after", duration="0.6s", recover_within=0.6)
    run = inner(module(tired, marked(spec, body="time.sleep(1.3)")))
    outcome = the_outcome(run)
    assert (outcome["verdict"], outcome["verify"]["tries"]) == ("held", 2), run.stdout
    assert 0.7 <= outcome["verify"]["time_to_recover_s"] < 1.5


def test_a_body_that_fails_is_told_how_it_was_afterwards(inner: InnerPytest, tired: TiredShop) -> None:
    spec = rush(tired, "after", recover_within=5)
    run = inner(module(tired, marked(spec, body="time.sleep(0.3); raise OSError('no checkout')")))
    outcome = the_outcome(run)
    assert (run.test().word, outcome["verdict"]) == ("failed", "broke")
    assert outcome["reason"] == "the body failed while it was disrupted"
    assert "no checkout" in run.test().longrepr
    assert outcome["verify"]["time_to_recover_s"] == pytest.approx(1.5, abs=0.4)


def test_in_peace_nobody_asks(inner: InnerPytest, shop: Shop) -> None:
    shop.status = 500
    run = inner(module(shop, marked(rush(shop, "before", "during", "after"))), "--chaos-disable")
    assert (run.test().word, run.test().verdicts) == ("passed", ["disabled"])
    assert shop.hits == []


def test_a_plan_says_when_it_is_asked(inner: InnerPytest, shop: Shop) -> None:
    run = inner(
        module(shop, marked(rush(shop, "before", "during", "after", recover_within=2.5))), "--chaos-dry-run"
    )
    assert "verify   'fast' before, during, after, again within 2.5 s" in run.stdout
    assert shop.hits == []
