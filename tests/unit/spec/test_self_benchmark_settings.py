import pytest
from pydantic import ValidationError

from livefleet.media.ladder import STANDARD
from livefleet.spec import SelfBenchmark, TranscodingDuty
from livefleet.spec.self_benchmark import STANDARD_PROFILES

pytestmark = pytest.mark.unit


def test_standard_profiles__are_those_that_the_ladder_knows():
    assert sorted(STANDARD_PROFILES) == sorted(STANDARD)


@pytest.mark.parametrize(
    ("declared", "means"), [(True, SelfBenchmark()), (False, None), (None, None), ({}, SelfBenchmark())]
)
def test_benchmark__as_a_switch(declared, means):
    assert TranscodingDuty.model_validate({"benchmark": declared}).benchmark == means


@pytest.mark.parametrize(
    "settings",
    [
        {"ladder": ["P721p30fps16x9"]},
        {"ladder": []},
        {"source": "big"},
        {"up_mbit": 0},
        {"seconds": 1},
        {"ladders": []},
    ],
)
def test_benchmark__bad_settings__are_refused(settings):
    with pytest.raises(ValidationError):
        TranscodingDuty.model_validate({"benchmark": settings})
