"""The examples of the documentation are sent as they stand, one after another."""

from __future__ import annotations

import jsonschema

from codequarry.service.restdocs import EXAMPLES, html_page


def test_every_example_is_answered_as_it_says(service):
    assert len(EXAMPLES) > 10
    for example in EXAMPLES:
        reply = service.ask(example.method, example.target, example.body)
        assert reply.status == example.status, (example, reply.body)
        if example.operation in ("search", "prompt"):
            assert reply.json.get("hits") or reply.json.get("blocks"), example


def test_every_route_has_an_example(service):
    document = service.app.openapi()
    routes = {
        operation["operationId"]
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if not path.startswith("/v1/webhooks")
    }
    assert {example.operation for example in EXAMPLES} == routes


def test_the_document_is_openapi_with_every_reference_there(service):
    document = service.ask("GET", "/v1/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in document["components"]["schemas"]
    refs = [
        value for value in _values(document) if isinstance(value, str) and value.startswith("#/components/schemas/")
    ]
    assert refs
    for ref in refs:
        schema = document["components"]["schemas"][ref.rpartition("/")[2]]
        jsonschema.Draft202012Validator.check_schema(schema)
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "422" not in operation["responses"]
            assert operation["summary"]


def test_examples_in_the_document_are_accepted(service):
    for schema in service.app.openapi()["components"]["schemas"].values():
        for example in schema.get("examples", ()):
            jsonschema.validate(example, {**schema, "components": service.app.openapi()["components"]})


def test_the_page_loads_nothing_from_elsewhere(service):
    page = service.ask("GET", "/v1/docs").body.decode()
    assert page == html_page(service.app.openapi())
    assert "`" not in page
    assert page.index("<code>query</code>") < page.index("<code>repo</code>")  # what must be given stands first
    assert "src=" not in page
    assert "<link" not in page
    for example in EXAMPLES:
        assert example.path in page


def _values(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from _values(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner)
    else:
        yield value
