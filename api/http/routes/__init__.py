"""The routes, by what they are about."""

from api.http.routes import (
    channels,
    consignments,
    deciding,
    jobs,
    keys,
    network,
    notices,
    orders,
    papers,
    payments,
    privacy,
    retailer,
    returns,
    stock,
    webhooks,
)

ROUTERS = tuple(
    module.router
    for module in (
        orders,
        consignments,
        papers,
        payments,
        returns,
        stock,
        deciding,
        network,
        retailer,
        channels,
        webhooks,
        notices,
        privacy,
        jobs,
        keys,
    )
)

__all__ = ["ROUTERS"]
