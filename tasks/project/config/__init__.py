"""From YAML files and DEPLOY_* variables to one frozen configuration in which every key knows its line."""
