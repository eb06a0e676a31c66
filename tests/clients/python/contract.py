"""The scenarios for Google's Python clients, from google-cloud-vision 1.0 on; see scenarios.py."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage, vision

try:
    from googleapiclient.discovery import build
    from googleapiclient.errors import HttpError
except ImportError:  # not beside old versions

    class HttpError(Exception): ...


GENERATION_1 = not hasattr(vision, "ImageAnnotatorAsyncClient")  # until 2.0 messages were protobuf's own
TYPE = "type" if GENERATION_1 else "type_"
MISSING_OPERATION = "projects/p/operations/0123456789abcdef"
ENVIRON = os.environ  # noqa: TID251 - a program of its own
ADDRESS = ENVIRON.get("VISION_EMULATOR_HOST", "")


def asked(uri: str, feature: str = "LABEL_DETECTION", **image: Any) -> dict[str, Any]:
    return {"image": image or {"source": {"image_uri": uri}}, "features": [{TYPE: feature}]}


def labels(response: Any) -> list[str]:
    return [label.description for label in response.label_annotations]


def error(raised: Exception) -> dict[str, Any]:
    if isinstance(raised, HttpError):
        return {"code": raised.status_code, "message": raised.reason}
    if isinstance(raised, exceptions.RetryError | TimeoutError) or "Read timed out" in str(raised):
        return {"code": "DEADLINE_EXCEEDED", "message": str(raised)}
    assert isinstance(raised, exceptions.GoogleAPICallError), raised
    return {"code": raised.code, "message": raised.message}


def made(way: str) -> Any:
    """The client of a way."""
    security, transport = way.split("-")
    if security == "plain" and GENERATION_1:  # of an interface that no snippet is written for
        import grpc
        from google.cloud.vision_v1.gapic.transports.image_annotator_grpc_transport import ImageAnnotatorGrpcTransport

        return vision.ImageAnnotatorClient(transport=ImageAnnotatorGrpcTransport(channel=grpc.insecure_channel(ADDRESS)))
    if security == "plain":
        language = "python" if transport == "grpc" else f"python-{transport}".replace("asyncio", "async")
        command = [ENVIRON["EMULATOR"], "snippet", language, "--host", ADDRESS]
        names: dict[str, Any] = {}
        exec(subprocess.run(command, capture_output=True, text=True, check=True).stdout, names)  # noqa: S102 - the snippet is what is tested
        return names["client"]
    at = "https://" if transport in ("rest", "discovery") else ""
    options = {} if security == "exec" else {"client_options": {"api_endpoint": at + ADDRESS}, "credentials": AnonymousCredentials()}
    if transport == "discovery":
        return build("vision", "v1", **options)
    if transport == "asyncio":
        return vision.ImageAnnotatorAsyncClient(**options)
    return vision.ImageAnnotatorClient(**({"transport": "rest"} if transport == "rest" else {}), **options)


class Generated:
    """google-cloud-vision; ``wait`` gives the answer of a coroutine, where the client has such."""

    def __init__(self, client: Any, inputs: Path, wait: Callable[[Any], Any]) -> None:
        self.client, self.inputs, self.wait = client, inputs, wait

    def annotate(self, *requests: dict[str, Any], **more: Any) -> Any:
        return self.wait(self.client.batch_annotate_images(requests=list(requests), **more)).responses

    def label_online(self) -> Any:
        content = (self.inputs / "picture.jpg").read_bytes()
        if hasattr(self.client, "label_detection"):
            image = vision.types.Image(content=content) if GENERATION_1 else vision.Image(content=content)
            return labels(self.client.label_detection(image=image))
        return labels(self.annotate(asked("", content=content))[0])

    def text_online(self) -> Any:
        return self.annotate(asked("gs://inputs/sign.jpg", "TEXT_DETECTION"))[0].full_text_annotation.text

    def offline(self, method: str, requests: list[dict[str, Any]], output: dict[str, Any]) -> Any:
        whole = method == "async_batch_annotate_images"
        request = (
            {"requests": requests, "output_config": output} if whole else {"requests": [r | {"output_config": output} for r in requests]}
        )
        operation = self.wait(getattr(self.client, method)(**request if GENERATION_1 else {"request": request}))
        return self.wait(operation.result(timeout=60))

    def batch(self, uris: list[str], output: dict[str, Any]) -> Any:
        return self.offline("async_batch_annotate_images", [asked(uri) for uri in uris], output)

    def files(self, uri: str, output: dict[str, Any]) -> Any:
        source = {"gcs_source": {"uri": uri}, "mime_type": "application/pdf"}
        return self.offline(
            "async_batch_annotate_files", [{"input_config": source, "features": [{TYPE: "DOCUMENT_TEXT_DETECTION"}]}], output
        )

    def image_error(self) -> Any:
        good, bad = self.annotate(asked("gs://inputs/cat.jpg"), asked("gs://inputs/missing.jpg"))
        return {"labels": labels(good), "code": bad.error.code, "message": bad.error.message}

    def not_found_operation(self) -> Any:
        if hasattr(self.client, "get_operation"):
            return self.wait(self.client.get_operation({"name": MISSING_OPERATION})).name
        transport = getattr(self.client, "transport", None) or self.client._transport
        operations = transport._operations_client if GENERATION_1 else transport.operations_client
        return self.wait(operations.get_operation(MISSING_OPERATION)).name

    def labels_of(self, uri: str, count: int = 1) -> Any:
        return labels(self.annotate(*[asked(uri)] * count)[0])

    def deadline(self) -> Any:
        return labels(self.annotate(asked("gs://inputs/slow.jpg"), timeout=1, retry=None)[0])


class Discovered:
    """google-api-python-client."""

    def __init__(self, client: Any, inputs: Path) -> None:
        self.client, self.inputs = client, inputs

    @staticmethod
    def asked(uri: str, feature: str = "LABEL_DETECTION") -> dict[str, Any]:
        return {"image": {"source": {"imageUri": uri}}, "features": [{"type": feature}]}

    def annotate(self, *requests: dict[str, Any], num_retries: int = 0) -> Any:
        return self.client.images().annotate(body={"requests": list(requests)}).execute(num_retries=num_retries)["responses"]

    @staticmethod
    def labels(response: dict[str, Any]) -> list[str]:
        return [label["description"] for label in response["labelAnnotations"]]

    def label_online(self) -> Any:
        import base64

        content = base64.b64encode((self.inputs / "picture.jpg").read_bytes()).decode()
        return self.labels(self.annotate({"image": {"content": content}, "features": [{"type": "LABEL_DETECTION"}]})[0])

    def text_online(self) -> Any:
        return self.annotate(self.asked("gs://inputs/sign.jpg", "TEXT_DETECTION"))[0]["fullTextAnnotation"]["text"]

    def waited(self, operation: dict[str, Any]) -> None:
        while not operation.get("done"):
            operation = self.client.operations().get(name="operations/" + operation["name"].rpartition("/")[2]).execute()
        assert "error" not in operation, operation

    @staticmethod
    def camel(output: dict[str, Any]) -> dict[str, Any]:
        return {"gcsDestination": output["gcs_destination"], "batchSize": output["batch_size"]}

    def batch(self, uris: list[str], output: dict[str, Any]) -> None:
        body = {"requests": [self.asked(uri) for uri in uris], "outputConfig": self.camel(output)}
        self.waited(self.client.images().asyncBatchAnnotate(body=body).execute())

    def files(self, uri: str, output: dict[str, Any]) -> None:
        source = {"gcsSource": {"uri": uri}, "mimeType": "application/pdf"}
        request = {"inputConfig": source, "features": [{"type": "DOCUMENT_TEXT_DETECTION"}], "outputConfig": self.camel(output)}
        self.waited(self.client.files().asyncBatchAnnotate(body={"requests": [request]}).execute())

    def image_error(self) -> Any:
        good, bad = self.annotate(self.asked("gs://inputs/cat.jpg"), self.asked("gs://inputs/missing.jpg"))
        return {"labels": self.labels(good), **bad["error"]}

    def not_found_operation(self) -> Any:
        return self.client.projects().operations().get(name=MISSING_OPERATION).execute()

    def labels_of(self, uri: str, count: int = 1) -> Any:
        return self.labels(self.annotate(*[self.asked(uri)] * count, num_retries=3 if "flaky" in uri else 0)[0])

    def deadline(self) -> Any:
        self.client._http.http.timeout = 1  # of the connections that it opens from now on
        self.client._http.http.connections.clear()
        return self.labels_of("gs://inputs/slow.jpg")


def read_back(prefix: str) -> tuple[list[str], list[dict[str, Any]]]:
    """The files of results by name, and all their responses."""
    blobs = list(storage.Client().bucket("results").list_blobs(prefix=prefix))
    return [blob.name for blob in blobs], [one for blob in blobs for one in json.loads(blob.download_as_bytes())["responses"]]


def ran(client: Any, scenario: str, inputs: Path) -> Any:
    """The result of one scenario."""
    bucket = storage.Client().bucket("inputs")
    output = {"gcs_destination": {"uri": f"gs://results/{scenario.partition('-')[0]}/"}, "batch_size": 2}
    match scenario:
        case "batch-offline":
            for number in range(1, 6):
                bucket.blob(f"{number}.jpg").upload_from_filename(inputs / "picture.jpg")
            client.batch([f"gs://inputs/{number}.jpg" for number in range(1, 6)], output)
            names, found = read_back("batch/")
            first = [one["labelAnnotations"][0]["description"] for one in found]
            return {"files": names, "uris": [one["context"]["uri"] for one in found], "labels": first}
        case "pdf-offline":
            bucket.blob("pages.pdf").upload_from_filename(inputs / "pages.pdf")
            client.files("gs://inputs/pages.pdf", output)
            names, found = read_back("pdf/")
            lines = [one["fullTextAnnotation"]["text"].split("\n")[0] for one in found]
            return {"files": names, "pages": [one["context"]["pageNumber"] for one in found], "lines": lines}
        case "17-images":
            return client.labels_of("gs://inputs/cat.jpg", 17)
        case "2001-images":
            return client.batch(["gs://inputs/cat.jpg"] * 2001, {"gcs_destination": {"uri": "gs://results/many/"}, "batch_size": 2})
        case "unavailable-twice":
            return client.labels_of("gs://inputs/flaky.jpg")
        case _:
            return getattr(client, scenario.replace("-", "_"))()


def main(way: str, inputs: Path, scenarios: list[str]) -> None:
    with asyncio.Runner() as runner:

        async def within(make: Callable[[], Any]) -> Any:
            return make()

        def wait(answer: Any) -> Any:
            if not asyncio.iscoroutine(answer) and not hasattr(answer, "__await__"):
                return answer

            async def awaited() -> Any:
                return await answer

            return runner.run(awaited())

        built = runner.run(within(lambda: made(way)))
        client = Discovered(built, inputs) if way.endswith("discovery") else Generated(built, inputs, wait)
        for scenario in scenarios:
            try:
                result = ran(client, scenario, inputs)
            except (exceptions.GoogleAPIError, HttpError, OSError) as raised:
                result = error(raised)
            print(json.dumps({"scenario": scenario, "result": result}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
