"""Notifies channels of each event once; errors in here never change the outcome."""
