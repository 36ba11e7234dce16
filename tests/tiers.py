"""Which tests belong to the video and payment halves of the agent, and which run only when they are asked for."""

from collections.abc import Iterator
from pathlib import PurePath

__all__ = ["ASKED_FOR", "DUTIES", "duties_of", "is_asked_for"]

ASKED_FOR = ("fault", "gpu")
"""Markers of tests that run only where the marker expression names them (`-m fault`, `-m 'video and fault'`)."""

DUTIES: dict[str, tuple[str, ...]] = {
    "ai": (
        "component/ai",
        "component/wire/test_ai_requests.py",
        "component/wire/test_ai_worker_joins.py",
        "component/wire/test_ai_worker_works.py",
        "e2e/test_node_ai_worker.py",
        "unit/ai",
        "unit/wire/test_ai_results.py",
        "unit/wire/test_ai_translate.py",
        "unit/wire/test_ai_worker_pool.py",
    ),
    "video": (
        "component/health",
        "component/media",
        "component/wire",
        "e2e/test_node_benchmark.py",
        "e2e/test_node_doors.py",
        "e2e/test_node_drain.py",
        "e2e/test_node_gpus.py",
        "e2e/test_node_object_store.py",
        "e2e/test_node_paid_stream.py",
        "e2e/test_node_stop.py",
        "e2e/test_node_survives.py",
        "e2e/test_node_token_refresh.py",
        "e2e/test_node_worker.py",
        "e2e/test_official_sdk.py",
        "e2e/test_upgrade_under_load.py",
        "e2e/test_why.py",
        "fault",
        "unit/media",
        "unit/roles/test_transcoding_devices.py",
        "unit/wire",
    ),
    "payments": (
        "component/chain/test_price_command.py",
        "component/chain/test_price_feed.py",
        "component/chain/test_redemption.py",
        "component/payments",
        "component/wire/test_auth_webhook.py",
        "component/wire/test_credential_rows.py",
        "component/wire/test_discovery_rows.py",
        "component/wire/test_further_nodes.py",
        "component/wire/test_hostile_signatures.py",
        "component/wire/test_paid_work.py",
        "component/wire/test_payment_rows.py",
        "component/wire/test_refresh_payment.py",
        "component/wire/test_shared_redeemer.py",
        "component/wire/test_token_refresh.py",
        "component/wire/test_work_requests.py",
        "contract/test_ticket_store_contract.py",
        "e2e/test_node_paid_stream.py",
        "e2e/test_node_prices.py",
        "e2e/test_node_redemption.py",
        "e2e/test_node_shared_redeemer.py",
        "e2e/test_node_shared_store.py",
        "e2e/test_node_survives.py",
        "fault",
        "unit/chain",
        "unit/cli/test_price_command.py",
        "unit/payments",
        "unit/spec/test_declared_price.py",
        "unit/spec/test_gateways_file.py",
        "unit/spec/test_node_prices.py",
        "unit/spec/test_pricing.py",
        "unit/wire/test_translate.py",
        "unit/wire/test_wire_vectors.py",
    ),
    "chain": (
        "component/chain",
        "component/devchain",
        "component/ledger",
        "component/payments/test_batches_on_a_chain.py",
        "component/payments/test_killed_redeemer.py",
        "component/payments/test_leaving_active_set.py",
        "component/payments/test_redeeming.py",
        "component/payments/test_redeeming_on_a_chain.py",
        "component/payments/test_refusals_on_a_chain.py",
        "component/payments/test_shared_redeeming.py",
        "component/payments/test_shared_store.py",
        "component/payments/test_store_check.py",
        "component/payments/test_store_copy.py",
        "contract/test_intents_contract.py",
        "contract/test_leases_contract.py",
        "contract/test_redemption_chain_contract.py",
        "contract/test_signer_contract.py",
        "contract/test_ticket_store_contract.py",
        "e2e/test_node_chain_away.py",
        "e2e/test_node_keykeeper.py",
        "e2e/test_node_leaves.py",
        "e2e/test_node_ledger.py",
        "e2e/test_node_on_chain.py",
        "e2e/test_node_redemption.py",
        "e2e/test_node_remote_identity.py",
        "e2e/test_node_reward.py",
        "e2e/test_node_shared_redeemer.py",
        "e2e/test_node_shared_store.py",
        "e2e/test_rehearsal.py",
        "e2e/test_rounds_with_faults.py",
        "unit/chain",
        "unit/cli/test_governance_finding.py",
        "unit/cli/test_keys_commands.py",
        "unit/control/test_key_plan.py",
        "unit/ledger",
        "unit/payments/test_departure.py",
        "unit/payments/test_redemption_decision.py",
        "unit/payments/test_redemption_gas.py",
        "unit/payments/test_redemption_line.py",
        "unit/payments/test_redemption_plan.py",
        "unit/reconcile/test_balances_and_feeds.py",
        "unit/reconcile/test_governance_resource.py",
        "unit/reconcile/test_on_chain_resource.py",
        "unit/reconcile/test_redemption_conditions.py",
        "unit/reconcile/test_reward_resource.py",
        "unit/reconcile/test_shared_winners.py",
        "unit/roles/test_redemption_report.py",
        "unit/spec/test_keys.py",
        "unit/spec/test_network.py",
        "unit/spec/test_on_chain.py",
        "unit/spec/test_reward_settings.py",
        "unit/spec/test_store_settings.py",
    ),
}
"""Markers that tests get by where they stand, as paths below `tests/`; a test may have several or none."""


def duties_of(path: PurePath) -> Iterator[str]:
    """The duties' markers of a test file, given below `tests/`."""
    for marker, places in DUTIES.items():
        if any(path.is_relative_to(place) for place in places):
            yield marker


def is_asked_for(markers: set[str], expression: str) -> bool:
    """Whether a test with these markers may run under `-m expression`."""
    return all(marker in expression for marker in markers.intersection(ASKED_FOR))
