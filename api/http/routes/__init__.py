"""The routes, by what they are about."""

from api.http.routes import consignments, deciding, jobs, keys, network, orders, stock

ROUTERS = tuple(module.router for module in (orders, consignments, stock, deciding, network, jobs, keys))

__all__ = ["ROUTERS"]
