"""Inner test modules with a secret in each place where one may stand, and with every way to fail.

No secret stands in the text of these modules, nor in a local variable of theirs: what a user's own frames show is the
user's. Each place has a secret of its own, which tells where a hit comes from.
"""

from __future__ import annotations

from typing import Final

CORE: Final = "s3nt1nel"


def secret(place: str) -> str:
    """Return the secret of one place, as the inner modules know it too."""
    return f"{CORE}-{place}-0123456789"


HEAD: Final = """
import asyncio, json, os, time, urllib.parse
from pathlib import Path
from typing import Literal

import pytest
from pytest_chaos import FAULTS, ChaosResult, ChaosSpec, Fault


def secret(place):
    return f"{os.environ['CORE']}-{place}-0123456789"


def load(url=None, name="load", verify=None, trigger=None, action=None, **target):
    target = {"service_url": url or os.environ["TARGET"], "qps": 40, "timeout": "1s", "min_delivered": 0, **target}
    return {
        "name": name,
        "trigger": trigger or {"type": "time"},
        "action": action or {"type": "generate_load", "target": target},
        **({"verify": verify, "verify_phases": ["after"]} if verify else {}),
    }


def bearer(place):
    return {"Authorization": f"Bearer {secret(place)}"}
"""

SUITE: Final = (
    HEAD
    + '''
DEAD = os.environ["DEAD"]
GARBAGE = os.environ["GARBAGE"]
FILLED = ("fixture", "env-var", "option")


@FAULTS.register("telling")
class TellingFault(Fault):
    """Knows a secret, and tells it wherever it can."""

    type: Literal["telling"] = "telling"
    place: str
    url: str = ""
    raises: bool = False

    def targets(self):
        return [self.url] if self.url else []

    def secrets(self, settings):
        return [secret(self.place)]

    def inject(self, ctx, chaos_active_event=None):
        if self.raises:
            raise OSError(f"it was {secret(self.place)}")
        chaos_active_event.set()
        ctx.stop.wait(5)
        told = f"it was {secret(self.place)}"
        return ChaosResult(
            success=False, injected_fault="telling", output=told, error=told, details={"x": [told], told: {told: 1}}
        )


WAYS = {
    "whole": lambda place: f"sent Bearer {secret(place)} in vain",
    "token": lambda place: f"no such token: {secret(place)}",
    "quoted": lambda place: urllib.parse.quote(f"Bearer {secret(place)}"),
    "json": lambda place: json.dumps({"Authorization": f'Bearer "{secret(place)}"'}),
    "cut": lambda place: "x" * 945 + f" Bearer {secret(place)}",
    "lines": lambda place: f"Bearer\\n{secret(place)}",
}


def failing(words):
    def check():
        raise ValueError(words())

    return check


@pytest.fixture
def chaos_verifiers():
    def returns():
        return [f"{'x' * 40} Bearer {secret('way-returns')}"]

    return {
        "returns": returns,
        **{f"way-{name}": failing(lambda name=name: WAYS[name](f"way-{name}")) for name in WAYS},
        **{place: failing(lambda place=place: secret(place)) for place in (*FILLED, "query-echo", "trigger-query")},
        "abort": failing(lambda: secret("abort")),
        "during": failing(lambda: secret("during")),
        "key": failing(lambda: os.environ["GEMINI_API_KEY"]),
    }


@pytest.fixture
def chaos_variables():
    return {"FIXTURE": secret("fixture"), "ME": f"http://me:{secret('filled-user')}@127.0.0.1/"}


def fails():
    control = "control" + " of showlocals"
    time.sleep(0.1)
    raise AssertionError(control)


@pytest.mark.chaos(load(DEAD, headers=bearer("dead")))
def test_dead_target(): pass


@pytest.mark.chaos(load(GARBAGE, headers=bearer("garbage")))
def test_target_answers_with_the_secret(): pass


@pytest.mark.chaos(load(headers={**bearer("body"), "Cookie": f"a=b; c={secret('cookie')}", "X-Mine": secret("mine")}))
def test_body(): fails()


@pytest.mark.parametrize(
    "place", [pytest.param(p, marks=pytest.mark.chaos(load(verify=p, headers={"Authorization": "Bearer {{%s}}" % n})))
              for p, n in zip(FILLED, ("FIXTURE", "APP_TOKEN", "OPTION"))]
)
def test_filled(place): time.sleep(0.1)


@pytest.mark.parametrize(
    "way", [pytest.param(w, marks=pytest.mark.chaos(load(verify=f"way-{w}", headers=bearer(f"way-{w}")))) for w in WAYS
            if w != "json"]
)
def test_check(way): time.sleep(0.1)


@pytest.mark.chaos(load(verify="way-json", headers={"Authorization": f'Bearer "{secret("way-json")}"'}))
def test_check_json(): time.sleep(0.1)


@pytest.mark.chaos(load(verify="returns", headers=bearer("way-returns")))
def test_check_returns(): time.sleep(0.1)


@pytest.mark.chaos({**load(headers=bearer("abort")), "abort_when": "abort"})
def test_aborted(): time.sleep(0.3)


@pytest.mark.chaos({**load(verify="during", headers=bearer("during")), "verify_phases": ["during"]})
def test_check_during(): time.sleep(0.3)


@pytest.mark.chaos(load(verify="key"))
def test_check_key(): time.sleep(0.1)


def query(place):
    forms = ("token={}", "a=1&x-mine={}", "%74oken={}", "X%2DMine={}", "api_key=a%20{}%2Fb", "token=a;{}", "token=a'{}")
    return "?" + "&".join(form.format(secret(f"{place}-{number}")) for number, form in enumerate(forms))


@pytest.mark.chaos(load(DEAD + query("query-dead"), name="dead"))
def test_query_of_a_dead_target(): pass


@pytest.mark.chaos(load(os.environ["TARGET"] + query("query")))
def test_query(): fails()


@pytest.mark.chaos(load(os.environ["TARGET"] + "?token=" + secret("query-echo"), verify="query-echo"))
def test_query_echo(): time.sleep(0.1)


TRIGGER = {"type": "http", "url": f"{os.environ['TARGET']}?token={secret('trigger-query')}", "status": 200}


@pytest.mark.chaos(load(trigger=TRIGGER, verify="trigger-query"))
def test_trigger(): time.sleep(0.5)


@pytest.mark.chaos(load(trigger={**TRIGGER, "status": 299, "timeout": 0.2}))
def test_trigger_that_never_fires(): fails()


@pytest.mark.chaos(load(action={"type": "telling", "place": "result"}))
def test_result(): fails()


@pytest.mark.chaos(load(action={"type": "telling", "place": "raised", "raises": True}))
def test_raised(): fails()


@pytest.mark.chaos(load(action={"type": "telling", "place": "x", "url": "{{ME}}"}))
def test_user_of_a_fault(): pass


@pytest.mark.chaos(load("{{ME}}"))
def test_user_that_is_filled_in(): pass


class TestFixtures:
    @pytest.fixture
    def chaos_verifiers(self): raise LookupError("no checks today")

    @pytest.mark.chaos(load(verify="a check", headers={"Authorization": "Bearer {{FIXTURE}} {{OPTION}} {{APP_TOKEN}}"}))
    def test_verifiers(self): pass


class TestVariables:
    @pytest.fixture
    def chaos_variables(self): raise LookupError("no variables today")

    @pytest.mark.chaos(load(headers={"Authorization": "Bearer {{OPTION}} {{APP_TOKEN}}"}))
    def test_variables(self): pass


def by_hand(place, **more):
    return load(DEAD, duration="200ms", headers={**bearer(place), "X-Token": "{{FIXTURE}} {{OPTION}}"}, **more)


def test_inject(chaos_injector):
    with chaos_injector.inject(by_hand("inject")): pass


def test_inject_body(chaos_injector):
    with chaos_injector.inject({**by_hand("inject-body"), "action": load(headers=bearer("inject-body"))["action"]}):
        fails()


def test_inject_bad(chaos_injector): chaos_injector.inject(by_hand("inject-bad", qsp=3))
def test_inject_worse(chaos_injector): chaos_injector.inject(load(headers=[bearer("inject-worse")]), wait="nver")
def test_inject_nonsense(chaos_injector): chaos_injector.inject(load(headers=bearer("nonsense")), 7)
def test_start(chaos_injector): chaos_injector.start(by_hand("start"))
def test_start_check(chaos_injector): chaos_injector.start(by_hand("start-check", verify="no such check"))
def test_start_user(chaos_injector): chaos_injector.start(load("{{ME}}", headers=bearer("start-user")))
def test_start_literal_user(chaos_injector): chaos_injector.start(load(f"http://me:{secret('hand-user')}@127.0.0.1/"))
def test_run(chaos_injector): chaos_injector.run(by_hand("run"))
def test_run_for_ever(chaos_injector): chaos_injector.run(load(headers=bearer("for-ever")))


def test_stop(chaos_injector):
    chaos_injector.start(load(headers=bearer("way-token"), verify="way-token"))
    time.sleep(0.1)
    chaos_injector.stop()


def test_left(chaos_injector): chaos_injector.start(load(headers=bearer("way-token"), verify="way-token"))


def test_checkpoint(chaos_injector):
    chaos_injector.start(
        load(
            action={"type": "telling", "place": "checkpoint", "raises": True}, trigger={"type": "checkpoint", "name": "now"}
        )
    )
    chaos_injector.checkpoint("now")


def test_async(chaos_injector):
    async def body():
        async with chaos_injector.inject(by_hand("async"), wait="none"):
            await asyncio.sleep(0.1)
            fails()

    asyncio.run(body())


def test_twice(chaos_injector):
    block = chaos_injector.inject(load(headers=bearer("twice")))
    with block: pass
    with block: pass


def is_ours(argv):
    return b"/reaper/__main__.py" in argv or {b"load", os.environ["TARGET"].encode()} <= {*argv.split(b"\\0")}


@pytest.mark.chaos(load(headers=bearer("environ")))
def test_environment_of_our_processes():
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if is_ours((process / "cmdline").read_bytes()):
                Path(f"environ-{process.name}.bin").write_bytes((process / "environ").read_bytes())
        except OSError:
            pass
    for kept in Path(os.environ["XDG_RUNTIME_DIR"]).glob("pytest-chaos-*/*/*"):
        Path(f"kept-{kept.parent.name}-{kept.name}.bin").write_bytes(kept.read_bytes())
    fails()
'''
)

BAD: Final = (
    HEAD
    + """
def param(id, *specs, **more):
    return pytest.param(id=id, marks=pytest.mark.chaos(*specs, **more))


@pytest.mark.parametrize((), [
    param("value", load(headers={"Authorization": f"{secret('bad-value')}\\n"})),
    param("list", load(headers=[f"Authorization: {secret('bad-list')}"])),
    param("key", load(header=bearer("bad-key"))),
    param("beside", load(headers=bearer("bad-beside"), qsp=3)),
    param("name", load(headers={f"Authorization: Bearer {secret('bad-name')}": ""})),
    param("refused", load(headers=bearer("bad-refused"), qps=1_000_000)),
    param("user", load(f"http://me:{secret('bad-user')}@127.0.0.1/")),
    param("at", load(f"http://me:p@{secret('bad-at')}@127.0.0.1/")),
    param("slash", load(f"http://me:p/{secret('bad-slash')}@127.0.0.1/")),
    param("query", load(f"http://127.0.0.1/ ?token={secret('bad-query')}")),
    param("outside", load(f"http://10.0.0.1/?x-mine={secret('bad-outside')}")),
    param("file", "bad.yaml"),
    param("broken", "broken.yaml"),
    param("twice", "twice.yaml"),
    param("json", "broken.json"),
    param("anchor", "anchor.yaml"),
    param("task", "task.yaml"),
    param("wait", load(headers=bearer("bad-wait")), wait="nver"),
])
def test_bad(): pass
"""
)

IMPORTS: Final = HEAD + '\nSPEC = ChaosSpec(**load(headers={"Authorization": secret("import") + "\\n"}))\n'

FILES: Final = {
    "bad.yaml": """
        trigger: {type: time}
        action:
          type: generate_load
          target: {service_url: "http://127.0.0.1/", qsp: 3, headers: {Authorization: [{file-bad}]}}
    """,
    "broken.yaml": """
        trigger: {type: time}
        action:
          type: generate_load
          target: {service_url: "http://127.0.0.1/", headers: {Authorization: "Bearer {file-broken}}}
    """,
    "twice.yaml": """
        trigger: {type: time}
        action:
          type: generate_load
          target: {service_url: "http://127.0.0.1/", headers: {Authorization: "{file-once}", Authorization: "{file-twice}"}}
    """,
    "anchor.yaml": """
        trigger: {type: time}
        action: {type: generate_load, target: {service_url: "http://127.0.0.1/", headers: {Authorization: *{file-anchor}}}}
    """,
    "task.yaml": """
        chaos_spec: "{trigger: {type: time}, action: {type: generate_load, target: {headers: {Cookie: {file-task}"
    """,
    "broken.json": """
        {"trigger": {"type": "time"}, "action": {"headers": {"Authorization": "{file-json}" "{file-json2}"}}}
    """,
    "good.yaml": """
        trigger: {type: time}
        action:
          type: generate_load
          target: {service_url: "{DEAD}", headers: {Authorization: "Bearer {file-good}"}}
    """,
}

GOOD_FILE: Final = (
    HEAD
    + """
@pytest.mark.chaos("good.yaml")
def test_good_file(): pass
"""
)

FAKE: Final = (
    HEAD
    + """
@pytest.mark.chaos(load(os.environ["TARGET"] + "?token=" + secret("fake-query"), headers={
    "Authorization": f'Bearer "{secret("fake")}"', "Cookie": "a" * 300 + secret("fake-long")
}))
def test_fake(): fails()


def test_by_hand(chaos_injector):
    with chaos_injector.inject(load(headers=bearer("fake-by-hand"))):
        pass


def fails():
    control = "control" + " of showlocals"
    raise AssertionError(control)
"""
)

MODEL_RUN: Final = (
    HEAD
    + """
@pytest.fixture
def chaos_verifiers():
    def check():
        raise ValueError(f"the key is {os.environ['GEMINI_API_KEY']}, the token {secret('model')}")

    return {"check": check}


@pytest.mark.chaos(load(verify="check", headers=bearer("model")))
def test_model():
    time.sleep(0.6)
"""
)

FORTIOS: Final = {
    "ends at once": """
        err("usage: " + " ".join(sys.argv))
        err(json.dumps({"level": "err", "msg": "no", "argv": sys.argv}))
        err(repr(sys.argv))
        sys.exit(2)
    """,
    "ends with words": """
        marker()
        log(5)
        until_sigint(log)
        err(json.dumps({"level": "err", "err": " ".join(sys.argv)}))
        err(" ".join(sys.argv))
        sys.exit(3)
    """,
    "reports an abort": """
        marker()
        log(5)
        until_sigint(log)
        say(report(error=True, message=" ".join(sys.argv)))
    """,
    "answers nothing": """
        err(json.dumps({"level": "err", "err": " ".join(sys.argv)}))
        marker()
        log(5, code=-1)
        until_sigint(lambda: log(1, code=-1))
    """,
}
