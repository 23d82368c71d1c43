"""The routes, by what they are about."""

from api.http.routes import consignments, deciding, jobs, keys, network, orders, papers, retailer, stock

ROUTERS = tuple(
    module.router for module in (orders, consignments, papers, stock, deciding, network, retailer, jobs, keys)
)

__all__ = ["ROUTERS"]
