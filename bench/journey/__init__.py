"""What a teacher waits for, measured against the old way: one request thread, nothing shown until the end."""
