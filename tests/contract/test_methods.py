"""The method table and the lookup from a request line to its row."""

from __future__ import annotations

import itertools
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.contract.messages import BETAS, V1, BatchAnnotateImagesRequest, Empty, Operation
from vision_emulator.contract.methods import LONGRUNNING, METHODS, Binding, Match, Method, _tree, match

BOUND = [(method, binding) for method in METHODS.values() for binding in method.bindings]
LOCATION = "projects/p/locations/l"


def found(verb: str, path: str) -> Match:
    """The match, which must be there."""
    matched = match(verb, path)
    assert matched is not None, (verb, path)
    return matched


def filled(binding: Binding, ids: list[str]) -> tuple[str, str]:
    """A binding's path with its stars replaced by percent-encoded ids in turn, and what its variable then says."""
    template, variable = binding.path, ""
    if "{" in template:
        head, _, rest = template.partition("{")
        pattern, _, tail = rest.partition("=")[2].partition("}")
        variable = pattern
        for identifier in ids[: pattern.count("*")]:
            pattern = pattern.replace("*", quote(identifier, safe=""), 1)
            variable = variable.replace("*", "\0", 1)
        parts = variable.split("\0")
        variable = "".join(itertools.chain.from_iterable(zip(parts, [*ids[: len(parts) - 1], ""], strict=True)))
        template = head + pattern + tail
    return template, variable


def test_the_table_holds_every_method_of_every_version() -> None:
    """All of v1, as much of each beta (the server is wider than the published clients), and the five methods of operations."""
    assert len(METHODS) == 5 * (4 + 19) + 5
    for package in (V1, *BETAS):
        assert f"/{package}.ImageAnnotator/AsyncBatchAnnotateImages" in METHODS
        assert f"/{package}.ProductSearch/PurgeProducts" in METHODS
    assert all(path == method.grpc_path for path, method in METHODS.items())


def test_a_beta_reaches_the_core_as_v1() -> None:
    """The core takes and answers v1's classes whatever the package; JSON is read as the package's own."""
    beta = METHODS["/google.cloud.vision.v1p4beta1.ImageAnnotator/BatchAnnotateImages"]
    assert beta.request is BatchAnnotateImagesRequest
    assert beta.response.DESCRIPTOR.full_name == "google.cloud.vision.v1.BatchAnnotateImagesResponse"
    assert beta.wire_request.DESCRIPTOR.full_name == "google.cloud.vision.v1p4beta1.BatchAnnotateImagesRequest"
    assert (beta.version, beta.full_name) == ("v1p4beta1", "google.cloud.vision.v1p4beta1.ImageAnnotator.BatchAnnotateImages")
    assert METHODS["/google.longrunning.Operations/GetOperation"].version == "v1"


def test_operations_say_what_they_hold_in_their_own_package() -> None:
    """Types of an operation's response and metadata are named in the caller's package, common types as they are, others not at all."""
    for package in (V1, *BETAS):
        images = METHODS[f"/{package}.ImageAnnotator/AsyncBatchAnnotateImages"]
        assert images.response is Operation
        assert images.operation_response == f"{package}.AsyncBatchAnnotateImagesResponse"
        assert images.operation_metadata == f"{package}.OperationMetadata"
        purge = METHODS[f"/{package}.ProductSearch/PurgeProducts"]
        assert (purge.operation_response, purge.operation_metadata) == ("google.protobuf.Empty", f"{package}.BatchOperationMetadata")
        assert METHODS[f"/{package}.ImageAnnotator/BatchAnnotateImages"].operation_response == ""
    assert METHODS["/google.longrunning.Operations/DeleteOperation"].response is Empty


def test_no_two_bindings_share_a_place_and_no_literal_stands_beside_a_star() -> None:
    """What the walk without turning back rests on."""
    leaves = 0
    nodes = list(_tree().values())
    while nodes:
        node = nodes.pop()
        literals = {key for key in node if key and not key.startswith("*")}
        assert not (literals and "*" in node), sorted(node)
        leaves += "" in node
        nodes += [child for key, child in node.items() if key]
    assert leaves == len(BOUND)


@given(
    bound=st.sampled_from(BOUND),
    ids=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1), min_size=4),
)
def test_any_name_is_found_again(bound: tuple[Method, Binding], ids: list[str]) -> None:
    """Every binding of every method, filled with any project, location and id, leads back to itself and to those very names."""
    method, binding = bound
    path, variable = filled(binding, ids)
    matched = found(binding.verb, path)
    assert (matched.method, matched.binding) == (method, binding)
    assert list(matched.variables.values()) == ([variable] if variable else [])


ANYTHING = st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))  # as servers hand on what is no UTF-8


@given(st.sampled_from(["GET", "POST", "PATCH", "DELETE", "HEAD", ""]), ANYTHING | ANYTHING.map("/v1/operations/{}".format))
def test_no_path_is_too_strange_to_be_refused(verb: str, path: str) -> None:
    """Any text is looked up without an exception, and every variable found can be written to a message."""
    matched = match(verb, path)
    for value in matched.variables.values() if matched else ():
        value.encode()


@given(st.sampled_from(BOUND), st.sampled_from(["/", "/x", "//", ":x", "%2F", ""]), st.sampled_from(["", "/", "x"]))
def test_only_the_exact_path_is_a_method(bound: tuple[Method, Binding], after: str, before: str) -> None:
    """A path with something before or behind it is no method, a trailing slash least of all."""
    method, binding = bound
    path, _ = filled(binding, ["a", "b", "c", "d"])
    matched = match(binding.verb, before + path + after)
    if before or after.startswith("/"):
        assert matched is None or (matched.method is not method and not before)
    elif not after:
        assert matched is not None


@pytest.mark.parametrize(
    ("verb", "path", "name", "variables"),
    [
        ("POST", "/v1/images:annotate", "BatchAnnotateImages", {}),
        ("POST", "/v1/images%3Aannotate", "BatchAnnotateImages", {}),
        ("POST", "/v1p3beta1/projects/p/files:annotate", "BatchAnnotateFiles", {"parent": "projects/p"}),
        ("POST", "/v1/projects/example.com:p/images:annotate", "BatchAnnotateImages", {"parent": "projects/example.com:p"}),
        ("POST", "/v1/projects/example.com%3ap/images:annotate", "BatchAnnotateImages", {"parent": "projects/example.com:p"}),
        ("POST", f"/v1/{LOCATION}/productSets:import", "ImportProductSets", {"parent": LOCATION}),
        ("POST", f"/v1/{LOCATION}/productSets/s:addProduct", "AddProductToProductSet", {"name": f"{LOCATION}/productSets/s"}),
        ("GET", f"/v1/{LOCATION}/productSets/s:addProduct", "GetProductSet", {"name": f"{LOCATION}/productSets/s:addProduct"}),
        ("GET", f"/v1/{LOCATION}/productSets/s/products", "ListProductsInProductSet", {"name": f"{LOCATION}/productSets/s"}),
        ("PATCH", f"/v1/{LOCATION}/productSets/s", "UpdateProductSet", {"product_set.name": f"{LOCATION}/productSets/s"}),
        ("GET", f"/v1/{LOCATION}/products/a%2Fb", "GetProduct", {"name": f"{LOCATION}/products/a%2Fb"}),
        ("GET", f"/v1/{LOCATION}/products/a%2fb", "GetProduct", {"name": f"{LOCATION}/products/a%2fb"}),
        ("GET", f"/v1/{LOCATION}/products/%E2%82%AC", "GetProduct", {"name": f"{LOCATION}/products/€"}),
        ("GET", f"/v1/{LOCATION}/products/€", "GetProduct", {"name": f"{LOCATION}/products/€"}),
        ("GET", f"/v1/{LOCATION}/products/%FF", "GetProduct", {"name": f"{LOCATION}/products/\N{REPLACEMENT CHARACTER}"}),
        ("GET", "/v1/operations", "ListOperations", {"name": "operations"}),
        ("GET", "/v1/projects/p/operations", "ListOperations", {"name": "projects/p"}),
        ("GET", "/v1/operations/x", "GetOperation", {"name": "operations/x"}),
        ("GET", "/v1p1beta1/projects/p/operations/x", "GetOperation", {"name": "projects/p/operations/x"}),
        ("GET", f"/v1p4beta1/{LOCATION}/operations/x", "GetOperation", {"name": f"{LOCATION}/operations/x"}),
        ("GET", "/v1/locations/l/operations/x", "GetOperation", {"name": "locations/l/operations/x"}),
        ("POST", "/v1/operations/x:cancel", "CancelOperation", {"name": "operations/x"}),
        ("POST", "/v1/projects/p/operations/x:wait", "WaitOperation", {"name": "projects/p/operations/x"}),
        ("DELETE", "/v1/operations/x", "DeleteOperation", {"name": "operations/x"}),
    ],
)
def test_request_lines_as_clients_send_them(verb: str, path: str, name: str, variables: dict[str, str]) -> None:
    """Custom verbs beat ids, a project may hold a colon, escapes are undone but for the slash, operations have all their forms."""
    matched = found(verb, path)
    assert (matched.method.name, matched.variables) == (name, variables)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/images:annotate"),
        ("post", "/v1/images:annotate"),
        ("POST", "/v1/images:annotate/"),
        ("POST", "//v1/images:annotate"),
        ("POST", "v1/images:annotate"),
        ("POST", "/v2/images:annotate"),
        ("POST", "/v1/images"),
        ("POST", "/v1/projects//images:annotate"),
        ("POST", f"/v1/{LOCATION}/productSets/:addProduct"),
        ("GET", "/v1/operations/"),
        ("GET", "/v1"),
        ("GET", "/"),
        ("GET", ""),
    ],
)
def test_what_is_no_method(verb: str, path: str) -> None:
    """Another verb, a slash too many, an empty id or an unknown version is answered by nobody."""
    assert match(verb, path) is None


def test_operations_are_reached_under_every_version() -> None:
    """Clients of the betas poll under their own prefix, so each form exists five times."""
    get = METHODS[f"/{LONGRUNNING}.Operations/GetOperation"]
    assert len(get.bindings) == 4 * 5
    assert len({binding.path for binding in get.bindings}) == 20
