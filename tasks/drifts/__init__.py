"""What differs from what was deployed: its classes, the rules for it, and what is new since the last check."""
