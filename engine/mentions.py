"""Whether free text mentions somebody: by name, street or contact, as whole words, in any spelling.

A town, a country or a language alone identifies nobody, so nobody is looked for by these.
"""

import re
import unicodedata
from collections.abc import Iterable

_CODE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_ESCAPE = re.compile(r"\\+([bfnrt\"/\\])")
_TOWN = re.compile(r"\D{0,3}\d{4}")
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no space between words."""


class Mentions:
    """Finds any of some words in texts. Words are whole ones: nobody called Ann is in Anna, Joann or mary.ann@example.org."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = [(word, _whole(word)) for word in sorted({plain(word) for word in words} - {""})]

    def __contains__(self, text: str | bytes | None) -> bool:
        if not text:
            return False
        said = plain(text if isinstance(text, str) else bytes(text).decode(errors="replace"))
        return any(word in said and whole.search(said) for word, whole in self._words)


def plain(text: str) -> str:
    """Text without what spellings differ in: escapes of JSON, case, composed letters, white space."""
    if "\\" in text:
        text = _CODE.sub(lambda code: chr(int(code[1], 16)), text)
        text = _ESCAPE.sub(lambda escape: " " if escape[1].isalpha() else escape[1], text)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.lower().split())


def _whole(word: str) -> re.Pattern[str]:
    """A word that is no part of another one, nor of an address of mail; an address or an id that is no part of another such."""
    if word.isalpha() or " " in word:
        before, after = r"(?<![\w@])(?<!\w['’-])", r"(?!-?\w)(?![\w.+-]*@)"
    else:
        before, after = r"(?<!\w)(?<!\w[.+'’-])", r"(?![.-]?\w)"
    before, after = ("" if _UNSPACED.match(word) else before), ("" if _UNSPACED.match(word[-1:]) else after)
    return re.compile(before + re.escape(word) + after)


def street_of(address: str) -> str:
    """The line of an address that says where in a town; empty where it names a town alone.

    It is the longest part with a house number before the town's, which comes last and may have numbers too, else the first.
    """
    parts = [part.strip() for line in address.splitlines() for part in line.split(",") if part.strip()]
    numbered = [part for part in parts if re.search(r"\d", part) and re.search(r"[^\W\d]", part)]
    if len(numbered) > 1 or (numbered != parts[:1] and numbered and _TOWN.match(numbered[-1])):
        numbered.pop()
    if numbered:
        return max(numbered, key=len)
    return parts[0] if len(parts) > 1 else ""
