"""A shop with a connection, on both databases and over the API, and payloads that are sent to it."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from engine.database import Database
from tests.api.channels.shop import Shop, found_shop
from tests.api.http.conftest import opened


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    """The example network with a connection to a shop at Shopify."""
    with opened(database) as desk:
        yield found_shop(desk)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No logs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
