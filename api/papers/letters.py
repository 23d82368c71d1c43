"""Letters on paper: text of any script as far as there are fonts for it, in the order and the forms in which it is read.

The fonts here have Latin, Greek, Cyrillic, Hebrew, Arabic and more. For others (Chinese, Japanese, Korean ...) a deployment names
fonts of its own (`ALLOT_FONTS`). A letter that no font has is printed without its accents, or as `?`, and the paper says so.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from api.papers.visual import visual
from solver.refusal import Refusal

HERE = Path(__file__).parent / "fonts"
REGULAR, BOLD = HERE / "DejaVuSansCondensed.ttf", HERE / "DejaVuSansCondensed-Bold.ttf"
UNKNOWN = "?"
Run = tuple[str, str]
"""The name of a font, and what is written in it."""


class Letters:
    """The fonts of one paper, and whether it needed a letter that they do not have.

    Parameters
    ----------
    more
        Fonts for what ours do not have, TrueType files.
    """

    def __init__(self, more: Sequence[Path] = (), ours: Sequence[Path] = (REGULAR, BOLD)) -> None:
        fallback = [_font(path) for path in more]
        self._chains = [[_font(path), *fallback] for path in ours]
        self.lacked = False

    def runs(self, text: str, *, bold: bool = False) -> list[Run]:
        """A line of text as it is written from left to right, each piece in the font that has it."""
        chain = self._chains[bold]
        found: list[Run] = []
        for letter in visual(text):
            for piece in self._written(chain, letter):
                name = next(font.fontName for font in chain if _has(font, piece))
                if found and found[-1][0] == name:
                    found[-1] = name, found[-1][1] + piece
                else:
                    found.append((name, piece))
        return found

    def width(self, text: str, size: float, *, bold: bool = False) -> float:
        """How wide a line of text is, in points."""
        return float(sum(pdfmetrics.stringWidth(piece, name, size) for name, piece in self.runs(text, bold=bold)))

    def wrap(self, text: str, size: float, width: float, most: int = 99, *, bold: bool = False) -> list[str]:
        """Text as lines that are no wider, broken between words where that is possible; what is beyond the last ends in `…`."""
        lines = [line for part in text.splitlines() for line in self._wrapped(part.strip(), size, width, bold)]
        if len(lines) > most:
            last = lines[most - 1]
            while last and self.width(last + "…", size, bold=bold) > width:
                last = last[:-1]
            lines = [*lines[: most - 1], last.rstrip() + "…"]
        return lines

    def _wrapped(self, text: str, size: float, width: float, bold: bool) -> list[str]:
        lines: list[str] = []
        for word in text.split():
            both = f"{lines[-1]} {word}" if lines else word
            if lines and self.width(both, size, bold=bold) <= width:
                lines[-1] = both
                continue
            lines.append("")
            for letter in word:
                if lines[-1] and self.width(lines[-1] + letter, size, bold=bold) > width:
                    lines.append("")
                lines[-1] += letter
        return lines

    def _written(self, chain: Sequence[TTFont], letter: str) -> str:
        """A letter as the fonts can write it."""
        if any(_has(font, letter) for font in chain):
            return letter
        plain = "".join(one for one in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(one))
        if plain and all(any(_has(font, one) for font in chain) for one in plain):
            return plain
        if unicodedata.combining(letter):
            return ""
        self.lacked = True
        return UNKNOWN


def _has(font: TTFont, letter: str) -> bool:
    return all(ord(one) in font.face.charToGlyph for one in letter)


@cache
def _font(path: Path) -> TTFont:
    """A font, read once in a process."""
    try:
        font = TTFont(f"allot-{path.stem}-{len(pdfmetrics.getRegisteredFontNames())}", str(path))
    except (TTFError, OSError, ValueError) as error:
        raise Refusal("ALLOT_FONTS", f"{path} is no TrueType font that can be read", "bad_setting") from error
    pdfmetrics.registerFont(font)
    return font
