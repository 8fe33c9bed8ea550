"""The workers: they take requests from Kafka, have the versions written and tell every step as an event."""
