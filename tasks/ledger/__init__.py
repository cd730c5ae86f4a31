"""The ledger: an environment's durable record, which every job can read and only deploy jobs can write."""
