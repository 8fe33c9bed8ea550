"""The whole system as processes of one machine, with a real Kafka among them."""
