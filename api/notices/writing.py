"""What messages say: templates by language and event, ours or those of a folder that goes before them.

A template is `LANGUAGE/EVENT.j2` and says the blocks of `base.j2`: `subject`, `text`, and if it likes `html`. Templates run in a
sandbox.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.notices import TOLD

HERE = Path(__file__).parent / "templates"
LAST = "en"
"""The language that has every message."""
_DIGITS = {"BIF": 0, "CLP": 0, "ISK": 0, "JPY": 0, "KRW": 0, "PYG": 0, "UGX": 0, "VND": 0, "XAF": 0, "XOF": 0,
           "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3}  # fmt: skip
"""Digits behind the point, of currencies that have not two."""


@dataclass(frozen=True, slots=True)
class Written:
    """A message in words."""

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)


class Writer:
    """Writes messages.

    Parameters
    ----------
    locale
        The language of those of whom none is known, as `de-AT`.
    folder
        Where templates are that go before ours.
    """

    def __init__(self, locale: str = LAST, folder: str | Path | None = None) -> None:
        self._locale = locale
        folders = [Path(folder), HERE] if folder is not None else [HERE]
        loader = ChoiceLoader([FileSystemLoader(one) for one in folders])
        # a header and plain text are no HTML: what is escaped there is seen
        self._plain, self._html = _environment(loader, False), _environment(loader, True)

    def write(self, type: str, locale: str | None, said: Mapping[str, Any]) -> Written:
        """Write a message about an event.

        Parameters
        ----------
        said
            `name`, `data` of the event as it is shown, `unsubscribe`.

        Raises
        ------
        jinja2.TemplateError
            The template is wrong.
        """
        names = [f"{language}/{type}.j2" for language in languages(locale, self._locale)]
        plain = self._plain.select_template(names)
        assert plain.name is not None, "it is a file"
        subject = " ".join(plain.render(said, part="subject").split())
        text = plain.render(said, part="text").strip() + "\n"
        html = self._html.get_template(plain.name).render(said, part="html", subject=subject, paragraphs=_cut(text))
        return Written(subject, text, html)

    def check(self) -> None:
        """Read every template that may be used. Raises jinja2.TemplateError where one is wrong."""
        for type in TOLD:
            self._plain.select_template([f"{language}/{type}.j2" for language in languages(None, self._locale)])


def languages(*locales: str | None) -> list[str]:
    """The languages to look for, in turn: `de-AT`, then `de`; English at last."""
    found: dict[str, None] = {}
    for locale in (*locales, LAST):
        if locale and all(part.isalnum() for part in locale.split("-")):
            found |= {locale: None, locale.partition("-")[0]: None}
    return list(found)


def _environment(loader: BaseLoader, escape: bool) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        loader=loader, autoescape=escape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: Mapping[str, Callable[..., str]] = {"day": _day, "money": _money}
    made.filters.update(filters)
    return made


def _cut(text: str) -> list[str]:
    return [part.strip() for part in text.split("\n\n") if part.strip()]


def _day(value: str | None, form: str = "%Y-%m-%d") -> str:
    """A day, or the day of a moment, as a language has it."""
    return "" if value is None else date.fromisoformat(value[:10]).strftime(form)


def _money(value: Mapping[str, Any] | None, point: str = ".") -> str:
    """Money with its currency."""
    if value is None:
        return ""
    digits = _DIGITS.get(value["currency"], 2)
    amount = f"{value['amount'] / 10**digits:.{digits}f}".replace(".", point)
    return f"{amount} {value['currency']}"
