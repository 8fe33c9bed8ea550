"""Fixtures that every tier shares."""

pytest_plugins = [
    "tests.support.container_fixtures",
    "tests.support.kafka",
    "tests.support.model_simulator",
    "tests.support.needs",
    "tests.support.system",
]
