"""The chain's tables in a shared database: intents of every key, and leases."""

from collections.abc import Sequence

__all__ = ["PART", "STEPS"]

PART = "chain"

_STEP_1 = """
CREATE TABLE livefleet.intents (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chain_id bigint NOT NULL,
  signer text NOT NULL,
  purpose text NOT NULL,
  call_to text NOT NULL,
  call_data bytea NOT NULL,
  call_value numeric(78) NOT NULL,
  max_gas_price numeric(78) NOT NULL,
  max_cost numeric(78) NOT NULL,
  replace_after double precision,
  nonce bigint NOT NULL,
  state text NOT NULL,
  created_at double precision NOT NULL,
  answer text,                         -- JSON: the outcome, why it was abandoned, or both
  settled bigint NOT NULL DEFAULT 0,
  settled_at double precision
);
CREATE INDEX intents_by_purpose ON livefleet.intents (chain_id, signer, purpose);
CREATE UNIQUE INDEX one_live_purpose ON livefleet.intents (chain_id, signer, purpose)
  WHERE state IN ('pending', 'mined');
CREATE UNIQUE INDEX one_live_nonce ON livefleet.intents (chain_id, signer, nonce) WHERE state IN ('pending', 'mined');
CREATE UNIQUE INDEX intents_by_settlement ON livefleet.intents (chain_id, signer, settled) WHERE settled > 0;
CREATE TABLE livefleet.attempts (
  place bigint GENERATED ALWAYS AS IDENTITY,   -- order of signing
  tx_hash bytea PRIMARY KEY,
  intent bigint NOT NULL REFERENCES livefleet.intents,
  nonce bigint NOT NULL,
  raw bytea NOT NULL,
  gas bigint NOT NULL,
  max_fee numeric(78) NOT NULL,
  tip numeric(78) NOT NULL,
  signed_at double precision NOT NULL,
  cancels boolean NOT NULL
);
CREATE INDEX attempts_by_intent ON livefleet.attempts (intent);
CREATE TABLE livefleet.leases (name text PRIMARY KEY, holder text NOT NULL, ends timestamptz NOT NULL);
"""

STEPS: Sequence[str] = (_STEP_1,)
