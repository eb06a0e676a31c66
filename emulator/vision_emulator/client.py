"""The control API from Python: every lever of a running emulator, over nothing but the standard library.

Each method is one call of ``/_emulator/v1``, made on a connection of its own, so that threads may share a Control. It blocks for as
long as the call takes; a program with an event loop does the same, or asks in ``asyncio.to_thread``. Answers are plain JSON values.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, urlencode

from vision_emulator.control import assertions

CALL_SECONDS_MAX: Final = 60.0
ROOT: Final = "/_emulator"
SCHEME: Final = "gs://"

Json = dict[str, Any]
Entries = list[Json]
Names = list[str]
Step = Json | list[Json]  # steps in a list befall one call together


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
        return self.call(verb, path, body, **{"project": self.project or None} | query)

    def exchange(self, verb: str, path: str, content: bytes | None, content_type: str, query: Mapping[str, Any]) -> bytes:
        """The answer's bytes; ControlError when it is none."""
        with self._asked(verb, path, content, content_type, query) as answer:
            return answer.read()

    def events(self, since: int | None = None) -> Iterator[tuple[str, Any]]:
        """What happens from now on, or after the call of this number: kinds and data as GET /v1/events has them."""
        stream = self._events({"project": self.project or None, "since": since})
        next(stream)  # listens: nothing that happens from here on is missed
        return stream

    def _events(self, query: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """At first nothing, once the server listens to this reader; then its events, each when it comes."""
        with self._asked("GET", "/v1/events", None, "", query) as answer:
            yield "", answer.readline()
            kind = ""
            for line in answer:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)

    @contextmanager
    def _asked(
        self, verb: str, path: str, content: bytes | None, content_type: str, query: Mapping[str, Any]
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer to be read; ControlError when it is none, or breaks."""
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
            if answer.status != http.client.OK:
                sentence = _sentence(answer.read())
                raise ControlError(sentence or f"{verb} {ROOT}{path} was answered with status {answer.status}", answer.status)
            yield answer
        except (OSError, http.client.HTTPException) as failure:
            raise ControlError(f"The emulator at {self.address} does not answer: {str(failure) or type(failure).__name__}") from failure
        finally:
            connection.close()


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
        self.fixtures: Final = Fixtures(self._wire)
        self.faults: Final = Faults(self._wire)
        self.clock: Final = Clock(self._wire)
        self.operations: Final = Operations(self._wire)
        self.buckets: Final = Buckets(self._wire)
        self.upstream: Final = Upstream(self._wire)

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

    def usage(self, month: str | None = None) -> Json:
        """Units of each feature as Vision bills them, and what they would have cost; of another month, written as 2026-11."""
        answer: Json = self._wire.scoped("GET", "/v1/usage", month=month)
        return answer

    @property
    def pace(self) -> str:
        """When clients get to see that an operation is done: auto, instant, polls:N, seconds:S, manual or never. May be set."""
        return str(self._wire.scoped("GET", "/v1/pace")["pace"])

    @pace.setter
    def pace(self, pace: str) -> None:
        self._wire.scoped("PUT", "/v1/pace", {"pace": pace})


class Journal:
    """What was called. Filters are those of GET /v1/journal (``method``, ``transport``, ``code``, ``client``, ``image``, ``since``);
    what is expected of a call is said as in POST /v1/journal:find: ``images=2``, ``features="LABEL_DETECTION"``, ``code="OK"`` …
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def entries(self, **filters: Any) -> Entries:
        """The calls, oldest first."""
        found: Entries = []
        since, left = filters.pop("since", 0), 1
        while left:
            answer = self._wire.scoped("GET", "/v1/journal", since=since, **filters)
            found += answer["entries"]
            left = answer.get("left", 0) if answer["entries"] else 0
            since = found[-1]["number"] if found else since
        return found

    def follow(self, since: int | None = None) -> Iterator[Json]:
        """The calls as they are answered, from now on or after the one of this number; the iterator waits for the next."""
        return (call for kind, call in self._wire.events(since) if kind == "finished")

    def count(self, **filters: Any) -> int:
        """How many calls fit."""
        return int(self._wire.scoped("GET", "/v1/journal:count", **filters)["count"])

    def find(self, method: str = "", **expected: Any) -> Entries:
        """The calls that fit an expectation, oldest first."""
        answer: Entries = self._wire.call("POST", "/v1/journal:find", self._expectation(method, expected))["entries"]
        return answer

    def near_misses(self, method: str = "", **expected: Any) -> Entries:
        """When no call fits: those that come closest, each with its ``differences``."""
        answer: Entries = self._wire.call("POST", "/v1/journal:nearMisses", self._expectation(method, expected))["nearMisses"]
        return answer

    def assert_called(self, method: str = "", *, times: int | None = None, **expected: Any) -> None:
        """Passes when so many of the calls fit (without ``times``: one or more); else AssertionError says what was called instead.
        ControlError for what no call can be: a misspelt method is not taken for one that was not called.
        """
        __tracebackhide__ = True  # pytest shows the line of the test
        if not self.find(method, **expected) or times is not None:
            assertions.assert_called(self.entries(), method, times=times, **expected)

    def assert_not_called(self, method: str = "", **expected: Any) -> None:
        """Passes when no call fits."""
        __tracebackhide__ = True
        self.assert_called(method, times=0, **expected)

    def har(self) -> Json:
        """The calls as an HTTP archive."""
        answer: Json = self._wire.scoped("GET", "/v1/journal", format="har")
        return answer

    def as_fixtures(self) -> Json:
        """The answers as rules that give them again."""
        answer: Json = self._wire.scoped("GET", "/v1/journal", format="fixtures")
        return answer

    def clear(self) -> None:
        """Forgets the calls."""
        self._wire.scoped("DELETE", "/v1/journal")

    def _expectation(self, method: str, expected: Json) -> Json:
        return {"method": method, "project": self._wire.project} | expected


class Fixtures:
    """Given answers that are added while the server runs; they come before those of files, and go with a reset."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def add(self, match: str | Json, response: Json | None = None, *, error: Json | None = None, **more: Any) -> Json:
        """Adds a rule, before those of all files and behind those added before; ``match`` is one of a fixture file or the URI alone,
        ``more`` are a rule's other keys.
        """
        added: Json = self._wire.scoped("POST", "/v1/fixtures", {"rules": [_rule(match, response, error, more)]})["rules"][0]
        return added

    def replace(self, id_: str, match: str | Json, response: Json | None = None, *, error: Json | None = None, **more: Any) -> Json:
        """Adds the rule of this id, or puts it in the other's place."""
        answer: Json = self._wire.scoped("PUT", f"/v1/fixtures/{quote(id_, safe='')}", _rule(match, response, error, more))
        return answer

    def remove(self, id_: str) -> None:
        """Forgets a rule that was added."""
        self._wire.scoped("DELETE", f"/v1/fixtures/{quote(id_, safe='')}")

    def list(self) -> Entries:
        """The rules that hold, best first, each with where it comes from and how often it was used."""
        found: Entries = []
        total = 1
        while len(found) < total:
            answer = self._wire.scoped("GET", "/v1/fixtures", offset=len(found) or None)
            found += answer["rules"]
            total = answer["total"] if answer["rules"] else 0
        return found

    def clear(self) -> None:
        """Forgets the rules that were added."""
        self._wire.scoped("DELETE", "/v1/fixtures")

    def reload(self) -> Json:
        """Reads files that have changed, now."""
        answer: Json = self._wire.call("POST", "/v1/fixtures:reload")
        return answer

    def near_misses(self) -> Entries:
        """The last pictures that no rule answered, the latest first, and why."""
        answer: Entries = self._wire.scoped("GET", "/v1/fixtures:nearMisses")["misses"]
        return answer


def _rule(match: str | Json, response: Json | None, error: Json | None, more: Json) -> Json:
    said = {"match": {"uri": match} if isinstance(match, str) else match, "response": response, "error": error, **more}
    return {key: value for key, value in said.items() if value is not None}


class Faults:
    """What goes wrong, for calls that a rule fits; rules are consumed step by step, and go with a reset."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def add(self, *script: Step, **rule: Any) -> Json:
        """Adds a rule: steps as POST /v1/faults takes them, ``add({"fault": "reject", "code": "UNAVAILABLE"}, method="…", skip=1)``;
        answers its report, with the ``id``.
        """
        answer: Json = self._wire.scoped("POST", "/v1/faults", {"script": script, **_camel(rule)})
        return answer

    def preset(self, name: str, parameters: Json | None = None, **rule: Any) -> Json:
        """Adds what really happens with Vision, by name: ``preset("quota-exceeded", skip=1)``; answers its report, with the ``id``."""
        answer: Json = self._wire.scoped("POST", "/v1/faults", {"preset": name, "parameters": parameters or {}, **_camel(rule)})
        return answer

    def presets(self) -> Entries:
        """What presets there are, and what they take."""
        answer: Entries = self._wire.call("GET", "/v1/faults/presets")["presets"]
        return answer

    def list(self) -> Entries:
        """The report of each rule, the oldest first."""
        answer: Entries = self._wire.scoped("GET", "/v1/faults")["faults"]
        return answer

    def report(self, id_: str) -> Json:
        """How far a rule is: ``struck``, ``remaining``, and in ``strikes`` which calls it struck when."""
        answer: Json = self._wire.call("GET", f"/v1/faults/{quote(id_, safe='')}")
        return answer

    def remove(self, id_: str) -> None:
        """Removes a rule."""
        self._wire.call("DELETE", f"/v1/faults/{quote(id_, safe='')}")

    def clear(self) -> None:
        """Removes all rules."""
        self._wire.scoped("DELETE", "/v1/faults")


def _camel(named: Json) -> Json:
    """Python's names as those of JSON: ttl_seconds is ttlSeconds."""
    return {first + "".join(word.title() for word in rest): value for name, value in named.items() for first, *rest in [name.split("_")]}


class Clock:
    """The emulator's time, which the whole server shares: it may be stopped and moved on, so that nobody waits."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def now(self) -> float:
        """Seconds since 1970."""
        return float(self._wire.call("GET", "/v1/clock")["now"])

    def stop(self) -> None:
        """From now on time moves only by ``advance``."""
        self._wire.call("PUT", "/v1/clock", {"mode": "manual"})

    def go(self) -> None:
        """Time moves by itself again, from where it is."""
        self._wire.call("PUT", "/v1/clock", {"mode": "system"})

    def advance(self, seconds: float) -> float:
        """Moves time on and wakes who waits for it; answers the time it is then."""
        return float(self._wire.call("POST", "/v1/clock:advance", {"seconds": seconds})["now"])


class Operations:
    """Long-running operations; they are named in full, as clients see them, or by their last part."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> Entries:
        """All of them, oldest first, as clients see them now."""
        answer: Entries = self._wire.scoped("GET", "/v1/operations")["operations"]
        return answer

    def get(self, name: str) -> Json:
        """One of them, as clients see it now; no poll."""
        answer: Json = self._wire.call("GET", _operation(name))
        return answer

    def progress(self, name: str) -> Json:
        """How far it is: images looked at and failed, and its output files."""
        answer: Json = self._wire.call("GET", f"{_operation(name)}/progress")
        return answer

    def polls(self, name: str) -> Json:
        """How clients polled it: for each its ``attempts``, ``times`` and ``gaps`` in seconds."""
        answer: Json = self._wire.call("GET", f"{_operation(name)}/polls")
        return answer

    def set_pace(self, name: str, pace: str) -> Json:
        """Another pace for this one."""
        answer: Json = self._wire.call("PUT", f"{_operation(name)}/pace", {"pace": pace})
        return answer

    def advance(self, name: str) -> Json:
        """One step nearer to done: as a poll of polls:N; of any other pace clients see the result from now on."""
        return self._act(name, "advance")

    def fail(self, name: str, code: str | int = "INTERNAL", message: str = "") -> Json:
        """Stops the work; the operation ends with this error."""
        return self._act(name, "fail", {"code": code, "message": message})

    def complete(self, name: str) -> Json:
        """Lets clients see the result, whatever the pace."""
        return self._act(name, "complete")

    def cancel(self, name: str) -> Json:
        """Stops the work; the operation ends CANCELLED."""
        return self._act(name, "cancel")

    def _act(self, name: str, verb: str, body: Any = None) -> Json:
        answer: Json = self._wire.call("POST", f"{_operation(name)}:{verb}", body)
        return answer


def _operation(name: str) -> str:
    return f"/v1/operations/{quote(name.rpartition('/')[2], safe='')}"


class Upstream:
    """The other Vision that the annotator ``upstream`` asks."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def differences(self) -> Json:
        """In its mode diff: how many images it answered otherwise, and the last ones of these, field by field."""
        answer: Json = self._wire.call("GET", "/v1/upstream/differences")
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
