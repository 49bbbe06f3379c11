"""Three tests of a shop under real load: one that holds, one that breaks, one that starts the load by hand."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shop import Shop

    from pytest_chaos.plugin.injector import ChaosInjector


def get(url: str) -> tuple[int, float]:
    """Return the status of one request and the seconds it took."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            response.read()
            status = int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        status = error.code
    return status, time.monotonic() - began


@pytest.mark.chaos(
    {
        "name": "lunch rush",
        "trigger": {"type": "time", "delay_seconds": 0.5},
        "action": {"type": "generate_load", "target": {"service_url": "{{SHOP_URL}}/checkout", "qps": 300}},
        "verify": "orders add up",
    }
)
def test_checkout_works_in_a_rush(shop: Shop) -> None:
    """Holds: customers can pay while 300 requests a second hit the shop."""
    for _ in range(20):
        status, seconds = get(f"{shop.url}/checkout")
        assert status == 200
        assert seconds < 2
        time.sleep(0.05)


@pytest.mark.xfail(strict=True, reason="the limit of vouchers counts all customers together")
@pytest.mark.chaos(
    {
        "name": "voucher rush",
        "trigger": {"type": "time"},
        "action": {"type": "generate_load", "target": {"service_url": "{{SHOP_URL}}/voucher", "qps": 300}},
    }
)
def test_one_customer_can_use_a_voucher(shop: Shop) -> None:
    """Breaks: alone a customer can always use a voucher, in a rush nobody can."""
    statuses = []
    for _ in range(20):
        statuses.append(get(f"{shop.url}/voucher")[0])
        time.sleep(0.05)
    assert statuses == [200] * 20


def test_browsing_before_and_during_a_rush(shop: Shop, chaos_injector: ChaosInjector) -> None:
    """Holds: the load is started inside the body, for just the block that needs it."""
    assert get(f"{shop.url}/browse")[0] == 200
    with chaos_injector.inject(
        {
            "name": "browsing rush",
            "trigger": {"type": "time"},
            "action": {"type": "generate_load", "target": {"service_url": "{{SHOP_URL}}/browse", "qps": 200}},
        }
    ):
        for _ in range(20):
            assert get(f"{shop.url}/browse")[0] == 200
            time.sleep(0.02)
