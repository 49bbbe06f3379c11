"""Our own faults and triggers keep the contracts that we ask of others."""

# ruff: noqa: ARG002 - what overrides a method has its arguments, whether it needs them or not

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from pytest_chaos.base import FAULTS, TRIGGERS
from pytest_chaos.context import RunContext
from pytest_chaos.faults.generate_load import GenerateLoadFault, LoadTarget
from pytest_chaos.fortio.figures import LoadFigures
from pytest_chaos.testing import FaultContract, TriggerContract
from pytest_chaos.triggers.after import AfterTrigger
from pytest_chaos.triggers.checkpoint import CheckpointTrigger
from pytest_chaos.triggers.http_answer import HttpTrigger
from pytest_chaos.triggers.log_line import LogTrigger
from pytest_chaos.triggers.time_delay import TimeTrigger
from tests.support.server import Shop


class LoadDetails(LoadFigures):
    """What ``generate_load`` says besides its figures."""

    agent: dict[str, JsonValue] | None
    failure: str | None = None


class TestGenerateLoad(FaultContract):
    details_model = LoadDetails

    @pytest.fixture(autouse=True)
    def _shop(self, shop: Shop) -> None:
        self.shop = shop

    def make_fault(self) -> GenerateLoadFault:
        return GenerateLoadFault(
            target=LoadTarget(service_url=f"{self.shop.url}/checkout", qps=100, concurrency=3)
        )

    def effect_seen(self) -> bool:
        return self.shop.count > 3  # each connection is warmed up with one request, which is not measured


class TestTime(TriggerContract):
    def make_trigger(self) -> TimeTrigger:
        return TimeTrigger(delay_seconds=0.3)


class TestCheckpoint(TriggerContract):
    def make_trigger(self) -> CheckpointTrigger:
        return CheckpointTrigger(name="half way", timeout="1m")

    def make_it_happen(self, ctx: RunContext) -> None:
        ctx.milestones.reach("checkpoint", "another one")
        ctx.milestones.reach("checkpoint", "half way")


class TestCheckpointThatMaySkip(TestCheckpoint):
    def make_trigger(self) -> CheckpointTrigger:
        return CheckpointTrigger(name="half way", on_timeout="skip")


class TestAfter(TriggerContract):
    def make_trigger(self) -> AfterTrigger:
        return AfterTrigger(disruption="lunch rush", state="active")

    def make_it_happen(self, ctx: RunContext) -> None:
        ctx.milestones.reach("active", "lunch rush")


class TestHttp(TriggerContract):
    @pytest.fixture(autouse=True)
    def _shop(self, shop: Shop) -> None:
        self.shop = shop
        shop.status = 503

    def make_trigger(self) -> HttpTrigger:
        return HttpTrigger(url=f"{self.shop.url}/ready", body="^ok$", every=0.02)

    def make_it_happen(self, ctx: RunContext) -> None:
        self.shop.status = 200


class TestLog(TriggerContract):
    def make_trigger(self) -> LogTrigger:
        return LogTrigger(pattern=r"order \d+ paid", logger="contract")

    def make_it_happen(self, ctx: RunContext) -> None:
        logging.getLogger("contract.orders").warning("order %d paid", 3)


class TestLogFile(TriggerContract):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.file = tmp_path / "shop.log"
        self.file.write_text("order 2 paid\n", encoding="utf-8")  # it was there before, so it does not count

    def make_trigger(self) -> LogTrigger:
        return LogTrigger(pattern=r"order \d+ paid", file=str(self.file))

    def make_it_happen(self, ctx: RunContext) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write("order 3 paid\n")


def test_none_of_ours_is_forgotten() -> None:
    tested = set()
    for one in globals().values():
        if isinstance(one, type) and getattr(one, "__test__", False):
            make: Any = vars(one)["make_fault" if issubclass(one, FaultContract) else "make_trigger"]
            tested.add(make.__annotations__["return"])
    ours = [cls for registry in (FAULTS, TRIGGERS) for _, cls in registry.items()]
    assert tested == {cls.__name__ for cls in ours if cls.__module__.startswith("pytest_chaos.")}
