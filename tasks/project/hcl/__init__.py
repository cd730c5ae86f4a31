"""Reads the files of a root module without the engine."""
