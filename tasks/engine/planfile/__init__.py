"""Reads a saved plan as `show -json` shows it, without starting the engine and its providers again."""
