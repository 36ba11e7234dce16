"""What the activation tests declare."""

from typing import Any

from tests.devchain.accounts import dev_signer

ORCHESTRATOR = dev_signer(1)

DECLARED: dict[str, Any] = {
    "activate": True,
    "reward_cut": "10%",
    "fee_cut": "5%",
    "min_self_stake": "1000 LPT",
    "service_uri": "same",
    "ai_service_uri": "https://ai.example:8936",
}

TRANSACTIONS = 5
"""Approve, bond, cuts, URI, AI URI."""
