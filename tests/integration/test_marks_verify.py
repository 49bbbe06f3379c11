"""``verify``: the named check decides once everything else held; one that cannot be used is an error.

Here it is asked afterwards alone; ``test_verify_phases.py`` is about the other phases.
"""

from __future__ import annotations

import pytest

from tests.support.inner import InnerPytest
from tests.support.staged import STAGED

HEAD = """\
import functools
import pytest
from conftest import RUNNING, STARTED, staged

class Shop:
    def check(self): pass
    def check_disruption(self, disruption): assert disruption.spec.name == "a rush"
    async def check_later(self): pass
    def __call__(self): return False

class Later:
    async def __call__(self): pass

def raises(error):
    raise error

async def coroutine_function(): pass

async def async_generator_function(): yield

def generator_function(): yield

"""

# A check, how the test ends, the verdict, and a part of the reason.
CHECKS = {
    "none": ("lambda: None", "passed", "held", "the body passed while it was disrupted"),
    "true": ("lambda: True", "passed", "held", ""),
    "takes_the_disruption": ("lambda disruption: disruption.spec.name == 'a rush'", "passed", "held", ""),
    "takes_what_it_likes": ("lambda *args, **kwargs: None", "passed", "held", ""),
    "has_a_default": ("lambda disruption=None: None", "passed", "held", ""),
    "method": ("Shop().check", "passed", "held", ""),
    "method_with_disruption": ("Shop().check_disruption", "passed", "held", ""),
    "partial": ("functools.partial(lambda a, b: a == b, 1, 1)", "passed", "held", ""),
    "sees_peace": ("lambda: not RUNNING and bool(STARTED)", "passed", "held", ""),
    "false": ("lambda: False", "failed", "broke", "the check 'it' failed: it returned False"),
    "callable_object": ("Shop()", "failed", "broke", "it returned False"),
    "raises": (
        "lambda: raises(OSError('orders are lost'))",
        "failed",
        "broke",
        "'it' failed: OSError: orders are lost",
    ),
    "asserts": ("lambda: raises(AssertionError('1 != 2'))", "failed", "broke", "AssertionError: 1 != 2"),
    "fails": ("lambda: pytest.fail('no')", "failed", "broke", "'it' failed: Failed: no"),
    "skips": ("lambda: pytest.skip('no')", "failed", "broke", "Skipped: no"),
    "zero": ("lambda: 0", "failed", "error", "the check 'it' returned 0; it must return None or True"),
    "one": ("lambda: 1", "failed", "error", "returned 1"),
    "text": ("lambda: 'fine'", "failed", "error", "returned 'fine'"),
    "empty_list": ("lambda: []", "failed", "error", "returned []"),
    "generator": ("generator_function", "failed", "error", "returned <generator"),
    "lambda_that_makes_a_coroutine": (
        "lambda: coroutine_function()",
        "failed",
        "error",
        "returned <coroutine",
    ),
    "object_whose_call_is_a_coroutine": (
        "Later()",
        ("failed", "error"),
        ("error", "inconclusive"),
        "coroutine",
    ),
}
# These are found before anything fires.
UNUSABLE = {
    "coroutine_function": ("coroutine_function", "the check 'it' is a coroutine function"),
    "async_method": ("Shop().check_later", "the check 'it' is a coroutine function"),
    "partial_of_a_coroutine_function": ("functools.partial(coroutine_function)", "is a coroutine function"),
    "async_generator": ("async_generator_function", "is a coroutine function"),
    "takes_two": ("lambda a, b: None", "the check 'it' must take nothing, or the disruption alone"),
    "keyword_only": ("lambda *, a: None", "must take nothing, or the disruption alone"),
    "no_function": ("42", "the check 'it' is int, not a function"),
    "nothing": ("None", "the check 'it' is NoneType, not a function"),
}


def marked(check: str, *marks: str, body: str = "pass", name: str = "it") -> str:
    """Return a module with one test whose check ``it`` is ``check``, and one that looks what was started."""
    more = "".join(f"@pytest.mark.{mark}\n" for mark in marks)
    return (
        f"{HEAD}@pytest.fixture\ndef chaos_verifiers(): return {{'it': {check}}}\n"
        f"{more}@pytest.mark.chaos(staged(verify={name!r}))\ndef test_it(): {body}\n"
        "def test_after(): print('started:', STARTED)\n"
    )


@pytest.mark.parametrize(("check", "word", "verdict", "reason"), CHECKS.values(), ids=CHECKS)
def test_what_a_check_says(
    inner: InnerPytest, check: str, word: str | tuple[str, ...], verdict: str | tuple[str, ...], reason: str
) -> None:
    run = inner(marked(check), conftest=STAGED)
    end = run.test("::test_it")
    assert end.word in word
    assert end.verdicts[0] in verdict
    assert reason in end.chaos[0]["reason"]
    assert run.words["test_after"] == "passed"


@pytest.mark.parametrize("where", ["mark", "by hand"])
@pytest.mark.parametrize(("check", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_one_that_cannot_be_used_is_found_before_anything_fires(
    inner: InnerPytest, check: str, message: str, where: str
) -> None:
    source = marked(check, "xfail", body="raise SystemError")
    if where == "by hand":
        source = source.replace("@pytest.mark.chaos(staged(verify='it'))\n", "").replace(
            "def test_it(): ",
            "def test_it(chaos_injector):\n    with chaos_injector.inject(staged(verify='it')): ",
        )
    run = inner(source, "-s", conftest=STAGED)
    end = run.test("::test_it")
    assert end.word == ("error" if where == "mark" else "failed")
    assert end.verdicts == ["inconclusive"]
    assert message in end.longrepr
    assert "started: []" in run.stdout


def test_an_unknown_name_is_found_before_anything_fires(inner: InnerPytest) -> None:
    run = inner(marked("lambda: None", "xfail", body="raise SystemError", name="ti"), "-s", conftest=STAGED)
    assert run.test("::test_it").word == "error"
    assert (
        "verify: no check is called 'ti'; chaos_verifiers has: 'it'; did you mean 'it'?"
        in run.test("::test_it").longrepr
    )
    assert "started: []" in run.stdout


def test_without_the_fixture_no_name_is_known(inner: InnerPytest) -> None:
    run = inner(f"{HEAD}@pytest.mark.chaos(staged(verify='it'))\ndef test_it(): pass\n", conftest=STAGED)
    assert run.test().word == "error"
    assert "no check is called 'it'; chaos_verifiers has: none" in run.test().longrepr


@pytest.mark.parametrize(
    ("body", "spec", "asked"),
    [
        ("pass", "staged(verify='it')", True),
        ("assert 0", "staged(verify='it')", True),
        ("pytest.skip('x')", "staged(verify='it')", False),
        ("pass", "staged(verify='it', play='fails')", False),
        ("pass", "staged(verify='it', play='falls short')", False),
        ("pass", "staged(verify='it', play='raises')", False),
        (
            "pass",
            "{'verification' if key == 'verify' else key: value for key, value in staged(verify='it').items()}",
            True,
        ),
    ],
)
def test_it_is_asked_once_and_only_of_a_disruption_that_was_one(
    inner: InnerPytest, body: str, spec: str, asked: bool
) -> None:
    source = (
        f"{HEAD}ASKED = []\n@pytest.fixture\ndef chaos_verifiers(): return {{'it': lambda: ASKED.append(1)}}\n"
        f"@pytest.mark.chaos({spec})\ndef test_it(): {body}\n"
        f"def test_after(): assert len(ASKED) == {int(asked)}\n"
    )
    run = inner(source, conftest=STAGED)
    assert run.words["test_after"] == "passed"
    (outcome,) = run.test("::test_it").chaos
    assert outcome["verify"]["tries"] == int(asked)
    assert outcome["verify"]["phases"] == ({"after": True} if asked else {})


@pytest.mark.parametrize(
    ("check", "word", "verdict"),
    [
        ("lambda: False", "xfailed", "broke"),
        ("lambda: raises(OSError())", "xfailed", "broke"),
        ("lambda: 0", "failed", "error"),
    ],
)
def test_xfail(inner: InnerPytest, check: str, word: str, verdict: str) -> None:
    run = inner(marked(check, "xfail(strict=True)"), conftest=STAGED)
    assert (run.test("::test_it").word, run.test("::test_it").verdicts) == (word, [verdict])


def test_each_spec_asks_its_own(inner: InnerPytest) -> None:
    run = inner(
        f"""{HEAD}
@pytest.fixture
def chaos_verifiers(): return {{"good": lambda: None, "bad": lambda: False}}

@pytest.mark.chaos(staged("one", verify="good"), staged("two", verify="bad"), staged("three"))
def test_it(): pass
""",
        conftest=STAGED,
    )
    assert run.test().verdicts == ["held", "broke", "held"]
    assert run.test().word == "failed"
    assert "'two'" in run.test().longrepr
    assert "'one'" not in run.test().longrepr


def test_the_failure_of_a_check_stands_on_the_report(inner: InnerPytest) -> None:
    run = inner(marked("lambda: raises(OSError('orders are lost'))"), conftest=STAGED)
    (outcome,) = run.test("::test_it").chaos
    (failure,) = outcome["verify"].pop("failures")
    assert outcome["verify"] == {
        "name": "it",
        "phases": {"after": False},
        "samples": 0,
        "tries": 1,
        "time_to_recover_s": None,
        "failed": 1,
    }
    assert outcome["timeline"]["body_ended"] <= failure.pop("at_s") <= outcome["timeline"]["verified"]
    assert failure == {"phase": "after", "message": "the check 'it' failed: OSError: orders are lost"}


def test_hooks_know_more_names(inner: InnerPytest) -> None:
    conftest = (
        STAGED
        + """
ASKED = []

def pytest_chaos_verifier(name, request):
    ASKED.append((name, request.node.name))
    if name.startswith("metric "):
        return lambda: name == "metric good"
"""
    )
    run = inner(
        f"""{HEAD}
from conftest import ASKED

@pytest.fixture
def chaos_verifiers(): return {{"metric of the fixture": lambda: True}}

@pytest.mark.chaos(staged(verify="metric good"))
def test_good(): assert ASKED == [("metric good", "test_good")]

@pytest.mark.chaos(staged(verify="metric bad"))
def test_bad(): pass

@pytest.mark.chaos(staged(verify="metric of the fixture"))
def test_fixture(): assert len(ASKED) == 2

@pytest.mark.chaos(staged(verify="other"))
def test_unknown(): pass

def test_by_hand(chaos_injector):
    with chaos_injector.inject(staged(verify="metric good")):
        pass
""",
        conftest=conftest,
    )
    assert run.words == {
        "test_good": "passed",
        "test_bad": "failed",
        "test_fixture": "passed",
        "test_unknown": "error",
        "test_by_hand": "passed",
    }
    assert run.test("::test_bad").verdicts == ["broke"]


@pytest.mark.parametrize("returned", ["None", "[]", "1 / 0"])
def test_a_fixture_that_is_no_mapping_starts_nothing(inner: InnerPytest, returned: str) -> None:
    source = f"{HEAD}@pytest.fixture\ndef chaos_verifiers(): return {returned}\n@pytest.mark.xfail\n"
    source += "@pytest.mark.chaos(staged(verify='it'))\ndef test_it(): raise SystemError\n"
    run = inner(source + "def test_after(): assert STARTED == []\n", conftest=STAGED)
    assert run.words == {"test_it": "error", "test_after": "passed"}
