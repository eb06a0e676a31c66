"""Who looks at the picture: the plug-in interface, the picture they get, and how they are found.

An annotator answers with a partial AnnotateImageResponse: the fields of the features it was asked for and nothing else. The core decides
who is asked (the first in the configured order that claims a feature), merges the answers, cuts lists to ``max_results`` and turns an
exception into this one image's error.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import io
import logging
import math
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol, Self

from vision_emulator.contract import limits
from vision_emulator.contract.errors import bad_image_data, document_is_no_image, image_too_many_pixels
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext
from vision_emulator.control.clock import Clock, SystemClock
from vision_emulator.written import suggestion

if TYPE_CHECKING:
    import PIL.Image

    from vision_emulator.annotators.text import Block

log = logging.getLogger(__name__)

CLOSE_SECONDS: Final = 5.0  # for one annotator to let go of what it holds; ours
ENTRY_POINTS: Final = "vision_emulator.annotators"  # the group under which packages declare their annotators

# Which fields of AnnotateImageResponse answer a feature; the same table reads it backwards for given answers.
FIELDS_OF_FEATURE: Final[dict[int, tuple[str, ...]]] = {
    Feature.FACE_DETECTION: ("face_annotations",),
    Feature.LANDMARK_DETECTION: ("landmark_annotations",),
    Feature.LOGO_DETECTION: ("logo_annotations",),
    Feature.LABEL_DETECTION: ("label_annotations",),
    Feature.TEXT_DETECTION: ("text_annotations", "full_text_annotation"),
    Feature.DOCUMENT_TEXT_DETECTION: ("text_annotations", "full_text_annotation"),
    Feature.SAFE_SEARCH_DETECTION: ("safe_search_annotation",),
    Feature.IMAGE_PROPERTIES: ("image_properties_annotation", "crop_hints_annotation"),
    Feature.CROP_HINTS: ("crop_hints_annotation",),
    Feature.WEB_DETECTION: ("web_detection",),
    Feature.PRODUCT_SEARCH: ("product_search_results",),
    Feature.OBJECT_LOCALIZATION: ("localized_object_annotations",),
}

# Decoders that may see untrusted bytes: the formats that Vision documents. Pillow would otherwise try a dozen others.
FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "ICO", "TIFF")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """How a picture was asked about; for matching only, so that a rule can be meant for one caller."""

    headers: Mapping[str, str] = field(default_factory=dict)  # of the call, HTTP's or gRPC's, names in lower case
    project: str = ""  # whose call it is; "" when nobody said
    language_hints: Sequence[str] = ()


class Picture:
    """One image as an annotator sees it: bytes in hand, never a URI to fetch. What is derived from them is computed once.

    ``data`` is empty only when a fixture answers for a URI whose bytes nobody has; ``known`` is False then.
    """

    # Of the class until they are set, since most pictures never have them.
    number: int = 0  # of a page in its document, from 1; 0 for a picture
    # What is asked of it, each feature once; set before the first annotator is.
    asked: Sequence[Feature] = ()
    context: ImageContext | None = None
    # What a page of a document says of itself, in boxes of ``size``; None for a picture, and where nothing usable is said.
    embedded_text: Sequence[Block] | None = None
    # Not cached_property: before Python 3.12 that holds one lock for all pictures while it computes.
    _header: PictureHeader | None = None
    _thumbnail: PIL.Image.Image | None = None
    _pixels: PIL.Image.Image | None = None

    def __init__(self, data: bytes, uri: str = "", inquiry: Inquiry | None = None) -> None:
        self.data = data
        self.uri = uri  # where it came from; for matching only
        self.inquiry = inquiry or Inquiry()
        self.remembered: dict[Annotator, Any] = {}  # what each annotator keeps of it from one question to the next

    @property
    def known(self) -> bool:
        """Whether there are bytes to look at."""
        return bool(self.data)

    @cached_property
    def sha256(self) -> str:
        """The hex digest of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def header(self) -> PictureHeader:
        """Format and size, read without decoding the pixels; VisionError for what is no image, cut off, or too large."""
        if self._header is None:
            with self._open() as image:
                self._header = PictureHeader(image.format or "", image.width, image.height)
        return self._header

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; VisionError as ``header``."""
        return self.header.width, self.header.height

    @property
    def thumbnail(self) -> PIL.Image.Image:
        """An RGB copy of at most 128 pixels a side, the first frame, transparency laid on white; shared by all, so leave it as it is.

        VisionError as ``header``, and when the pixels cannot be decoded to the end. CPU work: call it off the event loop.
        """
        if self._thumbnail is None:
            with self._open(2 * THUMBNAIL_SIDE) as image, _decoding():
                self._header = self._header or PictureHeader(image.format or "", image.width, image.height)
                self._thumbnail = _rgb(_shrunk(image))
        return self._thumbnail

    @property
    def pixels(self) -> PIL.Image.Image:
        """An RGB copy at full size, the first frame, transparency laid on white; a page of a PDF as it is drawn, which is larger than
        ``size``. Shared by all who look at it in one thread's turn, so leave it as it is. VisionError as ``thumbnail``; CPU work.
        """
        if self._pixels is None:
            with self._open() as image, _decoding():
                self._header = self._header or PictureHeader(image.format or "", image.width, image.height)
                image.load()
                self._pixels = _rgb(_eight_bits(image))
        return self._pixels

    def let_go(self) -> None:
        """Frees the pixels, 36 MB of a photograph; they are decoded again for who asks again."""
        self._pixels = None

    @contextmanager
    def _open(self, side_max: float = math.inf) -> Iterator[PIL.Image.Image]:  # noqa: ARG002 - a page is rendered no larger than that
        """The image with its header read. Formats are named and loaded here: Pillow would otherwise try dozens on untrusted bytes."""
        from PIL import IcoImagePlugin, Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - they register themselves

        if self.data.startswith(PDF_MARK):
            raise document_is_no_image()
        stream = io.BytesIO(self.data)
        with _decoding():
            image = Image.open(stream, formats=FORMATS)
        with image:
            if image.width * image.height > limits.IMAGE_PIXELS_MAX:
                raise image_too_many_pixels()
            mark = END_MARKS.get(image.format or "")
            if mark and self.data.rfind(mark, stream.tell()) < 0:  # from where the header ended: embedded previews have their own end
                raise bad_image_data()
            yield image


# What must stand somewhere after the header of a complete file: the end-of-image marker, which compressed pixels cannot contain.
END_MARKS: Final = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}
PDF_MARK: Final = b"%PDF-"  # at the start of a document
THUMBNAIL_SIDE: Final = 128
# What Pillow's decoders raise on broken bytes, found by feeding them such.
BROKEN: Final = (OSError, SyntaxError, ValueError, UserWarning)  # the last where the process turns warnings into errors


@contextmanager
def _decoding() -> Iterator[None]:
    """Turns what decoders raise into the image's error."""
    from PIL import Image

    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
        raise image_too_many_pixels() from bomb
    except BROKEN as broken:
        raise bad_image_data() from broken


def _shrunk(image: PIL.Image.Image) -> PIL.Image.Image:
    """The image cut down to THUMBNAIL_SIDE, 16-bit greys to 8 bits.

    A JPEG is decoded at a fraction of its size, down to half of THUMBNAIL_SIDE: that is several times as fast.
    """
    from PIL import Image

    image.draft("RGB", (THUMBNAIL_SIDE // 2, THUMBNAIL_SIDE // 2))
    coarse_first = None if image.mode.startswith("I;16") else 1.0  # Pillow has no fast reduction of 16 bits
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BILINEAR, reducing_gap=coarse_first)
    return _eight_bits(image)


def _eight_bits(image: PIL.Image.Image) -> PIL.Image.Image:
    """16-bit greys as 8 bits, anything else as it is."""
    if image.mode.startswith("I"):  # a plain convert() would cut at 255 what it should divide
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return image


def _rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    from PIL import Image

    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What the first bytes of an image say: Pillow's format name, width and height in pixels."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Held:
    """An object in a bucket, picture or not, as a listing tells of it."""

    uri: str  # gs://bucket/object
    revision: str  # another one after every change of its content or of what is said of it
    size: int  # bytes
    content_type: str = ""  # as its owner says; may be wrong
    metadata: Mapping[str, str] = field(default_factory=dict)  # its owner's own


class Library(Protocol):
    """What lies in the server's own buckets, for annotators that compare pictures."""

    def held(self) -> AsyncIterator[Held]:
        """Every object of every bucket, in code point order of their URIs."""
        ...

    async def read(self, uri: str, bytes_max: int) -> bytes | None:
        """The content of an object; None when it is gone, larger than that, or cannot be read now."""
        ...

    def url(self, uri: str) -> str:
        """Where a client can fetch the object over HTTP; the gs:// URI itself where no server runs."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server tells its annotators: the seed of invented answers, where given answers are found, threads for CPU work, the clock,
    what lies in the buckets, and to each the table of settings that bears its name."""

    seed: int = 0
    fixtures: tuple[Path, ...] = ()
    shipped_fixtures: bool = True
    threads: Executor | None = None  # one a core; None: the event loop's own
    clock: Clock = field(default_factory=SystemClock)  # of delays
    library: Library | None = None  # what lies in the buckets; None where they cannot be listed
    table: Mapping[str, Any] = field(default_factory=dict)  # what the user set for this annotator: [settings.NAME] of the TOML file


class Account(NamedTuple):
    """How a feature is computed: the end of a sentence, and whether for every picture."""

    note: str
    whole: bool


class Annotator(ABC):
    """Looks at one picture and fills in the features it knows.

    Made once per server with the settings and entered before the first call (``async with``: models load there).
    ``annotate`` may be called many times at once.
    """

    name: ClassVar[str]
    settings_known: ClassVar[frozenset[str] | None] = None  # the keys of its table; None: it looks at them itself
    trusted: ClassVar[bool] = False  # whether its answers go to clients without being looked over, as those of the emulator's own do
    timed: ClassVar[bool] = True  # whether --annotate-timeout is over it; the two that answer at once, or when they were told to, are free

    @classmethod
    def create(cls, settings: Settings) -> Self:  # noqa: ARG003 - a default for those that need no settings
        """A new one for this server; override it to read the settings. SettingsError when they cannot be used."""
        return cls()

    def ledger(self) -> Mapping[int, Account]:
        """What is to be told of the features that it really computes, by number; nothing by default."""
        return {}

    def knows(self, uri: str) -> bool:  # noqa: ARG002 - a default for those that never do
        """Whether it answers for this URI without seeing the bytes; asked only when there are none."""
        return False

    def stands_in(self, picture: Picture) -> bool:
        """Whether it knows the URI of this picture, which has no bytes, for such a call; asked before it is said to be missing."""
        return self.knows(picture.uri)

    def prepare(self, picture: Picture) -> Awaitable[None] | None:  # noqa: ARG002 - a default for those that need none
        """What is awaited before ``claims``, when it has to look at pixels to know what it claims; None when it need not. Asked only of
        those that are ``trusted``: nothing limits its time."""
        return None

    @abstractmethod
    def claims(self, picture: Picture, feature: int) -> bool:
        """Whether it answers this feature (a Feature.Type number) for this picture; the first in the order that does is asked."""

    @abstractmethod
    async def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """The answer to the features it claimed, each type once.

        VisionError is this image's own error; anything else raised is a bug of the annotator, and INTERNAL for this image.
        """

    def witness(  # noqa: B027 - a default for those that do not care
        self, picture: Picture, features: Sequence[Feature], context: ImageContext, response: AnnotateImageResponse
    ) -> None:
        """Sees what an image was answered, whoever did; called only where a ``trusted`` annotator overrides it, and must not wait."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


class UnknownAnnotator(LookupError):
    """No annotator is found under this name; the text says where it was looked for and which there are."""


class SettingsError(ValueError):
    """A setting that an annotator cannot use; the text says which, what was wrong, and what would do."""


def load(names: Sequence[str], settings: Settings, tables: Mapping[str, Mapping[str, Any]] | None = None) -> list[Annotator]:
    """New annotators in this order, each with its table of ``tables``: built-in and installed ones by name, others as ``module:Class``.

    UnknownAnnotator and SettingsError when one cannot be had or does not know what it was told.
    """
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    kinds: dict[str, type[Annotator]] = {}
    for name in names:
        kind = _imported(name) if ":" in name else _installed(name, found)
        known = kind.name if ":" in name else name
        if known in kinds:
            raise UnknownAnnotator(f"two annotators are called {known!r}: {kinds[known].__qualname__} and {kind.__qualname__}")
        kinds[known] = kind
    tables = tables or {}
    for name in tables:
        if name not in kinds:
            raise SettingsError(f"settings.{name}: no annotator of this name is asked{_hint(name, kinds)}")
    return [_created(name, kind, replace(settings, table=tables.get(name, {}))) for name, kind in kinds.items()]


def _created(name: str, kind: type[Annotator], settings: Settings) -> Annotator:
    if kind.settings_known is not None:
        for key in settings.table:
            if key not in kind.settings_known:
                raise SettingsError(f"settings.{name}.{key} is no setting{_hint(key, kind.settings_known)}")
    with _starting(name, kind):
        return kind.create(settings)


@contextmanager
def _starting(name: str, kind: type[Annotator]) -> Iterator[None]:
    """Names the annotator in what goes wrong while it starts; a stranger's exception becomes a SettingsError, its traceback logged."""
    try:
        yield
    except SettingsError as wrong:
        raise SettingsError(f"settings.{name}: {wrong}") from wrong
    except Exception as failure:
        if kind.trusted:
            raise
        log.debug("annotator %s cannot start", name, exc_info=True)
        raise SettingsError(f"annotator {name} cannot start: {type(failure).__name__}: {failure}") from failure


@asynccontextmanager
async def opened(
    names: Sequence[str], settings: Settings, tables: Mapping[str, Mapping[str, Any]] | None = None
) -> AsyncIterator[list[Annotator]]:
    """The annotators of ``load``, entered; leaving the block lets each go, and one that fails or dawdles then is logged and left."""
    annotators = load(names, settings, tables)
    entered: list[Annotator] = []
    try:
        for annotator in annotators:
            with _starting(annotator.name, type(annotator)):
                await annotator.__aenter__()
            entered.append(annotator)
        yield entered
    finally:
        for annotator in reversed(entered):
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await annotator.__aexit__(None, None, None)
            except Exception:  # a stranger's as well: the others must be let go, too
                log.exception("annotator %s did not end well", annotator.name)


def _installed(name: str, found: Mapping[str, EntryPoint]) -> type[Annotator]:
    if name not in found:
        raise UnknownAnnotator(f"no annotator is called {name!r}; installed are: {', '.join(sorted(found))}")
    try:
        kind = found[name].load()
    except Exception as failure:  # as below
        raise UnknownAnnotator(f"{name}: {found[name].value} cannot be imported: {type(failure).__name__}: {failure}") from failure
    return _checked(name, kind)


def _imported(name: str) -> type[Annotator]:
    """The class that ``module:Class`` names."""
    module_name, _, class_name = name.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{module_name}.".startswith(f"{missing.name}."):
            raise UnknownAnnotator(f"{name}: the module needs {missing.name}, which is not installed") from missing
        raise UnknownAnnotator(f"{name}: there is no module {missing.name} in the working directory or installed") from missing
    except Exception as failure:  # whatever runs when a stranger's module is imported
        raise UnknownAnnotator(f"{name}: the module cannot be imported: {type(failure).__name__}: {failure}") from failure
    if not hasattr(module, class_name):
        classes = [known for known, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__]
        raise UnknownAnnotator(f"{name}: the module has no class {class_name}{_hint(class_name, classes)}")
    return _checked(name, getattr(module, class_name))


def _checked(name: str, kind: Any) -> type[Annotator]:
    if not isinstance(kind, type) or not issubclass(kind, Annotator):
        raise UnknownAnnotator(f"{name} is no annotator: make it a subclass of vision_emulator.Annotator")
    if inspect.iscoroutinefunction(kind.claims):
        raise UnknownAnnotator(f"{name}: claims must answer at once: write it without async")
    unwritten = getattr(kind, "__abstractmethods__", ())
    if unwritten:
        raise UnknownAnnotator(f"{name} is not finished: it has no {' and no '.join(sorted(unwritten))}")
    if not isinstance(getattr(kind, "name", None), str) or not re.fullmatch(r"[\w.-]+", kind.name):
        raise UnknownAnnotator(f'{name} has no usable name: give the class one, as in name = "mine"')
    return kind


def _hint(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    return "; " + suggestion(name, known, f"there are {', '.join(known) or 'none'}")
