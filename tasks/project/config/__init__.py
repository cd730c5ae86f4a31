"""Turns YAML files and DEPLOY_* variables into one frozen configuration that knows the line of every key."""
