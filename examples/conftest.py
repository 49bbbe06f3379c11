"""The shop of the examples, and what chaos has to know of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

import pytest
from shop import Shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Start a shop of the test's own."""
    server = Shop()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def chaos_variables(shop: Shop) -> Mapping[str, str]:
    """Fill {{SHOP_URL}} in the specs."""
    return {"SHOP_URL": shop.url}


@pytest.fixture
def chaos_verifiers(shop: Shop) -> Mapping[str, Callable[[], bool]]:
    """Name the checks that specs may ask for in `verify`."""
    return {"orders add up": lambda: shop.orders + shop.stock == 1_000_000}
