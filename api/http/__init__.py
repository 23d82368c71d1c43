"""The service over HTTP: `make_app` gives its application."""

from api.http.app import make_app

__all__ = ["make_app"]
