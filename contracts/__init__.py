"""What the services share: commands, events, the lifecycle and its reducer, codec, topics, cursor, ticket."""
