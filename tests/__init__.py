"""The product's tests: `unit` for pure parts, `e2e` for the product as a user runs it, on the real engine."""
