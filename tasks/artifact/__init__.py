"""What may be applied, what was applied, and what it was made of."""
