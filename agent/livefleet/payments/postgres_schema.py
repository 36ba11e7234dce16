"""The payments' tables in a shared database; see "The store" in the README for what belongs to whom."""

__all__ = ["PART", "STEPS"]

PART = "payments"

_STEP_1 = """
CREATE TABLE livefleet.nodes (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,           -- fleet/host
  holder bytea NOT NULL,               -- the process that writes for the node; the last one that started
  batch bigint NOT NULL DEFAULT 0,     -- number of its last commit
  received_count bigint NOT NULL DEFAULT 0,
  received_value text NOT NULL DEFAULT '0',   -- a fraction of wei
  nonces_floor bigint NOT NULL DEFAULT 0
);
CREATE TABLE livefleet.secrets (
  node integer NOT NULL REFERENCES livefleet.nodes, name text NOT NULL, value bytea NOT NULL, PRIMARY KEY (node, name)
);
CREATE TABLE livefleet.balances (
  node integer NOT NULL,
  sender text NOT NULL,
  session bytea NOT NULL,              -- UTF-8 of what a gateway chose, which text does not take in full
  amount text NOT NULL,
  fixed_price text,
  touched double precision NOT NULL,
  PRIMARY KEY (node, sender, session)
);
CREATE TABLE livefleet.commitments (
  node integer NOT NULL,
  recipient_rand_hash bytea NOT NULL,
  expiration_block bigint NOT NULL,
  sender text NOT NULL,
  PRIMARY KEY (node, recipient_rand_hash)
);
CREATE TABLE livefleet.nonces (
  node integer NOT NULL, recipient_rand_hash bytea NOT NULL, nonce bigint NOT NULL,
  PRIMARY KEY (node, recipient_rand_hash, nonce)
);
CREATE TABLE livefleet.tickets (
  hash bytea PRIMARY KEY,
  node integer NOT NULL REFERENCES livefleet.nodes,   -- who won it
  state text NOT NULL,
  recipient text NOT NULL,
  sender text NOT NULL,
  face_value numeric(78) NOT NULL,
  win_prob numeric(78) NOT NULL,
  sender_nonce bigint NOT NULL,
  recipient_rand_hash bytea NOT NULL,
  aux_data bytea NOT NULL,
  signature bytea NOT NULL,
  recipient_rand numeric(78) NOT NULL,
  expiration_block bigint NOT NULL,
  session bytea NOT NULL,
  received_at double precision NOT NULL,
  note text NOT NULL DEFAULT '',
  tx_hash bytea,
  paid numeric(78),
  settled_at double precision
);
CREATE INDEX tickets_pending ON livefleet.tickets (recipient, expiration_block) WHERE state = 'pending';
CREATE INDEX tickets_ended ON livefleet.tickets (settled_at) WHERE state <> 'pending';
CREATE TABLE livefleet.ticket_sums (
  node integer NOT NULL,
  recipient text NOT NULL,
  state text NOT NULL,
  count bigint NOT NULL,
  value numeric NOT NULL,              -- face values
  paid numeric NOT NULL,
  PRIMARY KEY (node, recipient, state)
);
CREATE TABLE livefleet.in_flight (
  holder bytea NOT NULL,               -- the redeeming process
  recipient text NOT NULL,
  sender text NOT NULL,
  face_value numeric(78) NOT NULL,
  told_at timestamptz NOT NULL,
  PRIMARY KEY (holder, sender)
);
"""

STEPS = (_STEP_1,)
