"""What the Cloud Storage surface refuses: one exception, one catalogue, three ways to write it down.

The texts of missing buckets and objects, preconditions, conflicts, hashes, ranges and offsets are the real service's; the others are ours.
"""

from __future__ import annotations

import html
from typing import Final

import orjson

from vision_emulator.contract.errors import VisionError
from vision_emulator.storage import (
    AccessDenied,
    BucketMissing,
    ObjectMissing,
    StorageError,
    StorageFull,
    StorageUnavailable,
)
from vision_emulator.storage.embedded import BucketExists, BucketNotEmpty, NameRefused, PreconditionFailed

JSON_TYPE: Final = "application/json; charset=UTF-8"
TEXT_TYPE: Final = "text/html; charset=UTF-8"
XML_TYPE: Final = "application/xml; charset=UTF-8"

_XML_CODES: Final = {
    "conditionNotMet": "PreconditionFailed",
    "conflict": "Conflict",
    "forbidden": "AccessDenied",
    "invalid": "InvalidArgument",
    "notFound": "NoSuchKey",
    "notImplemented": "NotImplemented",
    "requestedRangeNotSatisfiable": "InvalidRange",
}


# Of refusals by fault rules. Source: Google's page on status codes of the JSON API.
_REASONS: Final = {
    401: "authError",
    403: "forbidden",
    404: "notFound",
    408: "requestTimeout",
    409: "conflict",
    412: "conditionNotMet",
    416: "requestedRangeNotSatisfiable",
    429: "rateLimitExceeded",
    501: "notImplemented",
    504: "gatewayTimeout",
}


class GcsError(Exception):
    """A refusal: its HTTP status, the JSON API's reason, and a text for a person."""

    def __init__(self, status: int, reason: str, message: str, xml_code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.xml_code = xml_code  # where the XML API has a word of its own
        self.message = message.encode("utf-8", "replace").decode()  # a path that is no UTF-8 holds what JSON cannot

    def json(self) -> bytes:
        """The refusal as the JSON API writes it."""
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        return orjson.dumps({"error": {"code": self.status, "message": self.message, "errors": [detail]}})

    def text(self) -> bytes:
        """The refusal as a media download writes it."""
        return self.message.encode()

    def xml(self) -> bytes:
        """The refusal as the XML API writes it."""
        code = self.xml_code or _XML_CODES.get(self.reason, "InternalError")
        if self.message.startswith("The specified bucket"):
            code = "NoSuchBucket"
        message = html.escape(self.message, quote=False)
        return f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def invalid(message: str) -> GcsError:
    """Something in the request cannot be read or is not allowed; the text says what and where."""
    return GcsError(400, "invalid", message)


def invalid_value(name: str, value: str) -> GcsError:
    """A query parameter or field whose value means nothing."""
    return invalid(f"Invalid value for {name}: {value[:100]!r}")


def required(name: str) -> GcsError:
    """A parameter or field that the call cannot do without."""
    return GcsError(400, "required", f"Required parameter: {name}")


def not_found(path: str) -> GcsError:
    """A path of the storage API that names nothing."""
    return GcsError(404, "notFound", f"Not Found: {path[:200]}")


def object_missing(bucket: str, name: str) -> GcsError:
    """No such object in an existing bucket."""
    return GcsError(404, "notFound", f"No such object: {bucket}/{name}")


def upload_missing() -> GcsError:
    """No resumable session of this upload_id: never started, or dropped since."""
    return GcsError(404, "notFound", "No such upload session. Start the upload again.")


def upload_cancelled() -> GcsError:
    """What the deletion of a resumable session answers."""
    return GcsError(499, "clientClosedRequest", "Client Closed Request")


def part_missing(number: int) -> GcsError:
    """A part that a multipart upload is to be made of was never sent, or is another than the one that was."""
    return GcsError(400, "invalid", f"Part {number} was not uploaded, or its ETag is another.", "InvalidPart")


def part_out_of_order() -> GcsError:
    """The parts of a multipart upload must be named in rising order."""
    return GcsError(400, "invalid", "The parts must be listed in rising order of their numbers, each once.", "InvalidPartOrder")


def part_too_small(number: int, bytes_min: int) -> GcsError:
    """Every part of a multipart upload but the last has a least size."""
    return GcsError(400, "invalid", f"Part {number} is smaller than {bytes_min} bytes, and not the last.", "EntityTooSmall")


def multipart_upload_missing() -> GcsError:
    """No multipart upload of this uploadId for this object: never started, over, or dropped since."""
    return GcsError(404, "notFound", "The requested upload was not found.", "NoSuchUpload")


def condition_not_met() -> GcsError:
    """A precondition that does not hold."""
    return GcsError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")


def not_modified() -> GcsError:
    """The object is the one that the reader knows already; an answer without a body."""
    return GcsError(304, "notModified", "Not Modified")


def hash_mismatch(kind: str, given: str, computed: str) -> GcsError:
    """The uploaded bytes are not those whose hash the client sent."""
    return invalid(f'Provided {kind} hash "{given[:100]}" doesn\'t match calculated {kind} hash "{computed}".')


def range_not_satisfiable() -> GcsError:
    """A range that begins behind the end of the object."""
    return GcsError(416, "requestedRangeNotSatisfiable", "The requested range cannot be satisfied.")


def too_large(bytes_max: int) -> GcsError:
    """More bytes than this server takes for one object."""
    return GcsError(413, "uploadTooLarge", f"The object is larger than {bytes_max} bytes, the most this server stores.")


def not_implemented(what: str) -> GcsError:
    """A part of the API that this server does not answer."""
    return GcsError(501, "notImplemented", f"{what} not emulated.")


def internal() -> GcsError:
    """A fault of the emulator itself; its traceback is in the log."""
    return GcsError(500, "backendError", "Backend Error")


def by_rule(failure: VisionError, status: int | None = None) -> GcsError:
    """What a fault rule makes of a call: the code in the words of this API, with exactly this HTTP status where one is asked for."""
    status = status or failure.http_status
    reason = _REASONS.get(status, "backendError" if status >= 500 else "invalid")
    return GcsError(status, reason, failure.message)


def of_storage(error: StorageError, method: str) -> GcsError:
    """What happened in storage, as the API says it to a caller of this HTTP method."""
    match error:
        case BucketMissing():
            return GcsError(404, "notFound", "The specified bucket does not exist.")
        case ObjectMissing():
            return GcsError(404, "notFound", f"No such object: {error}")
        case PreconditionFailed(unchanged=True) if method in ("GET", "HEAD"):
            return not_modified()
        case PreconditionFailed():
            return condition_not_met()
        case BucketExists():
            return GcsError(409, "conflict", "Your previous request to create the named bucket succeeded and you already own it.")
        case BucketNotEmpty():
            return GcsError(409, "conflict", "The bucket you tried to delete is not empty.")
        case NameRefused():
            return invalid(str(error))
        case AccessDenied():
            return GcsError(403, "forbidden", f"Access denied: {error}")
        case StorageFull():
            return GcsError(507, "insufficientStorage", f"The storage is full: {error}")
        case StorageUnavailable():
            return GcsError(503, "backendError", f"The storage cannot do this now: {error}")
        case _:
            return GcsError(500, "backendError", f"The storage failed: {error}")
