"""The write side: takes a submission, writes it to Kafka and answers when Kafka has it."""
