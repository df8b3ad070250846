"""What the service says of itself: the gate model, the OpenAPI document, the explorer."""

from __future__ import annotations

import httpx

from plantood.http.timeout import HEADER
from plantood.model.parts.policy import Policy
from plantood.verdict import Verdict
from tests.service import openapi


def test_the_model_endpoint_tells_which_gate_judges(http: httpx.Client) -> None:
    model = http.get("/model").raise_for_status().json()
    assert model["model"] == "plantood-gate:starter"
    assert model["policy"].keys() == Policy.model_fields.keys()
    assert model["classes"] == {"0": "other", "1": "plant"}
    assert model["input_size"] > 0
    assert model["card"].startswith("#")
    assert model["metrics"]
    assert {"en", "fr", "sw"} <= set(model["languages"])
    assert model["service"].keys() == {"plantood", "bentoml"}


def test_the_openapi_document_shows_both_ways_to_send_a_photo(http: httpx.Client) -> None:
    document = http.get("/docs.json").raise_for_status().json()
    check = document["paths"]["/check"]["post"]
    assert check["requestBody"]["content"].keys() == {
        "multipart/form-data",
        "image/*",
        "application/octet-stream",
    }
    assert check["description"].endswith("not an error.")
    form = check["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["image"]
    assert form["properties"].keys() == {"image", "language"}
    assert {one["name"]: one["in"] for one in check["parameters"]} == {
        "language": "query",
        "Accept-Language": "header",
        HEADER: "header",
    }
    assert form["properties"]["image"]["format"] == "binary"
    assert check["responses"].keys() == {"200", "400", "408", "413", "415", "429", "503", "504"}
    batch = document["paths"]["/check_batch"]["post"]["requestBody"]["content"]
    assert batch["multipart/form-data"]["schema"]["properties"]["images"]["type"] == "array"
    assert "get" in document["paths"]["/model"]


def test_the_openapi_examples_are_real_verdicts(http: httpx.Client) -> None:
    document = http.get("/docs.json").json()
    answer = document["paths"]["/check"]["post"]["responses"]["200"]["content"]["application/json"]
    examples = {name: example["value"] for name, example in answer["examples"].items()}
    assert {"accept", "retake"} <= examples.keys()
    for name, example in examples.items():
        assert Verdict.model_validate(example).verdict == (
            "accept" if name == "accept" else "retake"
        )


def test_every_reference_of_the_openapi_document_resolves(http: httpx.Client) -> None:
    document = http.get("/docs.json").json()
    references = openapi.references(document)
    assert "#/components/schemas/Verdict" in references
    assert references <= openapi.defined(document)


def test_the_api_explorer_is_at_docs_without_outside_resources(http: httpx.Client) -> None:
    page = http.get("/docs").raise_for_status()
    assert "http" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for file in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"):
        assert f"./static_content/{file}" in page.text
        assert http.get(f"/static_content/{file}").status_code == 200


def test_what_stands_beside_the_apis_is_known_and_refuses_as_they_do(http: httpx.Client) -> None:
    refused = http.post("/model")
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert refused.json() == {"error": "/model does not answer POST."}
    assert http.head("/docs").status_code == 200
    assert http.get("/model/more").json() == {
        "error": "There is nothing at /model/more; see /docs."
    }
    assert 'endpoint="/model"' in http.get("/metrics").text
