"""Every failure the emulator can answer: one exception, one catalogue of named constructors, one table of codes.

Each constructor says where its wording comes from. *Recorded*: seen in answers of the real service. *Documented*: Google states the
condition or the text. *Wording ours*: the condition is real, its text is not known, and this is the one place where we chose it.
Request errors are raised as VisionError; image errors are the same values put into the image's slot with ``status()``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from vision_emulator.contract import limits
from vision_emulator.contract.messages import BadRequest, ErrorInfo, Help, LocalizedMessage, Status, pack


class Code(IntEnum):
    """google.rpc.Code: what went wrong, as both transports number it."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP_STATUS: Final = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


class VisionError(Exception):
    """A failure as the API states it: a code, a text, and typed details (messages of our own pool)."""

    def __init__(self, code: Code, message: str, *details: Message) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    @property
    def http_status(self) -> int:
        """The HTTP status of this failure."""
        return HTTP_STATUS[self.code]

    def status(self) -> Status:
        """The failure as google.rpc.Status, details packed: what gRPC's status-details trailer and an operation's error carry."""
        return Status(code=self.code, message=self.message, details=[pack(detail) for detail in self.details])

    def image_status(self) -> Status:
        """The failure as it stands in one image's slot: code and text, never details (recorded)."""
        return Status(code=self.code, message=self.message)


ECHO_BYTES_MAX: Final = 1200  # of a value shown in a refusal: gRPC sends the text in a header, and clients take 8 KiB of them; ours


def _shown(text: str) -> str:
    """A value of the request as a refusal shows it: whole when it is as long as a gs:// URI may be, else its beginning."""
    data = text.encode()
    return text if len(data) <= ECHO_BYTES_MAX else data[:ECHO_BYTES_MAX].decode(errors="ignore") + "..."


class Violation(NamedTuple):
    """One fault found in a request's JSON: where (a dotted path in proto names, "" for the top) and what."""

    field: str
    description: str


# ---- the front end: JSON and HTTP, before the API sees a message ----


def malformed_json(message: str) -> VisionError:
    """The body is no JSON; the text says where. Recorded."""
    return VisionError(Code.INVALID_ARGUMENT, message)


def bad_request(violations: list[Violation]) -> VisionError:
    """The body is JSON of the wrong shape: all violations, one a line. Recorded."""
    fields: list[Any] = [BadRequest.FieldViolation(field=field, description=description) for field, description in violations]
    message = "\n".join(violation.description for violation in violations)
    return VisionError(Code.INVALID_ARGUMENT, message, BadRequest(field_violations=fields))


def body_not_allowed() -> VisionError:
    """A body where the method takes none. Wording ours: the real front end refuses a GET with a body before any API sees it."""
    return VisionError(Code.INVALID_ARGUMENT, "Invalid request: this method takes no body. Put its fields into the query.")


def field_mask_unknown(selector: str, path: str) -> VisionError:
    """A ``fields`` selector names what the answer has not. Recorded on other Google APIs."""
    description = f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'."
    return _invalid_argument(selector, description)


def field_mask_malformed(selector: str, at: int) -> VisionError:
    """A ``fields`` selector that cannot be read. The shape is recorded on other Google APIs; wording of the description ours."""
    return _invalid_argument(selector, f"Error expanding 'fields' parameter. Cannot read it from character {at + 1} on.")


def system_parameter_unsupported(name: str, value: str, expected: str) -> VisionError:
    """A query parameter of the front end with a value it does not take. Wording ours."""
    return _invalid_argument(name, f"Invalid value {value[:100]!r} for parameter {name!r}. Expected {expected}.")


def batch_malformed(message: str) -> VisionError:
    """A batch of calls that cannot be read, or one of its parts. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, message)


def discovery_document_missing(version: str) -> VisionError:
    """No such version of the API. Wording after the one of Google's discovery service."""
    name = f"API service: vision.googleapis.com format: rest version: {version}"
    return VisionError(Code.NOT_FOUND, f"Discovery document not found for {name}")


def _invalid_argument(field: str, description: str) -> VisionError:
    """The front end's general refusal, which leaves the reason to its details."""
    details: Any = BadRequest(field_violations=[BadRequest.FieldViolation(field=field, description=description)])
    return VisionError(Code.INVALID_ARGUMENT, "Request contains an invalid argument.", details)


def payload_too_large() -> VisionError:
    """The body is larger than the front end takes. Recorded."""
    return VisionError(Code.INVALID_ARGUMENT, f"Request payload size exceeds the limit: {limits.REQUEST_BYTES_MAX} bytes.")


def unimplemented(method: str) -> VisionError:
    """A method of the API that this emulator does not answer. Wording ours."""
    return VisionError(Code.UNIMPLEMENTED, f"{method} is not emulated.")


def internal() -> VisionError:
    """A fault of the emulator itself; its traceback is in the log. Wording recorded from the real service's own faults."""
    return VisionError(Code.INTERNAL, "Internal error")


def message_malformed(full_name: str) -> VisionError:
    """Binary bytes that are no message of the method's request type. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"The request is not a valid {full_name} message.")


def body_encoding_unsupported(encoding: str) -> VisionError:
    """A Content-Encoding other than gzip, or gzip that is broken. Wording ours."""
    return VisionError(
        Code.INVALID_ARGUMENT, f"The request body cannot be read: Content-Encoding {encoding!r} is unknown or its data broken."
    )


# ---- who may call, and how often ----

_DOMAIN: Final = "googleapis.com"
_SERVICE: Final = "vision.googleapis.com"
_SEE: Final = "Expected OAuth 2 access token, login cookie or other valid authentication credential. See "
_SIGN_IN: Final = "https://developers.google.com/identity/sign-in/web/devconsole-project."


def api_key_missing() -> VisionError:
    """No credentials at all, where a key would do. Recorded on other Google APIs."""
    return VisionError(Code.PERMISSION_DENIED, "The request is missing a valid API key.")


def credentials_missing(method: str) -> VisionError:
    """No credentials at all, where only a token will do. Recorded."""
    message = f"Request is missing required authentication credential. {_SEE}{_SIGN_IN}"
    return VisionError(Code.UNAUTHENTICATED, message, _reason("CREDENTIALS_MISSING", method=method))


def credentials_invalid(method: str, reason: str) -> VisionError:
    """A token that is refused; reason is ACCESS_TOKEN_EXPIRED or ACCESS_TOKEN_TYPE_UNSUPPORTED. Recorded."""
    message = f"Request had invalid authentication credentials. {_SEE}{_SIGN_IN}"
    return VisionError(Code.UNAUTHENTICATED, message, _reason(reason, method=method))


def api_keys_unsupported(method: str) -> VisionError:
    """A key, where only a token will do. Documented; text recorded on other Google APIs."""
    message = (
        "API keys are not supported by this API. Expected OAuth2 access token or other authentication credentials that assert a "
        "principal. See https://cloud.google.com/docs/authentication"
    )
    return VisionError(Code.UNAUTHENTICATED, message, _reason("CREDENTIALS_MISSING", method=method))


def api_key_invalid() -> VisionError:
    """A key that is none. Recorded."""
    message = "API key not valid. Please pass a valid API key."
    return VisionError(Code.INVALID_ARGUMENT, message, _reason("API_KEY_INVALID"), LocalizedMessage(locale="en-US", message=message))


def api_key_blocked(method: str) -> VisionError:
    """A key that may not call this API. Recorded."""
    message = f"Requests to this API {_SERVICE} method {method} are blocked."
    return VisionError(Code.PERMISSION_DENIED, message, _reason("API_KEY_SERVICE_BLOCKED", method=method))


def quota_exceeded(project: str, calls_per_minute: int) -> VisionError:
    """More calls in a minute than the quota. The pattern and its details are recorded on other Google APIs."""
    quota = "quota metric 'Requests' and limit 'Requests per minute'"
    message = f"Quota exceeded for {quota} of service '{_SERVICE}' for consumer 'project_number:{project}'."
    reason = _reason(
        "RATE_LIMIT_EXCEEDED",
        consumer=f"projects/{project}",
        quota_limit="RequestsPerMinutePerProject",
        quota_limit_value=str(calls_per_minute),
        quota_location="global",
        quota_metric=f"{_SERVICE}/requests",
    )
    link: Any = Help.Link(description="Request a higher quota limit.", url="https://cloud.google.com/docs/quotas/help/request_increase")
    return VisionError(Code.RESOURCE_EXHAUSTED, message, reason, Help(links=[link]))


def service_disabled(project: str) -> VisionError:
    """A project that has not enabled the API. Recorded."""
    url = f"https://console.developers.google.com/apis/api/{_SERVICE}/overview?project={project}"
    message = (
        f"Cloud Vision API has not been used in project {project} before or it is disabled. Enable it by visiting {url} then retry. If you "
        "enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    )
    link: Any = Help.Link(description="Google developers console API activation", url=url)
    return VisionError(Code.PERMISSION_DENIED, message, Help(links=[link]), _reason("SERVICE_DISABLED", consumer=f"projects/{project}"))


def _reason(reason: str, **metadata: str) -> ErrorInfo:
    """Why a call was refused, for programs."""
    return ErrorInfo(reason=reason, domain=_DOMAIN, metadata={**metadata, "service": _SERVICE})


# ---- whole requests ----


def image_and_features_required() -> VisionError:
    """A request element lacks its image, its image's source, or its features. Recorded."""
    return VisionError(Code.INVALID_ARGUMENT, "Request must specify image and features.")


def too_many_images() -> VisionError:
    """More than 16 images in one online call. Recorded, without the question of a final dot."""
    return VisionError(Code.INVALID_ARGUMENT, "Too many images per request")


def too_many_images_in_batch(count: int) -> VisionError:
    """More than 2000 images in one offline batch. Documented; wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Too many images per request: {count}. The limit is {limits.IMAGES_PER_BATCH_MAX}.")


def batch_is_empty() -> VisionError:
    """An offline batch without a single image. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, "Request must contain at least one image.")


def unsupported_feature(number: int) -> VisionError:
    """A feature type that is unset or unknown. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Unsupported feature type: {number}.")


def output_uri_required() -> VisionError:
    """An offline batch that does not say where its results go. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, "Request must specify output_config.gcs_destination.uri.")


def output_uri_malformed(uri: str) -> VisionError:
    """An output location that is no gs:// URI. Wording after the recorded per-image text of input URIs."""
    return VisionError(Code.INVALID_ARGUMENT, f"Invalid GCS path specified: {_shown(uri)}")


def batch_size_out_of_range(batch_size: int) -> VisionError:
    """output_config.batch_size outside 1..100. Documented; wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Invalid batch_size: {batch_size}. It must be between 1 and {limits.BATCH_SIZE_MAX}.")


def offline_image_must_be_in_storage() -> VisionError:
    """Inline content, or a URI that is not gs://, in an offline batch. The refusal is recorded; wording ours."""
    return VisionError(
        Code.INVALID_ARGUMENT, "Only images in Google Cloud Storage (gs:// URIs) are supported in asynchronous batch requests."
    )


def parent_malformed(parent: str) -> VisionError:
    """A parent that names neither a project nor a project's location. Wording ours."""
    return VisionError(
        Code.INVALID_ARGUMENT, f"Invalid parent: {_shown(parent)}. Expected projects/PROJECT or projects/PROJECT/locations/LOCATION."
    )


def location_unsupported(parent: str) -> VisionError:
    """A parent in a location that annotates nothing. Documented (product search has other locations); wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Invalid parent: {_shown(parent)}. Supported locations are us, eu and asia.")


def unsupported_model(model: str) -> VisionError:
    """A Feature.model that no documentation names. Whether the real service minds is not known; wording ours."""
    return VisionError(
        Code.INVALID_ARGUMENT,
        f"Unsupported model: {model[:100]!r}. Supported are builtin/stable, builtin/latest, builtin/weekly, builtin/rc and builtin/legacy.",
    )


def label_malformed(key: str, value: str) -> VisionError:
    """An entry of a request's labels map that breaks the documented rules. Wording ours."""
    return VisionError(
        Code.INVALID_ARGUMENT,
        f"Invalid label {key[:100]!r}: {value[:100]!r}. Keys and values have at most {limits.REQUEST_LABEL_CHARS_MAX} characters: "
        "lowercase letters, digits, underscores and dashes; keys start with a letter.",
    )


# ---- files of pages ----


def too_many_files(count: int) -> VisionError:
    """More than one file in one online call. Documented; wording ours, after the one of images."""
    return VisionError(Code.INVALID_ARGUMENT, f"Too many files per request: {count}. The limit is {limits.FILES_PER_CALL_MAX}.")


def files_are_none() -> VisionError:
    """An offline batch without a single file. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, "Request must contain at least one file.")


def file_and_features_required() -> VisionError:
    """A request element lacks its file, its file's source, or its features. Wording ours, after the recorded one of images."""
    return VisionError(Code.INVALID_ARGUMENT, "Request must specify input_config and features.")


def mime_type_unsupported(mime_type: str) -> VisionError:
    """input_config.mime_type is missing or none of the three. Documented; wording ours."""
    return VisionError(
        Code.INVALID_ARGUMENT,
        f"Unsupported mime_type: {mime_type[:100]!r}. Supported are application/pdf, image/tiff and image/gif.",
    )


def too_many_pages_asked(count: int) -> VisionError:
    """More than five pages asked of one online call. Documented; wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Too many pages per request: {count}. The limit is {limits.PAGES_PER_CALL_MAX}.")


def page_number_zero() -> VisionError:
    """A page number 0: pages are counted from 1, or from -1 backwards. Documented; wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, "Invalid page number: 0. Pages are counted from 1, and from -1 backwards.")


def page_beyond_end(number: int, count: int) -> VisionError:
    """A page that the file does not have: the error of that page's slot, so that the others are answered. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Invalid page number: {number}. The file has {count} page{'s' * (count != 1)}.")


def offline_file_must_be_in_storage() -> VisionError:
    """Inline content, or a URI that is not gs://, in an offline batch of files. Documented; wording ours."""
    return VisionError(
        Code.INVALID_ARGUMENT, "Only files in Google Cloud Storage (gs:// URIs) are supported in asynchronous batch requests."
    )


def file_broken(kind: str, uri: str) -> VisionError:
    """A file that is not what its mime_type says, or is cut off. Recorded for PDF as an operation's error, its code unknown."""
    return VisionError(Code.INVALID_ARGUMENT, f"Error in extracting images from {kind} file{f' {_shown(uri)}' if uri else ''}")


def file_locked(uri: str) -> VisionError:
    """A PDF that opens only with a password. Wording ours, behind the recorded one of broken files."""
    return VisionError(Code.INVALID_ARGUMENT, f"{file_broken('PDF', uri).message}: it is protected by a password.")


def page_unfinished(uri: str) -> VisionError:
    """A page that takes more time or memory than it may. Recorded for one page that timed out, with the name of a temporary file."""
    return VisionError(Code.DEADLINE_EXCEEDED, f"Error reading file: {_shown(uri) or 'inline content'}.")


def file_too_many_pages(uri: str, count: int) -> VisionError:
    """More than 2000 pages in a file of an offline batch. Documented; wording ours."""
    return VisionError(
        Code.INVALID_ARGUMENT, f"Too many pages: {_shown(uri)} has {count}. The limit is {limits.PAGES_PER_FILE_MAX} pages per file."
    )


def file_too_many_bytes(uri: str) -> VisionError:
    """More than 1 GB. Documented; wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"File size of {_shown(uri)} exceeds the limit: {limits.FILE_BYTES_MAX} bytes.")


def file_too_large(uri: str) -> VisionError:
    """Frames of more pixels, each or together, than are decoded. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"The frames of the file{f' {_shown(uri)}' if uri else ''} are too large.")


# ---- one image ----


def bad_image_data() -> VisionError:
    """Bytes that no decoder takes. Recorded."""
    return VisionError(Code.INVALID_ARGUMENT, "Bad image data.")


def document_is_no_image() -> VisionError:
    """A PDF sent as an image. The code is recorded; of the wording the first two sentences, for other faults of that code."""
    return VisionError(
        Code.INTERNAL, "Internal server error. Error processing features. A PDF is no image: send it to files:annotate, page by page."
    )


def image_too_many_pixels() -> VisionError:
    """More than 75 megapixels. Recorded."""
    return VisionError(Code.INVALID_ARGUMENT, "Image too large. Please limit to 75 megapixels.")


def image_too_many_bytes() -> VisionError:
    """More than 20 MB. Documented; wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Image size exceeds the limit: {limits.IMAGE_BYTES_MAX} bytes.")


def object_missing(uri: str) -> VisionError:
    """No such object in an existing bucket. Recorded."""
    return VisionError(Code.NOT_FOUND, f"Error opening file: {_shown(uri)}.")


def object_unreadable(uri: str) -> VisionError:
    """No permission, or no such bucket. Recorded."""
    return VisionError(Code.PERMISSION_DENIED, f"Error opening file: {_shown(uri)}.")


def gcs_path_malformed(uri: str) -> VisionError:
    """A gcs_image_uri that is no gs:// URI. Recorded."""
    return VisionError(Code.INVALID_ARGUMENT, f"Invalid GCS path specified: {_shown(uri)}")


def url_not_accessible() -> VisionError:
    """An http(s) image that cannot be fetched. Recorded."""
    return VisionError(
        Code.INVALID_ARGUMENT,
        "The URL does not appear to be accessible by us. Please double check or download the content and pass it in.",
    )


def url_unavailable() -> VisionError:
    """An http(s) image whose server fails, or takes too long. Recorded; its code was 13, 4 and 14 over the years, 14 the newest."""
    return VisionError(Code.UNAVAILABLE, "We can not access the URL currently. Please download the content and pass it in.")


def storage_unavailable(uri: str) -> VisionError:
    """The storage behind a gs:// URI does not answer. Wording ours, after the recorded texts of unreachable URLs."""
    return VisionError(Code.UNAVAILABLE, f"Error opening file: {_shown(uri)}. The storage is not reachable currently.")


def unsupported_language(code: str) -> VisionError:
    """A language hint that is none of the documented languages. The refusal is documented; wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Unsupported language hint: {code[:100]!r}.")


def features_failed() -> VisionError:
    """An annotator failed on this image; its traceback is in the log. Recorded."""
    return VisionError(Code.INTERNAL, "Internal server error. Error processing features.")


def annotator_unavailable() -> VisionError:
    """Another server that was to answer for this image did not; why is in the log. Wording ours."""
    return VisionError(Code.UNAVAILABLE, "The server that annotates is currently unavailable. Please try again later.")


def elsewhere(code: Code, message: str) -> VisionError:
    """What another server that was asked refused: code and text are its own."""
    return VisionError(code, message)


def features_late() -> VisionError:
    """An annotator took too long over this image. Code 4 is recorded for images that timed out; wording ours."""
    return VisionError(Code.DEADLINE_EXCEEDED, "Deadline exceeded. Error processing features.")


def given(code: Code, message: str) -> VisionError:
    """The error that a user gave as the answer to an image: code and text are theirs."""
    return VisionError(code, message)


# ---- operations ----


def output_not_writable(uri: str) -> VisionError:
    """An operation whose results cannot be written. Recorded."""
    return VisionError(Code.PERMISSION_DENIED, f"Error writing final output to: {_shown(uri)}")


def operation_not_found(name: str) -> VisionError:
    """No operation of this name. Clients look for "Not found" in this case of letters; the rest is wording ours."""
    return VisionError(Code.NOT_FOUND, f"Not found: operation {_shown(name)}")


def too_many_operations() -> VisionError:
    """So much unfinished work that no more is taken. Wording ours: the real service queues."""
    return VisionError(Code.RESOURCE_EXHAUSTED, f"{limits.OPERATIONS_KEPT_MAX} operations are unfinished already. Cancel some, or wait.")


def operation_not_kept(reason: str) -> VisionError:
    """An operation that the data directory does not take. Wording ours: the real service has no such directory."""
    return VisionError(Code.UNAVAILABLE, f"The operation was not begun, since it cannot be kept: {reason}.")


def output_storage_full(uri: str) -> VisionError:
    """An operation whose results find no room. Wording ours: the real storage is never full."""
    return VisionError(Code.RESOURCE_EXHAUSTED, f"Error writing final output to: {_shown(uri)}. The storage is full.")


def operation_cancelled() -> VisionError:
    """What an operation that was cancelled ends with. Documented; wording ours."""
    return VisionError(Code.CANCELLED, "The operation was cancelled.")


def operation_name_malformed(name: str) -> VisionError:
    """A name that is none of the four forms. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Invalid operation name: {_shown(name)}.")


def operations_filter_malformed(text: str) -> VisionError:
    """A ListOperations.filter beyond done:true and done:false. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Invalid filter: {_shown(text)}. Use done:true or done:false.")


def page_token_malformed(token: str) -> VisionError:
    """A page_token that no list answer gave. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Invalid page_token: {_shown(token)}.")


def page_size_negative(size: int) -> VisionError:
    """A page_size below zero. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"Invalid page_size: {size}. It must not be negative.")


def pace_malformed(text: str) -> VisionError:
    """A pace, of a call's x-vision-emulator-pace for example, that says nothing. Wording ours: the real service has no paces."""
    return VisionError(
        Code.INVALID_ARGUMENT,
        f"Invalid pace: {text[:100]!r}. Use auto, instant, polls:N, seconds:S, manual or never.",
    )


# ---- fault rules ----

# What Google's APIs say when they have nothing better to say. Recorded on other Google APIs, but for the codes that no server sends.
_GENERAL: Final = {
    Code.CANCELLED: "The operation was cancelled.",
    Code.UNKNOWN: "Unknown Error.",
    Code.INVALID_ARGUMENT: "Request contains an invalid argument.",
    Code.DEADLINE_EXCEEDED: "Deadline expired before operation could complete.",
    Code.NOT_FOUND: "Requested entity was not found.",
    Code.ALREADY_EXISTS: "Requested entity already exists",
    Code.PERMISSION_DENIED: "The caller does not have permission",
    Code.RESOURCE_EXHAUSTED: "Resource has been exhausted (e.g. check quota).",
    Code.FAILED_PRECONDITION: "Precondition check failed.",
    Code.ABORTED: "The operation was aborted.",
    Code.OUT_OF_RANGE: "Client specified an invalid range.",
    Code.UNIMPLEMENTED: "Operation is not implemented, or supported, or enabled.",
    Code.INTERNAL: "Internal error encountered.",
    Code.UNAVAILABLE: "The service is currently unavailable.",
    Code.DATA_LOSS: "Unrecoverable data loss or data corruption.",
    Code.UNAUTHENTICATED: "Request had invalid authentication credentials.",
}


def by_rule(code: Code, message: str, *details: Message) -> VisionError:
    """The failure that a fault rule asks for, with the general text of its code where the rule has none."""
    return VisionError(code, message or _GENERAL[code], *details)


def connection_broken() -> VisionError:
    """A connection that a fault rule breaks, where the transport has no connection of its own to break. Wording ours."""
    return VisionError(Code.UNAVAILABLE, "Connection reset by peer")


def held_too_long() -> VisionError:
    """A call that a fault rule was still holding when the rules were reset. Wording ours."""
    return VisionError(Code.UNAVAILABLE, "The fault rules were reset while one of them was holding this call.")


def rule_unknown(rule_id: str, near: str) -> VisionError:
    """A call that asks for a fault rule which is none. Wording ours."""
    hint = f"; did you mean {near}?" if near else "; POST /_emulator/v1/faults makes one."
    return VisionError(Code.INVALID_ARGUMENT, f"x-vision-emulator-rule names no fault rule: {rule_id[:100]!r}{hint}")


def retry_test_unknown(test: str) -> VisionError:
    """A call that belongs to a retry test which is none. Wording ours."""
    return VisionError(Code.NOT_FOUND, f"x-retry-test-id names no retry test: {test[:100]!r}; POST /retry_test makes one.")


def instructions_unknown(reason: str) -> VisionError:
    """Test instructions of a call that mean nothing. Wording ours."""
    return VisionError(Code.INVALID_ARGUMENT, f"x-goog-emulator-instructions: {reason}")
