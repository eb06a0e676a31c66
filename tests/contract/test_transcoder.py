"""From an HTTP request to a message: what the official client makes of a message, the transcoder turns back into it."""

from __future__ import annotations

import contextlib
import io
import json
import re
from functools import reduce
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import vision
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.contract import transcoder
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import V1, BatchAnnotateImagesRequest, Product, message_class
from vision_emulator.contract.methods import METHODS, Match, Method, match
from vision_emulator.contract.transcoder import SystemParameters, system_parameters

LOCATION = "projects/p/locations/l"
MATCHES = [Match(method, binding, {}) for method in METHODS.values() for binding in method.bindings]


def decode(request_line: str, body: Any = None) -> Any:
    """The message in "VERB /path?query" and a body: JSON of a value, or bytes as they are."""
    verb, _, target = request_line.partition(" ")
    path, _, query = target.partition("?")
    matched = match(verb, path)
    assert matched is not None, request_line
    return transcoder.decode(matched, query, body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode())


def refusal(request_line: str, body: Any = None) -> VisionError:
    with pytest.raises(VisionError) as raised:
        decode(request_line, body)
    assert raised.value.code is Code.INVALID_ARGUMENT
    return raised.value


# ---- the official client as oracle ----


def sample(descriptor: Descriptor, depth: int = 0) -> dict[str, Any]:
    """Values for the fields of a message, one level of repetition, none of them zero; of a oneof the first member."""
    values: dict[str, Any] = {}
    for field in descriptor.fields:
        if depth > 3 or (field.containing_oneof and field is not field.containing_oneof.fields[0]):
            continue
        value = sample_value(field, depth)
        is_map = field.message_type and field.message_type.GetOptions().map_entry
        values[field.name] = {"k": "v"} if is_map else [value] if field.is_repeated else value
    return values


def sample_value(field: FieldDescriptor, depth: int) -> Any:
    if field.message_type:
        if field.message_type.name == "FieldMask":
            return {"paths": ["display_name", "product_labels"]}
        if field.message_type.name in {"Timestamp", "Duration"}:
            return {"seconds": 1}
        return {} if field.message_type.name == "Status" else sample(field.message_type, depth + 1)
    if field.enum_type:
        return 1
    kinds = {FieldDescriptor.CPPTYPE_STRING: "s/ü&=;?", FieldDescriptor.CPPTYPE_BOOL: True, FieldDescriptor.CPPTYPE_FLOAT: 0.5}
    return b"\xfb\xff" if field.type == field.TYPE_BYTES else kinds.get(field.cpp_type, 7)


class Wire(requests.adapters.BaseAdapter):
    """Where the official client's HTTP ends: keeps what was sent, answers an empty object."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.sent = request
        response = requests.Response()
        response.status_code, response.raw, response.request, response.url = 200, io.BytesIO(b"{}"), request, str(request.url)
        return response

    def close(self) -> None:
        pass


@pytest.mark.parametrize("method", [method for method in METHODS.values() if method.package == V1], ids=lambda method: method.name)
def test_what_the_official_client_sends_is_what_it_was_given(method: Method) -> None:
    """For every RPC: a request with every field set goes through the client's own URL, query and body, and comes back equal."""
    wanted = method.request(**sample(method.request.DESCRIPTOR))
    template = re.search(r"\{([\w.]+)=([^}]+)\}", method.bindings[0].path)
    if template:
        *parents, last = template[1].split(".")
        setattr(reduce(getattr, parents, wanted), last, template[2].replace("*", "x:y"))
    wire = Wire()
    client = getattr(vision, f"{method.service}Client")(transport="rest", credentials=AnonymousCredentials())
    client.transport._session.mount("https://", wire)
    given_to_client = getattr(vision, method.request.DESCRIPTOR.name).deserialize(wanted.SerializeToString())
    getattr(client, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower())(given_to_client)
    url, body = urlsplit(str(wire.sent.url)), wire.sent.body or b""
    matched = match(str(wire.sent.method), url.path)
    assert matched is not None
    assert matched.method is method
    assert system_parameters(url.query).enum_numbers
    assert transcoder.decode(matched, url.query, body.encode() if isinstance(body, str) else body) == wanted


# ---- precedence ----


def test_the_path_wins_over_the_query_and_the_query_over_the_body() -> None:
    """A name said twice counts where it stands nearest to the front of the request line."""
    request = decode("POST /v1/projects/path/images:annotate?parent=projects/query", {"parent": "projects/body"})
    assert request.parent == "projects/path"
    assert decode("POST /v1/images:annotate?parent=projects/query", {"parent": "projects/body"}).parent == "projects/query"
    assert decode("POST /v1/images:annotate", {"parent": "projects/body"}).parent == "projects/body"
    product = decode(f"PATCH /v1/{LOCATION}/products/x", {"name": "another", "displayName": "d"}).product
    assert (product.name, product.display_name) == (f"{LOCATION}/products/x", "d")


def test_a_beta_is_read_in_its_own_fields_and_handed_on_as_v1() -> None:
    """v1p4beta1 knows fields that v1 does not: accepted there, kept as bytes, unknown elsewhere."""
    body = {"requests": [{"imageContext": {"faceRecognitionParams": {"celebritySet": ["a"]}}}]}
    request = decode("POST /v1p4beta1/images:annotate", body)
    assert isinstance(request, BatchAnnotateImagesRequest)
    beta = message_class("google.cloud.vision.v1p4beta1.BatchAnnotateImagesRequest").FromString(request.SerializeToString())
    assert beta.requests[0].image_context.face_recognition_params.celebrity_set == ["a"]
    assert 'Unknown name "faceRecognitionParams"' in refusal("POST /v1p3beta1/images:annotate", body).message


def test_an_empty_body_is_an_empty_request() -> None:
    """A body that was left out, or is blank, reads as one without fields."""
    for body in (b"", b" \n", b"{}"):
        assert decode("POST /v1/projects/p/images:annotate", body) == BatchAnnotateImagesRequest(parent="projects/p")


# ---- the query ----


@pytest.mark.parametrize(
    "query",
    [
        "updateMask=displayName,productLabels",  # Python and discovery clients
        "updateMask=displayName%2CproductLabels",
        "update_mask=display_name%2Cproduct_labels",
        "updateMask=display_name,product_labels&$alt=json;enum-encoding=int",  # Node
    ],
)
def test_a_field_mask_in_any_style(query: str) -> None:
    """Clients write masks in camelCase or in proto names."""
    request = decode(f"PATCH /v1/{LOCATION}/products/x?{query}", {"displayName": "d"})
    assert list(request.update_mask.paths) == ["display_name", "product_labels"]


def test_query_values_are_typed_by_their_field() -> None:
    """Integers, booleans and nested messages' strings are read as such, in either style of name."""
    assert decode(f"GET /v1/{LOCATION}/products?pageSize=3&page_token=a%3D%3D").page_size == 3
    for text, value in (("true", True), ("false", False), ("1", True)):
        assert decode(f"POST /v1/{LOCATION}/products:purge?force={text}").force is value
    assert decode("POST /v1/operations/x:wait?timeout=3.5s").timeout.ToMilliseconds() == 3500
    nested = decode("POST /v1/images:asyncBatchAnnotate?outputConfig.gcsDestination.uri=gs://b/o&output_config.batchSize=5")
    assert (nested.output_config.gcs_destination.uri, nested.output_config.batch_size) == ("gs://b/o", 5)


def test_unknown_parameters_are_refused_all_together() -> None:
    """Every parameter that binds to no field is named, in the front end's words, one a line."""
    failure = refusal(f"GET /v1/{LOCATION}/products?foo=1&pageSize=2&bar.baz=")
    lines = [
        f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
        f"Field '{name}' could not be found in request message."
        for name in ("foo", "bar.baz")
    ]
    assert failure.message == "\n".join(lines)
    (details,) = failure.details
    assert [(violation.field, violation.description) for violation in details.field_violations] == [("", line) for line in lines]


@pytest.mark.parametrize("name", ["requests", "labels", "outputConfig", "output_config.gcsDestination"])
def test_a_message_is_no_parameter(name: str) -> None:
    """A message, a map or a list of messages cannot be given as one value."""
    assert refusal(f"POST /v1/images:asyncBatchAnnotate?{name}=x").message == (
        f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
        f"'{name}' is a message type. Parameters can only be bound to primitive types."
    )


@pytest.mark.parametrize("name", ["requests.image.content", "labels.key", "parent.x", "outputConfig.", ".", "outputConfig..batchSize", ""])
def test_nothing_leads_into_a_list_or_a_value(name: str) -> None:
    """A dotted name goes through single messages only."""
    assert f"Field '{name}' could not be found" in refusal(f"POST /v1/images:asyncBatchAnnotate?{name}=x").message


def test_wrong_values_are_refused_as_in_a_body() -> None:
    """A value of the wrong type, or a second one where one belongs, is refused by the field's name."""
    assert refusal(f"GET /v1/{LOCATION}/products?pageSize=x").message == "Invalid value at 'page_size' (TYPE_INT32), \"x\""
    assert refusal(f"POST /v1/{LOCATION}/products:purge?force=maybe").message == "Invalid value at 'force' (TYPE_BOOL), \"maybe\""
    assert "Proto field is not repeating" in refusal(f"GET /v1/{LOCATION}/products?pageSize=1&pageSize=2").message


# ---- the body ----


def test_a_body_where_none_belongs_is_refused() -> None:
    """GET and DELETE take their fields from the URL; what a body says would be lost without a word."""
    assert "takes no body" in refusal(f"GET /v1/{LOCATION}/products", {"pageSize": 1}).message
    assert "takes no body" in refusal("DELETE /v1/operations/x", {}).message


def test_a_body_that_is_a_field_is_refused_by_the_path_of_that_field() -> None:
    """Violations inside a resource name it, as production does."""
    failure = refusal(f"POST /v1/{LOCATION}/products?productId=x", {"foo": 1, "productLabels": [{"bar": 2}]})
    assert "Unknown name \"foo\" at 'product': Cannot find field." in failure.message
    assert "Unknown name \"bar\" at 'product.product_labels[0]': Cannot find field." in failure.message


def test_a_body_that_is_no_json_is_refused_with_the_place() -> None:
    """The parser's text reaches the client."""
    assert refusal("POST /v1/images:annotate", b'{"requests": [').message.startswith("Invalid JSON payload received. ")


# ---- what is the front end's ----


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("", SystemParameters()),
        ("%24alt=json%3Benum-encoding%3Dint", SystemParameters(enum_numbers=True)),  # Python
        ("$alt=json;enum-encoding=int", SystemParameters(enum_numbers=True)),
        ("$alt=json%3Benum-encoding=int", SystemParameters(enum_numbers=True)),  # Node
        ("alt=json&key=k&prettyPrint=false", SystemParameters(key="k", pretty_print=False)),
        ("$prettyPrint=0&$fields=responses&callback=f", SystemParameters(pretty_print=False, fields="responses", callback="f")),
        ("alt=media&alt=proto", SystemParameters(alt="proto")),
    ],
)
def test_system_parameters(query: str, parameters: SystemParameters) -> None:
    """Each is known with and without its dollar, raw and escaped; of one given twice the last counts."""
    assert system_parameters(query) == parameters


def test_system_parameters_are_no_fields() -> None:
    """Whatever discovery lists for every method is accepted by every method, and leaves no trace in the request."""
    names = ["$.xgafv", "access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "uploadType"]
    query = "&".join(f"{name}=1" for name in [*names, "upload_protocol", "$alt", "$key", "$callback", "$fields", "$prettyPrint"])
    assert decode(f"POST /v1/images:annotate?{query}") == BatchAnnotateImagesRequest()


# ---- whatever comes ----

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["requests", "image", "content", "name", "product", "features", "type", "parent"]) | st.text(), inner
        )
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["pageSize", "parent", "updateMask", "force", "outputConfig.batchSize", "name", "$alt", "requests", "timeout"])


ANYTHING = st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))  # as servers hand on what is no UTF-8


@given(
    matched=st.sampled_from(MATCHES),
    query=ANYTHING | st.lists(st.tuples(NAMES, ANYTHING)).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)),
    body=st.binary() | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_any_request_is_a_message_or_a_refusal(matched: Match, query: str, body: bytes) -> None:
    """Nothing but VisionError is raised, and a message is of the class that the core takes."""
    with contextlib.suppress(VisionError):
        system_parameters(query)
    with contextlib.suppress(VisionError):
        assert isinstance(transcoder.decode(matched, query, body), matched.method.request)


@given(ANYTHING)
def test_what_match_finds_decode_takes(project: str) -> None:
    """A name that came through the path is always one that a message can hold, lone surrogates and broken escapes included."""
    path = f"/v1/projects/{project}/images:annotate"
    matched = match("POST", path)
    if matched is not None:
        assert transcoder.decode(matched, "", b"").parent == matched.variables["parent"]


def test_binary_bodies() -> None:
    """A body in protobuf's own form is the request, or the field that the binding says; one that is broken is refused."""
    request = BatchAnnotateImagesRequest(parent="projects/body", requests=[{"features": [{"type": 4}]}])
    matched = match("POST", "/v1/projects/path/images:annotate")
    assert matched is not None
    decoded: Any = transcoder.decode(matched, "", request.SerializeToString(), binary=True)
    assert (decoded.parent, decoded.requests) == ("projects/path", request.requests)
    matched = match("POST", "/v1/projects/p/locations/l/products")
    assert matched is not None
    decoded = transcoder.decode(matched, "productId=x", Product(display_name="Shoe").SerializeToString(), binary=True)
    assert (decoded.product.display_name, decoded.product_id) == ("Shoe", "x")
    with pytest.raises(VisionError, match=r"^The request is not a valid google\.cloud\.vision\.v1\.Product message\.$"):
        transcoder.decode(matched, "", b"\xff\xff", binary=True)


@pytest.mark.parametrize(
    "query", ["alt=media", "alt=xml", "$alt=media", "callback=alert(1)", "callback=a.", "callback=1a", f"callback={'a' * 257}"]
)
def test_front_end_parameters_that_cannot_be_done(query: str) -> None:
    """There is no media to download, and a callback is a name and nothing else: it becomes part of a script."""
    with pytest.raises(VisionError, match="Request contains an invalid argument") as refused:
        system_parameters(query)
    assert refused.value.details[0].field_violations[0].field in ("alt", "callback")  # type: ignore[attr-defined]


def test_credentials_in_a_query() -> None:
    """A key, a token under either of its names, and whose project pays."""
    assert system_parameters("key=k").key == "k"
    assert system_parameters("access_token=t").access_token == system_parameters("oauth_token=t").access_token == "t"
    assert system_parameters("$userProject=p").user_project == "p"
    assert system_parameters("callback=a.b.$c_1").callback == "a.b.$c_1"
