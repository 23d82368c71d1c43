"""A small edition of what nobody would send."""

from engine.database import Database
from tests.api.http.conftest import opened
from tests.api.http.fuzzing import fuzz
from tests.api.http.world import fill


def test_whatever_is_sent_there_is_no_bug_and_a_refusal_changes_nothing(embedded: Database) -> None:
    with opened(embedded, rate="10000000/minute", failed_rate="10000000/minute", wave_seconds=0.1) as desk:
        ids = fill(desk)
        names = {
            "order": [ids["ord_example"], ids["ord_in_review"]],
            "consignment": [ids["con_example"], ids["con_picked"], ids["con_shipped"], ids["con_pickup"]],
            "hold": ["hold-example"], "inbound": ["po-example"], "sku": ["kettle", "cup", "tea-set"], "channel": ["web"],
            "node": ["near", "far", "shop"], "job": [ids["job_example"]], "wave": [ids["wav_example"]],
        }  # fmt: skip
        found = fuzz(desk, names, cases=800)
    assert found.bugs == []
    assert found.changed == []
    assert found.undescribed == []
    assert found.unbalanced == []
    assert found.cases >= 600
    assert len(found.statuses) >= 5, found.statuses
