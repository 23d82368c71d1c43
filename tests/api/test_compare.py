import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


def rows(result: Result) -> dict[str, dict[str, object]]:
    return {row["policy"]: row for row in json.loads(result.stdout)["policies"]}


def test_every_policy_is_measured_from_the_best_bound(run: Run, wave: Path) -> None:
    by_name = rows(run("compare", wave, "--json"))
    assert list(by_name) == ["nearest", "fewest_parcels", "cheapest", "joint"]
    assert {row["bound_cents"] for row in by_name.values()} == {2_120.0}
    assert by_name["joint"]["gap"] == 0
    assert by_name["nearest"]["gap"] == pytest.approx((5_665 - 2_120) / 5_665)
    assert by_name["nearest"]["over_joint"] == pytest.approx((5_665 - 2_120) / 2_120)


def test_policies_are_compared_as_named_and_once(run: Run, wave: Path) -> None:
    by_name = rows(
        run("compare", wave, "--policy", "cheapest", "--policy", "nearest", "--policy", "cheapest", "--json")
    )
    assert list(by_name) == ["cheapest", "nearest"]
    assert by_name["cheapest"]["over_joint"] is None


def test_compare_shows_tables_and_a_picture_in_the_terminal(run: Run, wave: Path, tmp_path: Path) -> None:
    result = run("compare", wave)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "+167.2 %" in result.stdout
    assert "56.65" in result.stdout
    assert "█" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["wave.json"]


def test_compare_leaves_a_report_and_says_where(run: Run, wave: Path, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    result = run("compare", wave, "--out", out)
    assert result.stderr == f"allot: report written to {out / 'report.html'}\n"
    assert sorted(path.name for path in out.iterdir()) == ["compare.json", "cost.svg", "map.svg", "report.html"]
    assert json.loads((out / "compare.json").read_text())["policies"][3]["cost_cents"] == 2_120
    page = (out / "report.html").read_text()
    assert "Decided jointly, this wave costs 21.20: proven to be the least possible." in page
    assert "Nearest costs 167.2\u00a0% more" in page


def test_a_file_in_the_way_of_the_report_is_refused(run: Run, wave: Path) -> None:
    result = run("compare", wave, "--out", wave / "report")
    assert result.exit_code == 2
    assert "is a file" in result.stderr


def test_a_report_needs_no_network_and_no_script(run: Run, wave: Path, tmp_path: Path) -> None:
    run("compare", wave, "--out", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert re.findall(r"""(?:src|href|data|action)\s*=\s*["']?\s*(?:https?:)?//""", page) == []
    assert re.findall(r"@import|url\(|<script|<link|<iframe", page) == []


def test_names_from_a_file_are_text_in_a_report(run: Run, make_wave: Callable[..., Path], tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    wave = make_wave(nodes=(evil, "[bold]far"))
    result = run("compare", wave, "--out", tmp_path)
    assert result.exit_code == 0
    page = (tmp_path / "report.html").read_text()
    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "[bold]far" in page


def test_a_dark_page_recolours_every_colour_of_the_drawings(run: Run, wave: Path, tmp_path: Path) -> None:
    """Prevents: a dark line on a dark page, after a colour was added to the charts only."""
    from api import charts

    run("compare", wave, "--out", tmp_path)
    drawn = set(
        re.findall(r'"(#[0-9a-f]{6})"', (tmp_path / "cost.svg").read_text() + (tmp_path / "map.svg").read_text())
    )
    page = (tmp_path / "report.html").read_text()
    bright = {"#e69f00", "#cc79a7"}  # read well on either
    assert [
        colour
        for colour in sorted(drawn - bright)
        if f'svg [fill="{colour}"]' not in page and f'svg [stroke="{colour}"]' not in page
    ] == []
    assert charts.INK in drawn


def test_a_map_draws_at_most_a_sample_and_says_so(
    run: Run, wave: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api import charts

    monkeypatch.setattr(charts, "MOST_LINES", 1)
    run("compare", wave, "--out", tmp_path)
    assert "An even sample of 1 of the 2 parcels" in (tmp_path / "report.html").read_text()
