import pytest

from api import doctor


def test_a_missing_library_is_a_fault_with_advice() -> None:
    finding = doctor.version("a-library-that-nobody-made")
    assert finding.ok is False
    assert "make setup" in finding.found


def test_a_check_that_fails_is_a_finding_and_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def undefined_symbol() -> doctor.Finding:
        raise ImportError("undefined symbol: _ZN5Highs\nmore")

    monkeypatch.setattr(doctor, "solvers", undefined_symbol)
    monkeypatch.setattr(doctor, "charts", lambda: doctor.Finding("Charts", True, ""))
    findings = doctor.examine()
    (finding,) = [finding for finding in findings if finding.name == "Solvers together"]
    assert (finding.ok, finding.found) == (False, "ImportError: undefined symbol: _ZN5Highs")
    assert not doctor.healthy(findings)


def test_data_that_is_not_there_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("ALLOT_DATA", f"{tmp_path}/none")
    finding = doctor.data()
    assert finding.ok is None
    assert doctor.healthy([finding])
    assert "ALLOT_DATA" in finding.found
