"""Amounts in the smallest unit of their currency (ISO 4217), and as decimals."""

import re
from decimal import ROUND_FLOOR, Decimal

_MONEY = re.compile(r"\d{1,12}(?:\.\d{1,12})?\Z")
_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_DECIMALS = {**dict.fromkeys(_NONE.split(), 0), **dict.fromkeys(_THREE.split(), 3)}


def decimals(currency: str) -> int:
    """How many a currency has."""
    return _DECIMALS.get(currency, 2)


def minor(text: str, currency: str, units: int = 1) -> int:
    """A decimal amount in the smallest unit of its currency, for one of so many units; what is left over is dropped.

    Raises
    ------
    ValueError
        It is no amount, or more than any price.
    """
    if not _MONEY.match(text) or units < 1:
        raise ValueError("is no amount of money")
    amount = Decimal(text).scaleb(decimals(currency)) / units
    cents = int(amount.to_integral_value(ROUND_FLOOR))
    if cents > 10**8:
        raise ValueError("is more than any price")
    return cents
