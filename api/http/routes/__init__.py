"""The routes, by what they are about."""

from api.http.routes import jobs, keys

ROUTERS = (keys.router, jobs.router)

__all__ = ["ROUTERS"]
