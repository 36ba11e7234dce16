import pytest
from prometheus_client.parser import text_string_to_metric_families

from livefleet.health.smoke_textfile import SmokeReading, write_smoke_textfile

pytestmark = pytest.mark.unit


def test_textfile__of_a_round__replaces_the_one_before(tmp_path):
    path = tmp_path / "smoke.prom"
    write_smoke_textfile(path, [SmokeReading("gone", "video", passed=True, took_s=1)], at=1.0)
    readings = [
        SmokeReading("a", "video", passed=True, took_s=2.5),
        SmokeReading("b", 'llm say "hi"\n', passed=False, took_s=1),
    ]
    write_smoke_textfile(path, readings, at=1_800_000_000.0)
    found = {
        (sample.name, sample.labels.get("host"), sample.labels.get("job")): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }
    assert found == {
        ("livefleet_smoke_passed", "a", "video"): 1,
        ("livefleet_smoke_passed", "b", 'llm say "hi"\n'): 0,
        ("livefleet_smoke_took_seconds", "a", "video"): 2.5,
        ("livefleet_smoke_took_seconds", "b", 'llm say "hi"\n'): 1,
        ("livefleet_smoke_last_seconds", None, None): 1_800_000_000.0,
    }
    assert [file.name for file in tmp_path.iterdir()] == ["smoke.prom"]
