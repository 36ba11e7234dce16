"""What a model earned, as a line of a table."""

import pytest

from livefleet.cli.models.earnings import account_of, earning_cells

pytestmark = pytest.mark.unit

ACCOUNT = {"pipeline": "llm", "model_id": "a/b", "charged_wei": "5000000000001/2", "device_s": 1250.4,
           "wei_per_device_s": 1999}  # fmt: skip


def a_status(*models):
    return {"model_accounts": {"since": 1.0, "fault": "", "models": list(models)}}


def test_account__is_found_by_pipeline_and_model():
    other = ACCOUNT | {"pipeline": "text-to-image"}
    assert account_of(a_status(other, ACCOUNT), "llm", "a/b") is ACCOUNT


@pytest.mark.parametrize(
    "status", [{}, {"model_accounts": None}, {"model_accounts": {"models": 3}}, a_status(None, {})]
)
def test_agent_that_tells_none__has_none(status):
    assert account_of(status, "llm", "a/b") is None


@pytest.mark.parametrize(
    ("account", "cells"),
    [
        (None, ("-", "-", "-")),
        (ACCOUNT, ("2500 gwei", "1,250", "1999 wei")),
        (ACCOUNT | {"charged_wei": 2 * 10**16, "wei_per_device_s": 10**9}, ("0.02 ETH", "1,250", "1 gwei")),
        (ACCOUNT | {"charged_wei": 0, "wei_per_device_s": 0}, ("0 wei", "1,250", "0 wei")),
        (ACCOUNT | {"charged_wei": None, "wei_per_device_s": None}, ("-", "1,250", "-")),
    ],
)
def test_cells__are_in_a_unit_that_can_be_read(account, cells):
    assert earning_cells(account) == cells
