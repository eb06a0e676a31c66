"""Model cards: what a user says of an ONNX model in a few lines of TOML, checked before anything is looked at.

Paths in a card start at its own folder.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from vision_emulator.annotators import SettingsError
from vision_emulator.contract.messages import Feature
from vision_emulator.written import suggestion

SIDE_MAX: Final = 4096  # pixels of a model's input
LABELS_MAX: Final = 100_000
CARD_BYTES_MAX: Final = 1024 * 1024
LABELS_BYTES_MAX: Final = 16 * 1024 * 1024  # of a file of labels
METADATA_KEYS: Final = ("names", "labels", "classes")  # under which exporters put labels into a model

Side = Annotated[int, Meta(ge=1, le=SIDE_MAX)]
Share = Annotated[float, Meta(ge=0, le=1)]
Task = Literal["classification", "detection", "clip", "safe_search"]
Likelihoods = tuple[Share, Share, Share, Share]

FEATURES_OF_TASK: Final[dict[Task, tuple[int, ...]]] = {  # the first is meant when a card names none
    "classification": (Feature.LABEL_DETECTION,),
    "detection": (Feature.OBJECT_LOCALIZATION, Feature.LABEL_DETECTION, Feature.LOGO_DETECTION),
    "clip": (Feature.LABEL_DETECTION,),
    "safe_search": (Feature.SAFE_SEARCH_DETECTION,),
}
SAFE_SEARCH: Final = ("adult", "spoof", "medical", "violence", "racy")  # fields of SafeSearchAnnotation
SCORE_MIN: Final[dict[Task, float]] = {"classification": 0.05, "detection": 0.25, "clip": 0.05, "safe_search": 0.0}


class Input(Struct, forbid_unknown_fields=True, frozen=True):
    """[input]: how a picture becomes the model's numbers, which are (pixel * scale - mean) / std."""

    size: tuple[Side, Side] | None = None  # width and height; None: as the model says
    layout: Literal["NCHW", "NHWC"] | None = None
    channels: Literal["RGB", "BGR", "GREY"] | None = None
    resize: Literal["stretch", "crop", "letterbox"] = "stretch"
    keep: Annotated[float, Meta(gt=0, le=1)] = 1.0  # of the shorter side, when the picture is cropped
    fill: Annotated[int, Meta(ge=0, le=255)] = 114  # grey of a letterbox's bars
    scale: float = 1 / 255
    mean: float | tuple[float, ...] = 0.0  # one number, or one a channel
    std: float | tuple[float, ...] = 1.0


class Output(Struct, forbid_unknown_fields=True, frozen=True):
    """[output]: where the answer stands in what the model gives."""

    names: tuple[str, ...] = ()  # one output; of the form "boxes" three: boxes, scores, classes
    scores: Literal["softmax", "sigmoid", "plain"] | None = None  # what makes scores of the numbers
    form: Literal["yolov8", "yolov5", "boxes"] = "yolov8"  # of detections
    order: Literal["xyxy", "yxyx", "cxcywh"] = "xyxy"  # of a box's numbers, in the form "boxes"
    unit: Literal["share", "pixel"] = "share"  # of a box's numbers, in the form "boxes"
    first_label: Annotated[int, Meta(ge=0)] = 0  # the class number of the first label


class Card(Struct, forbid_unknown_fields=True, frozen=True):
    """One model: what it does, where it is, what its numbers mean."""

    task: Task
    model: str
    features: tuple[str, ...] = ()
    labels: str | tuple[str, ...] | None = None  # a file with one a line, or the list; None: as the model's metadata say
    mids: str | dict[str, str] | None = None  # a file with one a line as the labels, or label = mid
    score_min: Share | None = None
    overlap_max: Share = 0.45  # of two boxes of one label, as intersection over union; more are one
    embeddings: str | None = None  # of the labels' texts, for clip: an .npy file of labels x length
    logit_scale: float = 100.0  # by which likeness is multiplied, for clip
    logit_bias: float = 0.0
    safe_search: dict[str, tuple[str, ...]] = {}  # field = labels whose scores add up to it
    likelihoods: Likelihoods = (0.05, 0.2, 0.5, 0.8)  # scores from which a field is UNLIKELY, POSSIBLE, LIKELY, VERY_LIKELY
    input: Input = Input()
    output: Output = Output()

    @property
    def answers(self) -> tuple[int, ...]:
        """The features it is for, as numbers of Feature.Type."""
        return tuple(Feature.Type.Value(name) for name in self.features) or FEATURES_OF_TASK[self.task][:1]

    @property
    def least(self) -> float:
        """The lowest score that is answered."""
        return SCORE_MIN[self.task] if self.score_min is None else self.score_min


def cards(where: Any) -> Iterator[tuple[Path, Card]]:
    """The cards that the setting ``models`` names, a file or folder or a list of them, in their order; SettingsError says what is wrong."""
    places = [where] if isinstance(where, str) else where
    if not isinstance(places, list | tuple) or not all(isinstance(place, str) and place for place in places):
        raise SettingsError(f"models: {where!r} is no list of model cards; name TOML files, or folders of them")
    for place in places:
        path = Path(place).expanduser()
        files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not files:
            raise SettingsError(f"models: the folder {path} holds no model card; one ends in .toml")
        for file in files:
            yield file, read(file)


def read(file: Path) -> Card:
    """The card in a file; SettingsError names file and key."""
    values = _toml(file)
    _check_keys(file, values, Card, "")
    try:
        card = msgspec.convert(values, Card, strict=True)
    except msgspec.ValidationError as wrong:
        said, _, place = str(wrong).partition(" - at `$")
        key = re.sub(r"\[\.\.\.]|\[\d+]", "", place.rstrip("`").lstrip("."))
        words = _words(key) if said.startswith("Invalid enum") else ()
        raise _refusal(file, key or "the card", said.replace(" | null", "") + (f"; it is {' or '.join(words)}" if words else "")) from wrong
    _check_features(file, card)
    if card.task == "clip" and card.embeddings is None:
        raise _refusal(file, "embeddings", "a clip model needs those of its labels' texts, as an .npy file of labels x length")
    if card.task == "safe_search":
        _check_safe_search(file, card)
    for key in ("mean", "std"):
        value = getattr(card.input, key)
        if isinstance(value, tuple) and len(value) not in (1, 3):
            raise _refusal(file, f"input.{key}", "give one number, or one for each of three channels")
    if card.input.std == 0 or (isinstance(card.input.std, tuple) and 0 in card.input.std):
        raise _refusal(file, "input.std", "numbers are divided by it, so it cannot be 0")
    if list(card.likelihoods) != sorted(card.likelihoods):
        raise _refusal(file, "likelihoods", "each must be at least the one before it")
    wanted = 3 if card.task == "detection" and card.output.form == "boxes" else 1
    if card.output.names and len(card.output.names) != wanted:
        said = "three outputs: boxes, scores, classes" if wanted == 3 else "one output"
        raise _refusal(file, "output.names", f"{len(card.output.names)} are named, and the card is for {said}")
    return card


def beside(file: Path, key: str, name: str) -> Path:
    """A file that a card names; SettingsError when there is none."""
    path = file.parent / Path(name).expanduser()
    if not path.is_file():
        raise _refusal(file, key, f"there is no file {path}")
    return path


def labels(file: Path, card: Card, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """What a model's classes are called; SettingsError when nobody says."""
    if isinstance(card.labels, str):
        found = _lines(file, "labels", card.labels)
    elif card.labels is not None:
        found = card.labels
    else:
        key = next((key for key in METADATA_KEYS if metadata.get(key, "").strip()), None)
        if key is None:
            raise _refusal(file, "labels", "neither the card nor the model's metadata name them; give a file or a list")
        found = _from_metadata(metadata[key])
    if not 0 < len(found) <= LABELS_MAX:
        raise _refusal(file, "labels", f"there are {len(found)}; give 1 to {LABELS_MAX:,}")
    return tuple(found)


def mids(file: Path, card: Card, names: Sequence[str]) -> dict[str, str]:
    """The entity id of each label that has one."""
    if card.mids is None:
        return {}
    if isinstance(card.mids, dict):
        for label in card.mids:
            if label not in names:
                raise _refusal(file, f"mids.{label}", f"no label is called so{_nearest(label, names)}")
        return card.mids
    found = _lines(file, "mids", card.mids)
    if len(found) != len(names):
        raise _refusal(file, "mids", f"{card.mids} has {len(found)} lines for {len(names)} labels")
    return dict(zip(names, found, strict=True))


def _toml(file: Path) -> dict[str, Any]:
    import tomllib  # here: hardly anybody has a card

    try:
        if file.stat().st_size > CARD_BYTES_MAX:
            raise SettingsError(f"models: {file}: a card of more than {CARD_BYTES_MAX:,} bytes is none")
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise SettingsError(f"models: {file}: {wrong.strerror}") from wrong
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise SettingsError(f"models: {file}: no TOML: {wrong}") from wrong


def _check_keys(file: Path, values: Mapping[str, Any], kind: type[Struct], under: str) -> None:
    """Refuses a key that nobody reads, which is most often a slip of the pen."""
    hints = get_type_hints(kind)
    for key, value in values.items():
        if key not in kind.__struct_fields__:
            raise _refusal(file, f"{under}{key}", f"no such key{_nearest(key, kind.__struct_fields__)}")
        if isinstance(hints[key], type) and issubclass(hints[key], Struct) and isinstance(value, dict):
            _check_keys(file, value, hints[key], f"{under}{key}.")


def _words(key: str) -> tuple[str, ...]:
    """Those of which one stands at a key."""
    hint: Any = Card
    for part in key.split("."):
        hint = get_type_hints(hint)[part]
    return next((get_args(kind) for kind in (hint, *get_args(hint)) if get_origin(kind) is Literal), ())


def _check_features(file: Path, card: Card) -> None:
    known = [Feature.Type.Name(number) for number in FEATURES_OF_TASK[card.task]]
    for name in card.features:
        if name not in known:
            raise _refusal(file, "features", f"{card.task} cannot answer {name}; it can {', '.join(known)}")


def _check_safe_search(file: Path, card: Card) -> None:
    if not card.safe_search:
        raise _refusal(file, "safe_search", f"say which labels make up which of {', '.join(SAFE_SEARCH)}")
    for field in card.safe_search:
        if field not in SAFE_SEARCH:
            raise _refusal(file, f"safe_search.{field}", f"no such field{_nearest(field, SAFE_SEARCH)}")


def _lines(file: Path, key: str, name: str) -> tuple[str, ...]:
    path = beside(file, key, name)
    if path.stat().st_size > LABELS_BYTES_MAX:
        raise _refusal(file, key, f"{path} has more than {LABELS_BYTES_MAX:,} bytes")
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except UnicodeDecodeError as wrong:
        raise _refusal(file, key, f"{path} is no text in UTF-8") from wrong


def _from_metadata(text: str) -> tuple[str, ...]:
    """Labels as exporters write them: a list, or a mapping from class numbers, in JSON or Python; else divided by lines or commas."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, dict):
            numbered = all(re.fullmatch(r"\d+", str(key)) for key in value)
            value = [value[key] for key in sorted(value, key=int)] if numbered else ()
        if isinstance(value, list | tuple):
            return tuple(map(str, value))
    return tuple(part.strip() for part in re.split(r"\n|,", text) if part.strip())


def _refusal(file: Path, key: str, said: str) -> SettingsError:
    return SettingsError(f"models: {file}: {key}: {said}")


def _nearest(name: str, known: Sequence[str]) -> str:
    return "; " + suggestion(name, known, f"there are {', '.join(sorted(known)[:20])}")


assert set(get_args(Task)) == set(FEATURES_OF_TASK)
