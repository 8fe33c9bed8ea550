"""The gateway: nginx in front of the API and of relays that share the partitions."""
