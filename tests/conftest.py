"""Fixtures that every tier shares."""

pytest_plugins = ["tests.support.kafka", "tests.support.needs"]
