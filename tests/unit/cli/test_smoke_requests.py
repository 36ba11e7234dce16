"""The smallest requests are what the pipelines take, and are billed as gateways reckon."""

import json

import pytest

from livefleet.ai import SERVED, check_fields, job_of, kind_of
from livefleet.cli.smoke_requests import small_request
from livefleet.wire.gateway import PIPELINES

pytestmark = pytest.mark.unit

MODEL = "owner/model"
MOST_UNITS = 2_000_000  # a film of 25 pictures


def as_sent(request):
    """The fields as the orchestrator reads them, and the file."""
    body = request.body()
    if "json" in body:
        return json.loads(json.dumps(body["json"])), None
    return body["data"], request.upload


@pytest.mark.parametrize("pipeline", sorted(PIPELINES))
def test_each_pipeline__takes_its_request_and_bills_what_is_paid(pipeline):
    request = small_request(pipeline, MODEL)
    kind = kind_of(next(served for served in SERVED if served.value == pipeline))
    fields, upload = as_sent(request)
    job = job_of(kind, check_fields(kind, fields, upload), upload)
    assert job.model_id == MODEL
    assert 0 < job.units == request.units() <= MOST_UNITS
