"""The read side: from a Kafka topic that follows docs/PROTOCOL.md to any number of EventSource clients."""
