"""The check of pods: the API client, the workloads that own pods, and the check itself."""
