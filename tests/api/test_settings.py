"""The page that says what a deployment may set says what there is."""

import re
from pathlib import Path

import pytest

from api.settings import PREFIX, Settings, read_settings
from solver.refusal import Refusal

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


def test_the_fonts_of_papers_are_files_that_there_are(tmp_path: Path) -> None:
    font = tmp_path / "song.ttf"
    font.touch()
    assert read_settings(fonts=f"{font}:{font}").more_fonts == [font, font]
    with pytest.raises(Refusal, match=r"ALLOT_FONTS: there is no file '/nowhere\.ttf'"):
        read_settings(fonts=f"{font}:/nowhere.ttf")


def test_the_policy_of_waves_is_one_that_there_is() -> None:
    assert read_settings(wave_policy="bid_price").wave_policy == "bid_price"
    with pytest.raises(Refusal, match="ALLOT_WAVE_POLICY: 'best' is not one of nearest, "):
        read_settings(wave_policy="best")
