"""The same system in containers: an engine, images (even where none can be pulled), and what services need there."""
