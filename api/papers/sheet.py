"""A sheet of paper: text, rules and barcodes, placed in millimetres from the upper left corner; new pages as they are needed."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Literal

from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from api.papers.letters import UNKNOWN, Letters
from engine.calendar import MS_PER_DAY, format_day
from engine.money import decimals

A4, A6 = (210.0, 297.0), (105.0, 148.0)
"""Width and height in mm."""
LINE = 1.25
"""The height of a line of text, in its size."""
GREY = 0.4
FOOT = 9.0
"""What is kept free below the text of a page for its foot, in mm."""
QUIET = 10
"""Modules that are left white at each end of a barcode."""
Align = Literal["left", "right", "centre"]
_LACKED = f"{UNKNOWN} stands for a letter that cannot be printed here"
_PRINTING = threading.Lock()
"""Fonts are shared by all papers, and remember what they write for the one that is being printed."""


class Sheet:
    """A paper that is written from top to bottom. `y` is where it goes on, in mm below the upper edge."""

    def __init__(self, size: tuple[float, float], margin: float, letters: Letters, title: str, pages: int) -> None:
        self.width, self.height = size
        self.margin, self.letters = margin, letters
        self.left, self.right = margin, self.width - margin
        self.y = margin
        self.page, self._pages = 1, pages
        self.heading: Callable[[], None] | None = None
        """What is written again at the top of each page."""
        self.foot = title
        self._out = BytesIO()
        # the same paper is the same bytes
        self._canvas = Canvas(self._out, (self.width * mm, self.height * mm), invariant=1, pageCompression=1)
        self._canvas.setTitle(title)
        self._canvas.setCreator("allot")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        bold: bool = False,
        align: Align = "left",
        grey: bool = False,
    ) -> None:
        """Write one line; `y` is its upper edge, `size` in points."""
        runs = self.letters.runs(text, bold=bold)
        width = self.letters.width(text, size, bold=bold)
        at = x * mm - {"left": 0.0, "centre": width / 2, "right": width}[align]
        self._canvas.setFillGray(GREY if grey else 0)
        for font, piece in runs:
            self._canvas.setFont(font, size)
            self._canvas.drawString(at, (self.height - y) * mm - 0.93 * size, piece)
            at += self._canvas.stringWidth(piece, font, size)

    def block(
        self, x: float, y: float, text: str, size: float, width: float, most: int = 99, *, bold: bool = False,
        grey: bool = False,
    ) -> float:  # fmt: skip
        """Write text in lines that are no wider than so many mm, at most so many of them; gives where it goes on."""
        for line in self.letters.wrap(text, size, width * mm, most, bold=bold):
            self.text(x, y, line, size, bold=bold, grey=grey)
            y += size * LINE / mm
        return y

    def rule(self, y: float, x: float | None = None, to: float | None = None, thick: float = 0.5) -> None:
        """Draw a line across."""
        self._canvas.setLineWidth(thick)
        self._canvas.setStrokeGray(0)
        left, right = (self.left if x is None else x) * mm, (self.right if to is None else to) * mm
        self._canvas.line(left, (self.height - y) * mm, right, (self.height - y) * mm)

    def box(self, x: float, y: float, width: float, height: float) -> None:
        """Draw a frame, to be ticked say."""
        self._canvas.setLineWidth(0.7)
        self._canvas.rect(x * mm, (self.height - y - height) * mm, width * mm, height * mm)

    def barcode(self, x: float, y: float, data: str, width: float, height: float, module: float = 0.5) -> None:
        """Draw Code 128 in the middle of a width, its quiet zones within it, and no module wider than so many mm."""
        code = Code128(data, barWidth=1, barHeight=height * mm, quiet=0, humanReadable=0)
        modules = code.width + 2 * QUIET
        code = Code128(
            data, barWidth=min(module, width / modules) * mm, barHeight=height * mm, quiet=0, humanReadable=0
        )
        self._canvas.setFillGray(0)
        code.drawOn(self._canvas, (x + width / 2) * mm - code.width / 2, (self.height - y - height) * mm)

    def need(self, height: float) -> None:
        """Go on where there are so many mm left, on a new page if not on this."""
        if self.y + height > self.height - self.margin - FOOT:
            self._end_page()
            self._canvas.showPage()
            self.page, self.y = self.page + 1, self.margin
            if self.heading is not None:
                self.heading()

    def end(self) -> bytes:
        """The whole paper, as PDF."""
        self._end_page()
        self._canvas.save()
        return self._out.getvalue()

    def _end_page(self) -> None:
        y = self.height - self.margin - 3
        several = f"{self.page} / {self._pages}" if self._pages > 1 else ""
        for x, text, align in ((self.left, self._told(), "left"), (self.right, several, "right")):
            self.text(x, y, text, 6.5, align=align, grey=True)  # type: ignore[arg-type]

    def _told(self) -> str:
        return "; ".join(part for part in (self.foot, _LACKED if self.letters.lacked else "") if part)


def printed(
    size: tuple[float, float], margin: float, letters: Letters, title: str, draw: Callable[[Sheet], None]
) -> bytes:
    """Print what a function writes, once it is known how many pages that takes."""
    with _PRINTING:
        sheet = Sheet(size, margin, letters, title, 1)
        draw(sheet)
        if sheet.page > 1:
            sheet = Sheet(size, margin, letters, title, sheet.page)
            draw(sheet)
        return sheet.end()


def day_of(at: int) -> str:
    """The day of a moment, in UTC."""
    return format_day(at // MS_PER_DAY)


def moment_of(at: int) -> str:
    """A moment to the minute, in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def kilograms(grams: int) -> str:
    """A weight as people read it."""
    return f"{grams / 1000:,.2f} kg" if grams >= 1000 else f"{grams} g"


def money(amount: int, currency: str) -> str:
    """An amount in the smallest unit of its currency (ISO 4217), as people read it."""
    digits = decimals(currency)
    whole, part = divmod(abs(amount), 10**digits)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole:,}{f'.{part:0{digits}d}' if digits else ''} {currency}"
