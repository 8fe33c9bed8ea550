"""The projector: one result for each task, made from its first terminal event, and the end of tasks nobody ended."""
