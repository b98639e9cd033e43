-- Money is in minor units of the currency by ISO 4217: sums are exact, and the provider needs to know
-- no currency.
CREATE TABLE IF NOT EXISTS charges (
    position         INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    idempotency_key  TEXT NOT NULL UNIQUE,
    fingerprint      TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('captured', 'authorized', 'declined', 'voided')),
    amount           INTEGER NOT NULL CHECK (amount > 0),
    currency         TEXT NOT NULL,
    captured_amount  INTEGER NOT NULL CHECK (captured_amount BETWEEN 0 AND amount),
    refunded_amount  INTEGER NOT NULL DEFAULT 0
                     CHECK (refunded_amount BETWEEN 0 AND captured_amount),
    token            TEXT NOT NULL,
    reference        TEXT NOT NULL,
    metadata         TEXT NOT NULL,
    decline_code     TEXT,
    decline_message  TEXT,
    created_at       TEXT NOT NULL,
    CHECK ((status = 'captured') = (captured_amount > 0)),
    CHECK ((status = 'declined') = (decline_code IS NOT NULL))
);

-- An authorized charge is captured or voided, and only once.
CREATE TABLE IF NOT EXISTS settlements (
    kind             TEXT NOT NULL CHECK (kind IN ('capture', 'void')),
    idempotency_key  TEXT NOT NULL,
    fingerprint      TEXT NOT NULL,
    charge_id        TEXT NOT NULL UNIQUE REFERENCES charges (id),
    amount           INTEGER NOT NULL CHECK (amount >= 0),
    created_at       TEXT NOT NULL,
    PRIMARY KEY (kind, idempotency_key)
);

CREATE TABLE IF NOT EXISTS refunds (
    position         INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    idempotency_key  TEXT NOT NULL UNIQUE,
    fingerprint      TEXT NOT NULL,
    charge_id        TEXT NOT NULL REFERENCES charges (id),
    amount           INTEGER NOT NULL CHECK (amount > 0),
    reason           TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('succeeded', 'failed')),
    created_at       TEXT NOT NULL
);

-- Disputes that customers open with their banks; a lost one is in its charge's refunded_amount.
CREATE TABLE IF NOT EXISTS disputes (
    position         INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    charge_id        TEXT NOT NULL REFERENCES charges (id),
    amount           INTEGER NOT NULL CHECK (amount > 0),
    reason           TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('open', 'won', 'lost')),
    created_at       TEXT NOT NULL
);

-- Attempts at each write; only counted where something depends on them.
CREATE TABLE IF NOT EXISTS tries (
    kind             TEXT NOT NULL,
    idempotency_key  TEXT NOT NULL,
    count            INTEGER NOT NULL,
    PRIMARY KEY (kind, idempotency_key)
);

-- Webhooks to deliver. Times are in seconds since 1970; next_attempt_at is null once nothing is
-- left to do. A webhook that is delivered twice has two rows with the same webhook_id.
CREATE TABLE IF NOT EXISTS webhooks (
    position         INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id       TEXT NOT NULL,
    charge_id        TEXT NOT NULL,
    type             TEXT NOT NULL,
    body             TEXT NOT NULL,
    created_at       REAL NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 0,
    next_attempt_at  REAL,
    delivered_at     REAL,
    last_error       TEXT
);
CREATE INDEX IF NOT EXISTS webhooks_due ON webhooks (next_attempt_at, position)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS webhooks_of_charge ON webhooks (charge_id, position)
    WHERE next_attempt_at IS NOT NULL;
