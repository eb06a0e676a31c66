"""One image: read it, ask for each feature the first annotator that claims it, merge the answers; a failure becomes the image's error."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence

from vision_emulator.annotators import FIELDS_OF_FEATURE, Annotator, Inquiry, Picture
from vision_emulator.contract import errors, languages, limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import AnnotateImageRequest, AnnotateImageResponse, Feature, ImageContext
from vision_emulator.contract.methods import Call
from vision_emulator.control.clock import SystemClock
from vision_emulator.core import pictures, validate
from vision_emulator.core.strangers import Strangers
from vision_emulator.core.usage import Ledger
from vision_emulator.storage import (
    SCHEME,
    AccessDenied,
    Bucket,
    BucketMissing,
    GcsUri,
    ObjectMissing,
    ObjectTooLarge,
    Storage,
    StorageUnavailable,
    Web,
)

log = logging.getLogger(__name__)

# max_results does not apply to these (documented), or they are no list.
_UNCUT = frozenset(
    {
        Feature.TEXT_DETECTION,
        Feature.DOCUMENT_TEXT_DETECTION,
        Feature.CROP_HINTS,
        Feature.IMAGE_PROPERTIES,
        Feature.SAFE_SEARCH_DETECTION,
        Feature.PRODUCT_SEARCH,
    }
)
_IN_A_MESSAGE = frozenset({Feature.WEB_DETECTION})  # a message of lists, each cut for itself
_READING = frozenset({Feature.TEXT_DETECTION, Feature.DOCUMENT_TEXT_DETECTION})


class Reader:
    """Reads the pictures of one call or batch; each bucket is looked up once. Pictures carry who asked."""

    def __init__(self, call: Call, storage: Storage, web: Web | None, annotators: Sequence[Annotator]) -> None:
        self._headers = call.metadata
        self._project = call.project
        self._plainly = Inquiry(call.metadata, call.project)  # one for all pictures without hints
        self._storage = storage
        self._web = web
        self._annotators = annotators
        self._buckets: dict[str, Bucket] = {}
        self.hurt = call.hurt
        self.seen = call.seen

    def check(self, index: int, uri: str, picture: Picture | None = None) -> None:
        """Returns, or raises what a fault rule has for this image or page; asked before it is read, and again with it in hand."""
        if self.hurt is not None and self.hurt.images:
            self.hurt.check_image(index, uri, None if picture is None else picture.sha256)

    async def read(self, request: AnnotateImageRequest, content: bytes) -> Picture:
        """The picture a request means, whose inline bytes are ``content``; VisionError when it cannot be had.

        Inline bytes win over a source (documented; an answer of 2020 that refused both together is the only one recorded). An http(s)
        URL that an annotator knows is not fetched.
        """
        inquiry = self.inquiry(request.image_context)
        if content:
            if len(content) > limits.IMAGE_BYTES_MAX:
                raise errors.image_too_many_bytes()
            return Picture(content, inquiry=inquiry)
        uri = validate.image_uri(request)
        if request.image.source.image_uri and not uri.startswith(SCHEME):
            named = Picture(b"", uri, inquiry)
            return named if self._is_known(named) else Picture(await self._from_web(uri), uri, inquiry)
        try:
            return Picture(await self._from_storage(uri), uri, inquiry)
        except VisionError:
            named = Picture(b"", uri, inquiry)
            if self._is_known(named):
                return named
            raise

    def inquiry(self, context: ImageContext) -> Inquiry:
        """How a picture of this call is asked about."""
        hints = context.language_hints
        return Inquiry(self._headers, self._project, hints) if hints else self._plainly

    def _is_known(self, picture: Picture) -> bool:
        for annotator in self._annotators:
            try:
                if annotator.stands_in(picture):
                    return True
            except Exception:  # a plug-in's bug is this image's error here, too
                log.exception("annotator %s failed on %s", annotator.name, picture.uri)
                raise errors.features_failed() from None
        return False

    async def _from_web(self, url: str) -> bytes:
        if self._web is None:
            raise errors.url_not_accessible()
        try:
            data = await self._web.read(url, limits.IMAGE_BYTES_MAX)
        except ObjectTooLarge as large:
            raise errors.image_too_many_bytes() from large
        except StorageUnavailable as down:
            log.warning("%.200s could not be fetched: %s", url, down)
            raise errors.url_unavailable() from down
        except (AccessDenied, ObjectMissing) as refused:
            log.warning("%.200s is not fetched: %s", url, refused)
            raise errors.url_not_accessible() from refused
        if not data:
            raise errors.bad_image_data()
        return data

    async def _from_storage(self, uri: str) -> bytes:
        try:
            data = await self._stored(uri, limits.IMAGE_BYTES_MAX)
        except ObjectTooLarge as large:
            raise errors.image_too_many_bytes() from large
        if not data:
            raise errors.bad_image_data()
        return data

    async def read_file(self, uri: str) -> bytes:
        """The bytes of a file of pages in Cloud Storage; VisionError when they cannot be had."""
        try:
            return await self._stored(uri, limits.FILE_BYTES_MAX)
        except ObjectTooLarge as large:
            raise errors.file_too_many_bytes(uri) from large

    async def check_file(self, uri: str) -> None:
        """Returns when there is such a file and it may be read; VisionError as ``read_file``."""
        try:
            await self._stored(uri, 0)
        except ObjectTooLarge:
            return  # said before a byte is loaded, and only of what could be read

    async def _stored(self, uri: str, bytes_max: int) -> bytes:
        """The object's content; ObjectTooLarge, and everything else in the API's words."""
        try:
            where = GcsUri.parse(uri)
        except ValueError:
            raise errors.gcs_path_malformed(uri) from None
        try:
            bucket = self._buckets.get(where.bucket)
            if bucket is None:
                bucket = self._buckets[where.bucket] = await self._storage.bucket(where.bucket)
            return await bucket.read(where.object, bytes_max)
        except ObjectMissing as missing:
            raise errors.object_missing(uri) from missing
        except (BucketMissing, AccessDenied) as denied:
            raise errors.object_unreadable(uri) from denied
        except StorageUnavailable as down:
            log.warning("%s could not be read: %s", uri, down)
            raise errors.storage_unavailable(uri) from down


class ImageAnnotation:
    """Annotates single images with the configured annotators, in their order; without ``web`` no http(s) URL is fetched."""

    def __init__(
        self,
        storage: Storage,
        annotators: Sequence[Annotator],
        web: Web | None = None,
        timeout_seconds: float = 0,
        usage: Ledger | None = None,
    ) -> None:
        self.usage = usage or Ledger(SystemClock(), "")  # where what it does is counted
        self._storage = storage
        self._annotators = annotators
        self._witnesses = [each for each in annotators if each.trusted and type(each).witness is not Annotator.witness]
        self._strangers = Strangers(timeout_seconds)
        self._web = web

    @property
    def annotators(self) -> Sequence[Annotator]:
        """Who looks at pictures, in the order in which they are asked."""
        return self._annotators

    def reader(self, call: Call) -> Reader:
        """A fresh reader for one call or batch."""
        return Reader(call, self._storage, self._web, self._annotators)

    async def annotate(
        self, request: AnnotateImageRequest, reader: Reader, answered_by: Counter[str], index: int = 0
    ) -> AnnotateImageResponse:
        """The response for one image, its failure as the response's ``error``; counts in ``answered_by`` who answered how many features.

        ``index`` is the image's place among those of the call.
        """
        content = request.image.content  # once: it is copied each time
        uri = "" if content else validate.image_uri(request)
        try:
            reader.check(index, uri)
            picture = await reader.read(request, content)
            reader.check(index, uri, picture)
        except VisionError as failure:
            return AnnotateImageResponse(error=failure.image_status())
        response = await self.look_at(picture, request.features, request.image_context, answered_by)
        told = None if uri else pictures.seen(picture)
        if told is not None:
            reader.seen[index] = told  # so that the journal need not find out again
        return response

    async def look_at(
        self, picture: Picture, features: Sequence[Feature], context: ImageContext, answered_by: Counter[str]
    ) -> AnnotateImageResponse:
        """The same for a picture in hand, a page for example."""
        wanted = _distinct(features)
        picture.asked, picture.context = wanted, context
        response, failure = await self._ask(picture, wanted, context, answered_by)
        if failure is None:
            self.usage.count(picture.inquiry.project, [feature.type for feature in wanted])
        else:
            response.error.CopyFrom(failure.image_status())
        for witness in self._witnesses:
            witness.witness(picture, wanted, context, response)
        return response

    async def _ask(
        self,
        picture: Picture,
        wanted: Sequence[Feature],
        context: ImageContext,
        answered_by: Counter[str],
    ) -> tuple[AnnotateImageResponse, VisionError | None]:
        """Each feature is answered by the first annotator that claims it; one that nobody claims stays empty. With what was found the
        failure that ended it."""
        response: AnnotateImageResponse | None = None
        left = wanted
        try:
            _check_hints(wanted, context)
            for annotator in self._annotators:
                try:
                    if annotator.trusted and (work := annotator.prepare(picture)) is not None:
                        await work
                    claimed = [feature for feature in left if annotator.claims(picture, feature.type)]
                    if claimed:
                        answer = await self._answer(annotator, picture, claimed, context)
                        response = answer if response is None else _merged(response, answer)
                except VisionError:
                    raise
                except Exception:  # a plug-in's bug is this image's error; the server and the other images live on
                    log.exception("annotator %s failed on %s", annotator.name, picture.uri or "an inline image")
                    raise errors.features_failed() from None
                if claimed and response is not None:
                    _cut(response, claimed)
                    answered_by[annotator.name] += len(claimed)
                    if len(claimed) == len(left):
                        break
                    taken = {feature.type for feature in claimed}
                    left = [feature for feature in left if feature.type not in taken]
        except VisionError as failure:
            return response or AnnotateImageResponse(), failure
        return response or AnnotateImageResponse(), None

    def _answer(
        self, annotator: Annotator, picture: Picture, features: Sequence[Feature], context: ImageContext
    ) -> Awaitable[AnnotateImageResponse]:
        """What the annotator answers: a message of nobody else's."""
        if not annotator.trusted:
            return self._strangers.ask(annotator, picture, features, context)
        if annotator.timed:
            return self._strangers.in_time(annotator, picture, features, context)
        return annotator.annotate(picture, features, context)


def _merged(response: AnnotateImageResponse, answer: AnnotateImageResponse) -> AnnotateImageResponse:
    """With what another annotator found, except fields that one before it has filled: crop hints come with two features."""
    for field, _ in response.ListFields():
        if any(field is other for other, _ in answer.ListFields()):
            kept = AnnotateImageResponse()
            kept.CopyFrom(answer)
            kept.ClearField(field.name)
            answer = kept
    response.MergeFrom(answer)
    return response


def _distinct(features: Sequence[Feature]) -> Sequence[Feature]:
    """Each type once, with the largest max_results asked for; DOCUMENT_TEXT_DETECTION takes precedence over TEXT_DETECTION (documented)."""
    if len(features) == 1:
        return features
    by_type: dict[int, Feature] = {}
    for feature in features:
        known = by_type.get(feature.type)
        if known is None or _most(feature) > _most(known):
            by_type[feature.type] = feature
    if Feature.DOCUMENT_TEXT_DETECTION in by_type:
        by_type.pop(Feature.TEXT_DETECTION, None)
    return list(by_type.values())


def _most(feature: Feature) -> int:
    """How many results a feature may have; what is no number of results means the default."""
    return feature.max_results if feature.max_results > 0 else limits.RESULTS_DEFAULT


def _check_hints(features: Iterable[Feature], context: ImageContext) -> None:
    """Language hints are read by text detection alone, which refuses a code that it does not know (documented)."""
    hints = context.language_hints
    if hints and any(feature.type in _READING for feature in features):
        for code in hints:
            if not languages.is_hint(code):
                raise errors.unsupported_language(code)


def _cut(response: AnnotateImageResponse, features: Iterable[Feature]) -> None:
    """Cuts every list to its feature's max_results."""
    for feature in features:
        if feature.type in _UNCUT:
            continue
        most = _most(feature)
        (field,) = FIELDS_OF_FEATURE[feature.type]
        value = getattr(response, field)
        lists = [entries for _, entries in value.ListFields()] if feature.type in _IN_A_MESSAGE else [value]
        for entries in lists:
            if len(entries) > most:
                del entries[most:]
