"""The page that says what a deployment may set says what there is."""

import re
from pathlib import Path

from api.settings import PREFIX, Settings

PAGE = (Path(__file__).parents[2] / "api" / "README.md").read_text()


def test_every_setting_is_on_the_page_with_its_default() -> None:
    section = PAGE[PAGE.index("### Settings") :]
    section = section[: section.index("\n## ")]
    told: dict[str, str] = {}
    for names, defaults in re.findall(rf"^\| (`{PREFIX}[^|]*) \| ([^|]*) \|", section, re.MULTILINE):
        told |= zip(re.findall("`([^`]*)`", names), re.findall("`([^`]*)`", defaults), strict=True)
    fields = Settings.model_fields
    assert told == {
        f"{PREFIX}{name.upper()}": re.sub(r"\.0$", "", str(field.default)) for name, field in fields.items()
    }
