"""The trade. What is named here needs no database: networks, calendars, and sourcing (open orders into a problem)."""

from engine.calendar import Calendar
from engine.network import Network, NetworkColumns, Receipts, Stock, columns_of, read_network, write_network
from engine.sourcing import OpenOrders, apply, build_problem
from engine.waiting import Inbound, price_waiting

__all__ = [
    "Calendar",
    "Inbound",
    "Network",
    "NetworkColumns",
    "OpenOrders",
    "Receipts",
    "Stock",
    "apply",
    "build_problem",
    "columns_of",
    "price_waiting",
    "read_network",
    "write_network",
]
