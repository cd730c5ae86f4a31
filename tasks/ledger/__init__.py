"""The ledger: the durable record of an environment, kept where every job reads it and only deploy jobs write it."""
