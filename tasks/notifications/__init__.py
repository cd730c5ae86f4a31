"""Notifications: channels hear once what a run found; nothing that goes wrong in here changes the outcome."""
