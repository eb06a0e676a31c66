"""Sets of output files for whoever writes a parser of them: made by the emulator's own batch, good ones and deliberately awkward ones,
and checked, wherever they lie.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from vision_emulator.app import core
from vision_emulator.config import Config
from vision_emulator.contract import codec, errors, limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import AnnotateFileResponse, BatchAnnotateImagesResponse, Operation
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, SystemClock
from vision_emulator.control.faults import ImageError, Images, Rule
from vision_emulator.core.outputs import FILE_BYTES_MAX, NAME, OCTETS, Expected, NoOutput, Outputs
from vision_emulator.storage import SCHEME, BucketMissing, GcsUri, ObjectTooLarge, Storage, StorageError
from vision_emulator.written import suggestion

BUCKET: Final = "made-by-output-kit"  # where a set lies before it is written to where it was wanted
PAGES_AWKWARD: Final = 23  # of most awkward sets: twelve files of two, so that the names' order is not the numbers'
PAGE_WORDS: Final = 40  # on each page: documents have something on all of theirs
OBJECTS_MAX: Final = 100_000  # under a prefix that is checked; ours


class NoSet(Exception):
    """A set cannot be read or made; the text says why and what would do."""


# ---- check ----


async def check(source: str, config: Config, expected: Expected) -> Outputs:
    """A look at the output files in a folder or under a gs:// prefix; NoSet when there are none or they cannot be read."""
    outputs = Outputs(expected)
    try:
        async with _opened(source, config) as (types, read):
            for name in outputs.names(list(types)):
                data = await read(name)
                await asyncio.to_thread(outputs.look, name, data, types[name])
    except NoOutput as none:
        raise NoSet(f"{source}: {none}") from none
    return outputs


@asynccontextmanager
async def _opened(source: str, config: Config) -> AsyncIterator[tuple[Mapping[str, str], Callable[[str], Any]]]:
    """The names under a prefix with their content types, in listing order, and a way to read one."""
    if not source.startswith(SCHEME):
        folder = Path(source)
        names = await asyncio.to_thread(_names_in, folder)

        async def read_file(name: str) -> bytes:
            path = folder / name
            try:
                if path.stat().st_size > FILE_BYTES_MAX:
                    raise NoSet(f"{path} has more than {FILE_BYTES_MAX} bytes")
                return await asyncio.to_thread(path.read_bytes)
            except OSError as failure:
                raise NoSet(f"{path}: {failure.strerror}") from failure

        yield dict.fromkeys(names, ""), read_file
        return
    async with _storage(source, config) as (storage, where):
        try:
            bucket = await storage.bucket(where.bucket)
            types: dict[str, str] = {}
            async for info in bucket.list(where.object):
                types[info.name] = info.content_type
                if len(types) > OBJECTS_MAX:
                    raise NoSet(f"{source}: more than {OBJECTS_MAX} objects; name a longer prefix")

            async def read_object(name: str) -> bytes:
                try:
                    return await bucket.read(name, FILE_BYTES_MAX)
                except ObjectTooLarge:
                    raise NoSet(f"{SCHEME}{where.bucket}/{name} has more than {FILE_BYTES_MAX} bytes") from None

            yield types, read_object
        except StorageError as failure:
            raise _refusal(source, failure) from failure


def _names_in(folder: Path) -> list[str]:
    """All files below a folder, by their names from there with slashes, in the order in which Cloud Storage lists."""

    def failed(failure: OSError) -> None:
        raise NoSet(f"{failure.filename}: {failure.strerror}") from failure

    names = []
    for place, _, files in os.walk(folder, onerror=failed):
        names += [Path(place, name).relative_to(folder).as_posix() for name in files]
        if len(names) > OBJECTS_MAX:
            raise NoSet(f"{folder}: more than {OBJECTS_MAX} files")
    return sorted(names)


@asynccontextmanager
async def _storage(uri: str, config: Config) -> AsyncIterator[tuple[Storage, GcsUri]]:
    """The configured storage and a place in it."""
    try:
        where = GcsUri.parse(uri)
    except ValueError as malformed:
        raise NoSet(str(malformed)) from malformed
    if config.storage is None and config.buckets is None:
        raise NoSet(f"{uri}: where is this bucket? Name --storage URL (a running emulator's will do) or --buckets FOLDER")
    plain = replace(config, annotators=("synthetic",), annotator=(), settings={}, fixtures=(), shipped_fixtures=False)
    async with core(plain, SystemClock(), Chance()) as (_, storage):
        yield storage, where


def _refusal(place: str, failure: StorageError) -> NoSet:
    return NoSet(f"{place}: there is no bucket {failure}" if isinstance(failure, BucketMissing) else f"{place}: {failure}")


# ---- make ----


@dataclass(frozen=True, slots=True)
class Plan:
    """A set to be made; unset is what suits."""

    pages: int | None = None
    images: int | None = None
    batch_size: int | None = None
    errors: tuple[int, ...] | None = None  # the images or pages, from 1, whose slot has an error
    input: str = ""  # gs:// URI of the document, or the prefix of the images
    features: tuple[str, ...] = ()
    seed: int = 0
    density: int | None = None
    scripts: tuple[str, ...] = ()
    side: int = 160  # pixels; of the images

    @property
    def count(self) -> int:
        """Of images or pages."""
        counts = (self.images, self.pages, PAGES_AWKWARD)
        return next(count for count in counts if count is not None)

    def over(self, other: Plan) -> Plan:
        """This plan, where something is unset as the other says."""
        counted = other if self.pages is None and self.images is None else self
        return replace(
            other,
            pages=counted.pages,
            images=counted.images,
            batch_size=other.batch_size if self.batch_size is None else self.batch_size,
            errors=other.errors if self.errors is None else self.errors,
            input=self.input,
            features=self.features or other.features,
            seed=self.seed,
        )


@dataclass(slots=True)
class Made:
    """A set: contents by name in listing order, and the content type of its objects."""

    files: dict[str, bytes]
    content_type: str = OCTETS
    empty: list[str] = field(default_factory=list)  # objects without content; "" is the marker of the folder itself


async def make(plan: Plan) -> Made:
    """The set that the emulator writes for such a batch; NoSet."""
    _check(plan)
    settings: dict[str, Any] = {"synthetic": {"scripts": plan.scripts}} if plan.scripts else {}
    uri = plan.input or ("gs://inputs/" if plan.images else "gs://inputs/document.pdf")
    try:
        where = GcsUri.parse(uri)
        config = Config(
            bucket=tuple({where.bucket, BUCKET}),
            annotators=("synthetic",),
            seed=plan.seed,
            synthetic_density=plan.density or (None if plan.images else PAGE_WORDS),
            pace="instant",
            settings=settings,
        )
        async with core(config, SystemClock(), Chance(plan.seed)) as (vision, storage):
            method, request = await (_images if plan.images else _pages)(plan, storage, where)
            if plan.errors and not plan.images:
                late = errors.page_unfinished(uri)
                rule = Rule(script=(ImageError(code=late.code, message=late.message),), image=Images(index=_places(plan)), times=None)
                vision.faults.add(rule)
            operation = await vision.call(Call(METHODS[f"/google.cloud.vision.v1.ImageAnnotator/{method}"], request, {}))
            assert isinstance(operation, Operation)
            if operation.HasField("error"):
                raise NoSet(operation.error.message)
            bucket = await storage.bucket(BUCKET)
            prefix = "made/"
            names = [info.name async for info in bucket.list(prefix)]
            return Made({name.removeprefix(prefix): await bucket.read(name) for name in names})
    except (ValueError, StorageError) as malformed:
        raise NoSet(f"--input {uri}: {malformed}") from malformed
    except VisionError as refusal:
        raise NoSet(refusal.message) from refusal


def _check(plan: Plan) -> None:
    most = limits.IMAGES_PER_BATCH_MAX if plan.images else limits.PAGES_PER_FILE_MAX
    if not 1 <= plan.count <= most:
        raise NoSet(f"{plan.count} is out of range; an offline batch has 1 to {most}")
    if plan.batch_size is not None and not 1 <= plan.batch_size <= limits.BATCH_SIZE_MAX:
        raise NoSet(f"--batch-size {plan.batch_size} is out of range; use 1 to {limits.BATCH_SIZE_MAX}")
    for number in plan.errors or ():
        if not 1 <= number <= plan.count:
            raise NoSet(f"--errors {number} is none of them; use 1 to {plan.count}")


def _places(plan: Plan) -> tuple[int, ...]:
    return tuple(number - 1 for number in plan.errors or ())


def _output(plan: Plan) -> dict[str, Any]:
    return {"gcs_destination": {"uri": f"{SCHEME}{BUCKET}/made/"}, "batch_size": plan.batch_size or 0}


async def _images(plan: Plan, storage: Storage, where: GcsUri) -> tuple[str, Any]:
    """The batch of as many drawn images; those that shall fail are not there."""
    bucket = await storage.bucket(where.bucket)
    missing = frozenset(plan.errors or ())
    features = [{"type": name} for name in plan.features or ("LABEL_DETECTION", "TEXT_DETECTION")]
    elements = []
    for number in range(1, plan.count + 1):
        name = f"{where.object}image-{number:04}.png"
        if number not in missing:
            await bucket.write(name, await asyncio.to_thread(_drawn, number, plan.side), "image/png")
        elements.append({"image": {"source": {"image_uri": f"{SCHEME}{where.bucket}/{name}"}}, "features": features})
    method = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
    return method.name, method.request(requests=elements, output_config=_output(plan))


async def _pages(plan: Plan, storage: Storage, where: GcsUri) -> tuple[str, Any]:
    """The batch of one document of as many pages."""
    bucket = await storage.bucket(where.bucket)
    await bucket.write(where.object, _document(plan.count), "application/pdf")
    element = {
        "input_config": {"gcs_source": {"uri": str(where)}, "mime_type": "application/pdf"},
        "features": [{"type": name} for name in plan.features or ("DOCUMENT_TEXT_DETECTION",)],
        "output_config": _output(plan),
    }
    method = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateFiles"]
    return method.name, method.request(requests=[element])


def _drawn(number: int, side: int) -> bytes:
    """A picture of two colours, others for each number."""
    from PIL import Image

    image = Image.new("RGB", (side, max(1, side * 3 // 4)), (number * 53 % 256, number * 97 % 256, number * 151 % 256))
    image.paste((255 - number * 53 % 256, 128, number * 31 % 256), (0, 0, side // 2, side // 3))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _document(count: int) -> bytes:
    """A PDF of so many empty pages in Letter format."""
    pages = [f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<<>>/Note({number})>>" for number in range(1, count + 1)]
    kids = " ".join(f"{number} 0 R" for number in range(3, count + 3))
    text, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Count {count}/Kids[{kids}]>>", *pages], 1):
        offsets.append(len(text))
        text += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(offsets) + 1
    return (
        f"{text}xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{len(text)}\n%%EOF\n".encode()
    )


# ---- deliberately awkward ----

Damage = Callable[[Made], None]


class Awkward(NamedTuple):
    """A set that consumers trip over: what it is like, from which good one it is made, and what is done to that."""

    description: str
    plan: Plan = Plan(pages=PAGES_AWKWARD, batch_size=2)
    damage: Damage | None = None  # None: the emulator itself, or the real service, writes such
    beside: Plan | None = None  # a second run, whose files are there, too


def _middle(made: Made) -> str:
    """A file that is neither the first nor the last."""
    names = _by_number(made)
    return names[len(names) // 2]


def _by_number(made: Made) -> list[str]:
    def first(name: str) -> int:
        found = NAME.fullmatch(name)
        assert found is not None
        return int(found["first"])

    return sorted(made.files, key=first)


def _rewritten(change: Callable[[Any], None], every: bool = False) -> Damage:
    """A change of the JSON of one file, or of each."""

    def damage(made: Made) -> None:
        for name in list(made.files) if every else [_middle(made)]:
            value = json.loads(made.files[name])
            change(value)
            made.files[name] = codec.dump_json(value)

    return damage


def _swap(value: Any) -> None:
    value["responses"].reverse()


def _drop_last_response(value: Any) -> None:
    value["responses"].pop()


def _add_unknown_key(value: Any) -> None:
    value["responses"][0]["modelVersion"] = "builtin/stable"


def _add_empty_errors(value: Any) -> None:
    for response in value["responses"]:
        response.setdefault("error", {})


def _drop_contexts_of_errors(value: Any) -> None:
    for response in value["responses"]:
        if "error" in response:
            del response["context"]


def _write_zeros(value: Any) -> None:
    """Puts the coordinates of 0 back that are left out."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key in ("vertices", "normalizedVertices"):
                for vertex in member:
                    vertex.update({"x": vertex.get("x", 0), "y": vertex.get("y", 0)})
            else:
                _write_zeros(member)
    elif isinstance(value, list):
        for member in value:
            _write_zeros(member)


def _forget_the_input(value: Any) -> None:
    """Makes a file of pages look like one of images."""
    del value["inputConfig"]
    for response in value["responses"]:
        del response["context"]["pageNumber"]


def _remove_last(made: Made) -> None:
    del made.files[_by_number(made)[-1]]


def _remove_middle(made: Made) -> None:
    del made.files[_middle(made)]


def _cut(made: Made) -> None:
    name = _middle(made)
    made.files[name] = made.files[name][: len(made.files[name]) * 2 // 3]


def _mark(made: Made) -> None:
    made.files |= {name: b"\xef\xbb\xbf" + data for name, data in made.files.items()}


def _number_enums(made: Made) -> None:
    for name, data in made.files.items():
        made.files[name] = codec.encode(_message(data), enum_numbers=True)


def _indent(made: Made) -> None:
    for name, data in made.files.items():
        made.files[name] = codec.encode(_message(data), pretty=True)


def _message(data: bytes) -> Any:
    return codec.decode(AnnotateFileResponse if b'"inputConfig"' in data else BatchAnnotateImagesResponse, data)


def _as_json(made: Made) -> None:
    made.content_type = "application/json"


def _add_marker(made: Made) -> None:
    made.empty.append("")


_FEW: Final = Plan(images=6, batch_size=2)
_WITH_ERRORS: Final = Plan(images=7, batch_size=3, errors=(2, 4, 7))
AWKWARD: Final = {
    "listing-order": Awkward("twelve files: listed by name, 11-to-12 comes before 3-to-4"),
    "zero-coordinates": Awkward("corners at 0 have no x or no y, or neither", replace(_FEW, features=("CROP_HINTS",))),
    "empty-responses": Awkward(
        "nothing was found: slots have their context and nothing else", replace(_FEW, features=("FACE_DETECTION",), side=1)
    ),
    "errors": Awkward("some slots have an error, and their context all the same", _WITH_ERRORS),
    "unicode": Awkward(
        "text from right to left, without spaces, beyond 16 bits, and of several characters for what is seen as one",
        Plan(images=4, batch_size=2, features=("DOCUMENT_TEXT_DETECTION",), scripts=("arabic", "hebrew", "cjk", "emoji", "combining")),
    ),
    "huge": Awkward(
        "a file of many megabytes",
        Plan(images=3, batch_size=3, features=("DOCUMENT_TEXT_DETECTION", "FACE_DETECTION"), density=4000, side=640),
    ),
    "folder-marker": Awkward("an object without content stands for the folder among the files", _FEW, _add_marker),
    "leftovers": Awkward(
        "files of an earlier run with another batch size lie among those of the last", _FEW, beside=replace(_FEW, batch_size=4)
    ),
    "missing-last": Awkward("the last file is missing, which only lint-output --count can see", damage=_remove_last),
    "gap": Awkward("a file in the middle is missing", damage=_remove_middle),
    "fewer-responses": Awkward("a file holds fewer responses than its name says", damage=_rewritten(_drop_last_response)),
    "wrong-order": Awkward("the pages of a file stand the other way round", damage=_rewritten(_swap)),
    "mixed-forms": Awkward("one file of pages looks like one of images", damage=_rewritten(_forget_the_input)),
    "no-context": Awkward("slots with an error do not say whose they are", _WITH_ERRORS, _rewritten(_drop_contexts_of_errors, every=True)),
    "empty-errors": Awkward(
        "every slot has an error, which is empty where nothing failed", _FEW, _rewritten(_add_empty_errors, every=True)
    ),
    "unknown-key": Awkward(
        "a response has a key that the API does not know, as a newer version's might", _FEW, _rewritten(_add_unknown_key)
    ),
    "enum-numbers": Awkward("enums are numbers, not names", damage=_number_enums),
    "zero-values": Awkward("corners at 0 do have x and y", replace(_FEW, features=("CROP_HINTS",)), _rewritten(_write_zeros, every=True)),
    "truncated": Awkward("a file ends in the middle", damage=_cut),
    "byte-order-mark": Awkward("files start with a byte order mark", _FEW, _mark),
    "indented": Awkward("files are indented, not one line", _FEW, _indent),
    "content-type": Awkward("objects are application/json; only where a storage knows", _FEW, _as_json),
}


def named(names: Sequence[str], output: str) -> dict[str, Awkward]:
    """The awkward sets of these names, ``all`` for every one that there can be where they are to be written; NoSet."""
    chosen: dict[str, Awkward] = {}
    for name in names:
        if name == "all":
            chosen |= {each: awkward for each, awkward in AWKWARD.items() if each != "content-type" or output.startswith(SCHEME)}
        elif name in AWKWARD:
            chosen[name] = AWKWARD[name]
        else:
            raise NoSet(f"--awkward {name} is none; {suggestion(name, AWKWARD, '--list-awkward names them')}")
    return chosen


async def make_awkward(awkward: Awkward, plan: Plan) -> Made:
    """The awkward set, with the counts of ``plan`` where it has some; NoSet."""
    made = await make(plan.over(awkward.plan))
    if awkward.beside is not None:
        made.files |= (await make(replace(plan, batch_size=None).over(awkward.beside))).files
    if awkward.damage is not None:
        awkward.damage(made)
    return made


# ---- write ----


async def write(made: Made, output: str, config: Config) -> None:
    """Puts the set under a gs:// prefix or into a folder, where no output files may be yet; NoSet."""
    if not output.startswith(SCHEME):
        await asyncio.to_thread(_write_folder, made, Path(output))
        return
    async with _storage(output, config) as (storage, where):
        try:
            bucket = await storage.bucket(where.bucket)
            async for info in bucket.list(where.object):
                if NAME.fullmatch(info.name):
                    raise NoSet(f"{output}: {info.name} is there already; a set mixed with another is no set")
            for name, data in made.files.items():
                await bucket.write(where.object + name, data, made.content_type)
            for name in made.empty:
                await bucket.write((where.object + name).rstrip("/") + "/", b"", made.content_type)
        except StorageError as failure:
            raise _refusal(output, failure) from failure


def _write_folder(made: Made, folder: Path) -> None:
    if made.content_type != OCTETS:
        raise NoSet(f"{folder}: files in a folder have no content type; write this set to gs://, with --storage or --buckets")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in sorted(path.name for path in folder.iterdir()):
            if NAME.fullmatch(name):
                raise NoSet(f"{folder / name} is there already; a set mixed with another is no set")
        for name, data in made.files.items():
            (folder / name).write_bytes(data)
        for name in made.empty:
            (folder / f"{name}_$folder$").touch()  # as Hadoop and its kin name the markers of folders
    except OSError as failure:
        raise NoSet(f"{failure.filename or folder}: {failure.strerror}") from failure
