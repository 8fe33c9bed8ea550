"""The OpenAPI document is the one that is released, and it says what the API does."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from producer_api.app import create_app
from producer_api.settings import Settings
from producer_api.submission import Submission
from tests.support.producer_api import write_keys

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


def served_schema(directory: Path) -> dict[str, Any]:
    app = create_app(Settings(**write_keys(directory)))
    schema: dict[str, Any] = json.loads(json.dumps(app.openapi_schema.to_schema()))
    return schema


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return served_schema(tmp_path_factory.mktemp("keys"))


def test_the_released_document_is_the_one_that_is_served(schema: dict[str, Any]) -> None:
    assert json.loads(DOCUMENT.read_text(encoding="utf-8")) == schema, "write it: python -m tests.contract.test_openapi"


def test_every_path_of_the_api_is_there(schema: dict[str, Any]) -> None:
    assert {(path, method) for path, item in schema["paths"].items() for method in item} == {
        ("/v1/tasks", "post"),
        ("/v1/tasks/{task_id}/cancel", "post"),
        ("/v1/tickets", "post"),
        ("/v1/catalogue", "get"),
    }


def test_every_failure_is_a_problem_document(schema: dict[str, Any]) -> None:
    for item in schema["paths"].values():
        for operation in item.values():
            failures = {code: each for code, each in operation["responses"].items() if code >= "400"}
            assert failures
            for failure in failures.values():
                assert list(failure["content"]) == ["application/problem+json"]
                reference = failure["content"]["application/problem+json"]["schema"]["$ref"]
                assert reference == "#/components/schemas/Problem"


def test_a_submission_is_described_by_its_own_model(schema: dict[str, Any]) -> None:
    operation = schema["paths"]["/v1/tasks"]["post"]
    assert operation["parameters"][0]["name"] == "Idempotency-Key"
    described = operation["requestBody"]["content"]["application/json"]["schema"]
    assert described["required"] == ["item", "notes"]
    assert described["additionalProperties"] is False
    assert set(described["properties"]) == set(Submission.model_fields)
    assert {"202", "400", "401", "403", "409", "413", "415", "429", "503"} <= set(operation["responses"])


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [each for child in value.values() for each in references(child)]
        return [each for child in value for each in references(child)] if isinstance(value, list) else []

    found = references(schema)
    assert len(found) > 10
    for reference in found:
        target: Any = schema
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def write_document() -> None:
    with tempfile.TemporaryDirectory() as directory:
        schema = served_schema(Path(directory))
    DOCUMENT.write_text(json.dumps(schema, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_document()
