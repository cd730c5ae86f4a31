"""Tests of the parts that start nothing: one file for each module, named after it."""
