"""What customers read: in their language, where there is one, and nothing that somebody slipped into a name."""

from pathlib import Path
from typing import Any

import jinja2
import pytest

from api.notices.writing import HERE, Writer, languages
from engine.notices import TOLD

LINK = "https://allot.example/unsubscribe?token=abc"


def said(name: str = "Ann", **data: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "order": "ord_1", "channel": "web", "external_id": "W-1", "lines": [{"line": 1, "units": 2}], "promise_day": "2026-12-01",
        "arrives_day": "2026-12-04", "consignment": "con_1", "node": "shop", "collect": "shop", "service": "post",
        "tracking": "1Z", "until": "2026-12-09T17:00:00.000Z", "rma": "rma-1", "refund": {"amount": 1250, "currency": "EUR"},
    }  # fmt: skip
    return {"name": name, "data": {**usual, **data}, "unsubscribe": LINK}


@pytest.mark.parametrize("language", sorted(path.name for path in HERE.iterdir() if path.is_dir()))
@pytest.mark.parametrize("type", TOLD)
def test_every_event_that_customers_are_told_of_has_a_message_in_every_language(type: str, language: str) -> None:
    assert (HERE / language / f"{type}.j2").exists()
    written = Writer().write(type, language, said())
    assert "W-1" in written.subject
    assert "W-1" in written.text
    assert LINK in written.text
    assert f'lang="{language}"' in written.html
    assert "W-1" in written.html


def test_an_event_without_what_may_be_missing_is_written_too() -> None:
    for type in TOLD:
        Writer().write(type, None, said("", lines=[], collect=None, tracking=None, until=None, rma=None))


def test_languages_are_looked_for_from_the_nearest_to_english() -> None:
    assert languages("de-AT", "fr") == ["de-AT", "de", "fr", "en"]
    assert languages("../../etc", "en") == ["en"]
    subjects = [Writer(usual).write("order.delivered", locale, said()).subject for usual, locale in
                (("en", "de-AT"), ("de", None), ("de", "fr"), ("fr", "fr"), ("de", "en-GB"))]  # fmt: skip
    assert ["zugestellt" in subject for subject in subjects] == [True, True, True, False, False]


def test_what_others_say_ends_no_header_and_is_no_markup() -> None:
    bad = "W-1\r\nBcc: all@example.org <script>alert(1)</script>"
    written = Writer().write("order.confirmed", "en", said(external_id=bad))
    assert "\n" not in written.subject
    assert "<script>" in written.text
    assert "<script>" not in written.html
    assert "&lt;script&gt;" in written.html


def test_a_folder_of_ones_own_goes_before_ours_and_may_say_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    mine = '{% extends "base.j2" %}{% block subject %}S{% endblock %}{% block text %}T{% endblock %}'
    (tmp_path / "en" / "order.shipped.j2").write_text(mine + "{% block html %}<b>{{ name }}</b>{% endblock %}")
    writer = Writer("en", tmp_path)
    writer.check()
    written = writer.write("order.shipped", "en", said("<i>"))
    assert (written.subject, written.text, written.html.strip()) == ("S", "T\n", "<b>&lt;i&gt;</b>")
    assert "Dear Ann" in writer.write("order.delivered", "en", said()).text


@pytest.mark.parametrize(
    "reach",
    ["{{ ''.__class__.__mro__ }}", "{{ data.lines.append(1) }}", "{{ nobody }}", "{% include '../../smtp.py' %}"],
)
def test_a_template_reaches_nothing_but_what_it_is_given(tmp_path: Path, reach: str) -> None:
    (tmp_path / "en").mkdir()
    mine = f'{{% extends "base.j2" %}}{{% block subject %}}{reach}{{% endblock %}}{{% block text %}}{{% endblock %}}'
    (tmp_path / "en" / "order.shipped.j2").write_text(mine)
    with pytest.raises(jinja2.TemplateError):
        Writer("en", tmp_path).write("order.shipped", "en", said())


@pytest.mark.parametrize(
    ("amount", "currency", "told"), [(1250, "EUR", "12.50 EUR"), (1250, "JPY", "1250 JPY"), (1250, "KWD", "1.250 KWD")]
)
def test_money_has_the_digits_of_its_currency(amount: int, currency: str, told: str) -> None:
    text = Writer().write("refund.owed", "en", said(refund={"amount": amount, "currency": currency})).text
    assert told in text
