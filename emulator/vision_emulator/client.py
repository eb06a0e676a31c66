"""The control API from Python: every lever of a running emulator, over nothing but the standard library.

Each method is one call of ``/_emulator/v1``, made on a connection of its own, so that threads may share a Control. It blocks for as
long as the call takes; a program with an event loop does the same, or asks in ``asyncio.to_thread``. Answers are plain JSON values.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

CALL_SECONDS_MAX: Final = 60.0
ROOT: Final = "/_emulator"
SCHEME: Final = "gs://"

Json = dict[str, Any]
Entries = list[Json]
Names = list[str]


class ControlError(Exception):
    """The emulator refused a control call, or did not answer; the text is its own sentence, ``status`` its HTTP status (0: no answer)."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Wire:
    """How control calls reach their server. ``project`` "" is the whole server."""

    def __init__(self, address: str, token: str | None = None, project: str = "") -> None:
        self.address = address.removeprefix("http://").rstrip("/")
        self.token = token
        self.project = project

    def call(self, verb: str, path: str, body: Any = None, **query: Any) -> Any:
        """The JSON answer of one call; parameters that are None are left out."""
        content = None if body is None else json.dumps(body).encode()
        answer = self.exchange(verb, path, content, "application/json", query)
        return json.loads(answer)

    def scoped(self, verb: str, path: str, body: Any = None, **query: Any) -> Any:
        """The same for calls that are about one project."""
        return self.call(verb, path, body, project=self.project or None, **query)

    def exchange(self, verb: str, path: str, content: bytes | None, content_type: str, query: Mapping[str, Any]) -> bytes:
        """The answer's bytes; ControlError when it is none."""
        if not self.address:
            raise ControlError("The emulator does not run yet: enter it (with VisionEmulator() as emulator).")
        asked = urlencode({name: _text(value) for name, value in query.items() if value is not None})
        headers = {"Content-Type": content_type} if content is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(self.address, timeout=CALL_SECONDS_MAX)
        try:
            connection.request(verb, f"{ROOT}{path}" + (f"?{asked}" if asked else ""), content, headers)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as failure:
            raise ControlError(f"The emulator at {self.address} does not answer: {str(failure) or type(failure).__name__}") from failure
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise ControlError(_sentence(data) or f"{verb} {ROOT}{path} was answered with status {answer.status}", answer.status)
        return data


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sentence(data: bytes) -> str:
    try:
        return str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        return data[:500].decode("utf-8", "replace")


class Control:
    """A running emulator's levers. ``project``: only what concerns the calls of this project; "" is the whole server."""

    def __init__(self, address: str, token: str | None = None, project: str = "") -> None:
        self._wire = Wire(address, token, project)
        self.journal: Final = Journal(self._wire)
        self.operations: Final = Operations(self._wire)
        self.buckets: Final = Buckets(self._wire)

    @property
    def address(self) -> str:
        """host:port, for gRPC."""
        return self._wire.address

    @property
    def url(self) -> str:
        """http://host:port, for REST and Cloud Storage."""
        return f"http://{self.address}"

    @property
    def project(self) -> str:
        """The project whose calls these levers are about; calls name it in ``x-goog-user-project``."""
        return self._wire.project

    def reset(self) -> None:
        """Back to how it was at the start; with a project only what belongs to that, and buckets are left as they are."""
        self._wire.scoped("POST", "/v1/reset")

    def health(self) -> Json:
        """How the server is; ControlError when it is not ready."""
        answer: Json = self._wire.call("GET", "/health")
        return answer

    def capabilities(self) -> Json:
        """What is emulated, and how truly."""
        answer: Json = self._wire.call("GET", "/v1/capabilities")
        return answer

    @property
    def pace(self) -> str:
        """When clients get to see that an operation is done: auto, instant, polls:N, seconds:S, manual or never. May be set."""
        return str(self._wire.call("GET", "/v1/pace")["pace"])

    @pace.setter
    def pace(self, pace: str) -> None:
        self._wire.call("PUT", "/v1/pace", {"pace": pace})


class Journal:
    """What was called."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def entries(self) -> Entries:
        """The calls, oldest first."""
        answer: Entries = self._wire.scoped("GET", "/v1/journal")["entries"]
        return answer


class Operations:
    """Long-running operations; they are named in full, as clients see them, or by their last part."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> Entries:
        """All of them, oldest first, as clients see them now."""
        answer: Entries = self._wire.call("GET", "/v1/operations")["operations"]
        return answer

    def complete(self, name: str) -> Json:
        """Lets clients see the result, whatever the pace."""
        return self._act(name, "complete")

    def cancel(self, name: str) -> Json:
        """Stops the work; the operation ends CANCELLED."""
        return self._act(name, "cancel")

    def _act(self, name: str, verb: str, body: Any = None) -> Json:
        answer: Json = self._wire.call("POST", f"/v1/operations/{quote(name.rpartition('/')[2], safe='')}:{verb}", body)
        return answer


class Buckets:
    """The Cloud Storage; objects are named gs://bucket/object."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> Names:
        """The names of all buckets."""
        return [bucket["name"] for bucket in self._wire.call("GET", "/v1/buckets")["buckets"]]

    def create(self, *names: str) -> None:
        """Makes buckets, unless they are there."""
        for name in names:
            self._wire.call("PUT", _bucket(name))

    def delete(self, name: str) -> None:
        """Removes a bucket with all that is in it."""
        self._wire.call("DELETE", _bucket(name))

    def objects(self, uri: str) -> Names:
        """The URIs of all objects below gs://bucket/prefix, by name."""
        bucket, prefix = _split(uri)
        found: Names = []
        after: str | None = None
        while after != "":
            answer = self._wire.call("GET", f"{_bucket(bucket)}/objects", prefix=prefix, after=after)
            found += [f"{SCHEME}{bucket}/{item['name']}" for item in answer["objects"]]
            after = answer["next"]
        return found

    def read(self, uri: str) -> bytes:
        """The content of an object."""
        return self._wire.exchange("GET", _object(uri), None, "", {})

    def read_json(self, uri: str) -> Any:
        """The content of an object of JSON, as a result file is."""
        return json.loads(self.read(uri))

    def write(self, uri: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Stores an object in a bucket that is there; answers the URI."""
        self._wire.exchange("PUT", _object(uri), data, content_type, {})
        return uri

    def remove(self, uri: str) -> None:
        """Removes an object."""
        self._wire.call("DELETE", _object(uri))


def _split(uri: str) -> tuple[str, str]:
    bucket, _, name = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket:
        raise ValueError(f"{uri!r} names no place in Cloud Storage; write it as gs://bucket/object")
    return bucket, name


def _bucket(name: str) -> str:
    return f"/v1/buckets/{quote(name, safe='')}"


def _object(uri: str) -> str:
    bucket, name = _split(uri)
    if not name:
        raise ValueError(f"{uri!r} names a bucket and no object")
    return f"{_bucket(bucket)}/objects/{quote(name, safe='')}"
