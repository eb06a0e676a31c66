"""Labels, objects and safe search by models that the user supplies: ONNX, each with a card that says what its numbers mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self

from vision_emulator.annotators import Picture, Settings, SettingsError
from vision_emulator.annotators.geometry import Box, normalized_poly
from vision_emulator.annotators.local.cards import SIDE_MAX, Card, beside, cards, labels, mids
from vision_emulator.annotators.local.part import Part
from vision_emulator.contract import limits
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import PIL.Image

    Numbers = npt.NDArray[np.float32]

MODELS_MAX: Final = 32  # loaded at once
CANDIDATES_MAX: Final = 3000  # boxes of one picture that are compared with each other, the surest
FOUND_MAX: Final = 300  # objects of one picture
ANCHORS: Final = {"yolov8": 4, "yolov5": 5}  # numbers of a row before its classes' scores: a box, and in the older form its own score
KINDS: Final = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}  # of input numbers
MODES: Final = {"RGB": "RGB", "BGR": "RGB", "GREY": "L"}  # Pillow's


class ModelFailed(RuntimeError):
    """A model could not be run on a picture, or answered with what are no numbers."""


class Scored(NamedTuple):
    """A label and how sure that is."""

    label: str
    score: float


class Detected(NamedTuple):
    """A label, how sure that is, and where: left, top, right, bottom in shares of the picture."""

    label: str
    score: float
    place: tuple[float, float, float, float]


class Fitted(NamedTuple):
    """A picture as a model takes it, and how its places come back: input pixel = share of the picture * scale + offset."""

    image: PIL.Image.Image
    scale: tuple[float, float]
    offset: tuple[float, float]


class Models(Part):
    """Answers the features that the given cards are for; none without cards."""

    name: ClassVar[str] = "models"
    note: ClassVar[str] = "by the models that you supply"
    needs: ClassVar[str] = "the setting models"
    settings_known: ClassVar[frozenset[str]] = frozenset({"models"})

    def __init__(self, models: Sequence[Model]) -> None:
        self._model_of = {feature: model for model in models for feature in model.card.answers}
        self.features = frozenset(self._model_of)

    @classmethod
    def create(cls, settings: Settings) -> Self | None:
        """One with the models of the setting ``models``; SettingsError names the card and the key that are wrong."""
        if "models" not in settings.table:
            return None
        taken: dict[int, Path] = {}
        models: list[Model] = []
        for file, card in cards(settings.table["models"]):
            for feature in card.answers:
                if feature in taken:
                    name = Feature.Type.Name(feature)
                    raise SettingsError(f"models: {file}: features: {name} is already answered by {taken[feature]}")
                taken[feature] = file
            if len(models) == MODELS_MAX:
                raise SettingsError(f"models: {file}: no more than {MODELS_MAX} models can be loaded")
            models.append(Model(file, card))
        return cls(models)

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:  # noqa: ARG002
        """What the models find in the picture, each run once; ModelFailed when one does not answer with numbers."""
        fields: dict[str, Any] = {}
        found: dict[Model, list[Any]] = {}
        for feature in features:
            model = self._model_of[feature.type]
            if model not in found:
                found[model] = model.look(picture.pixels)
            most = feature.max_results if feature.max_results > 0 else limits.RESULTS_DEFAULT
            fields |= model.fields(feature.type, found[model], picture.size, most)
        return AnnotateImageResponse(**fields)

    async def close(self) -> None:
        """Frees the models' memory."""
        self._model_of = {}
        self.features = frozenset()


class Model:
    """One model, loaded and tried out; for several threads at once."""

    def __init__(self, file: Path, card: Card) -> None:
        """SettingsError when the model does not load, or answers another number of labels than there are."""
        self.card = card
        self._file = file
        self._session = _session(file, card)
        self.labels = labels(file, card, self._session.get_modelmeta().custom_metadata_map)
        self._mids = mids(file, card, self.labels)
        self._read_input()
        self._outputs = self._chosen_outputs()
        self._embeddings = self._texts() if card.task == "clip" else None
        for field, parts in card.safe_search.items():
            for part in parts:
                if part not in self.labels:
                    raise self._wrong(f"safe_search.{field}", f"{part!r} is none of the labels, which are {', '.join(self.labels[:20])}")
        self._try()

    # ---- what the model takes ----

    def _read_input(self) -> None:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise self._wrong("model", f"it takes {len(inputs)} inputs ({_names(inputs)}), and a picture is all there is to give")
        (taken,) = inputs
        if taken.type not in KINDS:
            raise self._wrong("model", f"its input {taken.name} is {taken.type}; it can be {', '.join(KINDS)}")
        if len(taken.shape) != 4:
            raise self._wrong("model", f"its input {taken.name} has the shape {taken.shape}, and not the four dimensions of a picture")
        shape = [length if isinstance(length, int) and length > 0 else None for length in taken.shape]
        self._input, self._kind = taken.name, KINDS[taken.type]
        self._layout = self.card.input.layout or ("NHWC" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "NCHW")
        channels, height, width = shape[1:] if self._layout == "NCHW" else (shape[3], shape[1], shape[2])
        self._channels = self.card.input.channels or ("GREY" if channels == 1 else "RGB")
        given = 1 if self._channels == "GREY" else 3
        if channels not in (None, given):
            raise self._wrong(
                "input.channels", f"{self._channels} are {given}, and the model takes {channels} ({self._layout} {taken.shape})"
            )
        if shape[0] not in (None, 1):
            raise self._wrong("model", f"it takes {shape[0]} pictures at once; export it for one, or any number")
        size = self.card.input.size
        if size is None:
            if width is None or height is None:
                raise self._wrong("input.size", f"the model leaves its size open ({taken.shape}); say [width, height]")
            size = (width, height)
        if max(size) > SIDE_MAX:
            raise self._wrong("input.size", f"{size[0]} x {size[1]} is larger than {SIDE_MAX} pixels a side")
        if (width or size[0], height or size[1]) != tuple(size):
            raise self._wrong("input.size", f"{size[0]} x {size[1]} is said, and the model takes {width} x {height}")
        self._size = (size[0], size[1])

    def _chosen_outputs(self) -> list[str]:
        """The names of the outputs that are read, in the order in which they are."""
        outputs = self._session.get_outputs()
        names = [output.name for output in outputs]
        for name in self.card.output.names:
            if name not in names:
                raise self._wrong("output.names", f"the model has no output {name}; it has {_names(outputs)}")
        if self.card.output.names:
            return list(self.card.output.names)
        if self.card.task != "detection" or self.card.output.form != "boxes":
            return names[:1]
        wanted = (("box",), ("score", "conf"), ("class", "label"))
        chosen = [next((name for name in names if any(word in name.lower() for word in words)), "") for words in wanted]
        if "" in chosen or len(set(chosen)) < len(wanted):
            raise self._wrong(
                "output.names", f"which of {_names(outputs)} are boxes, scores and classes cannot be told; say so in this order"
            )
        return chosen

    def _texts(self) -> Numbers:
        """The embeddings of the labels' texts, each of length one."""
        import numpy as np

        assert self.card.embeddings is not None
        path = beside(self._file, "embeddings", self.card.embeddings)
        try:
            texts = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as wrong:
            raise self._wrong("embeddings", f"{path} is no .npy file of numbers: {wrong}") from wrong
        if texts.ndim != 2 or len(texts) != len(self.labels):
            raise self._wrong("embeddings", f"{path} has the shape {texts.shape}, and there are {len(self.labels)} labels")
        lengths = np.linalg.norm(texts.astype(np.float32), axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise self._wrong("embeddings", f"{path} holds embeddings without a direction")
        unit: Numbers = texts.astype(np.float32) / lengths
        return unit

    def _try(self) -> None:
        """Runs the model on a grey picture, so that what cannot work is known before the first picture."""
        from PIL import Image

        try:
            given = self._run(self._numbers(Image.new("RGB", self._size, (128, 128, 128))))
        except ModelFailed as failed:
            raise self._wrong("model", str(failed)) from failed
        count = len(self.labels)
        shapes = {name: tuple(value.shape) for name, value in zip(self._outputs, given, strict=True)}
        match self.card:
            case Card(task="detection", output=output) if output.form == "boxes":
                boxes, scores, classes = (value.shape for value in given)
                if not boxes or boxes[-1] != 4 or scores[-1:] != boxes[-2:-1] or classes[-1:] != boxes[-2:-1]:
                    raise self._wrong("output.names", f"the shapes {shapes} are not those of boxes, scores and classes")
            case Card(task="detection", output=output):
                before = ANCHORS[output.form]
                (shape,) = shapes.values()
                if len(shape) != 3 or before + count not in shape[1:]:
                    said = f"{output.form} gives {before} + {count} labels = {before + count} numbers a box"
                    raise self._wrong("labels", f"{said}, and {self._outputs[0]} has the shape {shape}")
            case Card(task="clip"):
                assert self._embeddings is not None
                length = self._embeddings.shape[1]
                if given[0].size != length:
                    raise self._wrong(
                        "embeddings", f"they are {length} long, and {self._outputs[0]} has the shape {shapes[self._outputs[0]]}"
                    )
            case _:
                if given[0].size != count:
                    raise self._wrong("labels", f"there are {count}, and {self._outputs[0]} has the shape {shapes[self._outputs[0]]}")

    def _wrong(self, key: str, said: str) -> SettingsError:
        return SettingsError(f"models: {self._file}: {key}: {said}")

    # ---- what it finds ----

    def look(self, pixels: PIL.Image.Image) -> list[Any]:
        """Scored labels, or of a detector Detected ones, the surest first. CPU work."""
        fitted = self._fit(pixels)
        given = self._run(self._numbers(fitted.image))
        if self.card.task == "detection":
            return list(self._detected(given, fitted))
        return list(self._scored(given[0].ravel()))

    def fields(self, feature: int, found: Sequence[Any], size: tuple[int, int], most: int) -> dict[str, Any]:
        """The answer to one feature: what was found, as the field of that feature has it."""
        match feature:
            case Feature.SAFE_SEARCH_DETECTION:
                return {"safe_search_annotation": self._safe_search(found)}
            case Feature.LABEL_DETECTION:
                best: dict[str, float] = {}
                for entry in found:
                    best.setdefault(entry.label, entry.score)  # the surest of each comes first
                entries = [{"mid": self._mids.get(label, ""), "description": label, "score": score} for label, score in best.items()]
                return {"label_annotations": entries[:most]}
            case Feature.LOGO_DETECTION:
                width, height = size
                return {
                    "logo_annotations": [
                        {
                            "mid": self._mids.get(label, ""),
                            "description": label,
                            "score": score,
                            "bounding_poly": Box.within(size, left * width, top * height, right * width, bottom * height).poly(),
                        }
                        for label, score, (left, top, right, bottom) in found[:most]
                    ]
                }
            case _:
                return {
                    "localized_object_annotations": [
                        {"mid": self._mids.get(label, ""), "name": label, "score": score, "bounding_poly": normalized_poly(*place)}
                        for label, score, place in found[:most]
                    ]
                }

    def _fit(self, pixels: PIL.Image.Image) -> Fitted:
        from PIL import Image

        width, height = self._size
        bilinear = Image.Resampling.BILINEAR
        match self.card.input.resize:
            case "letterbox":
                ratio = min(width / pixels.width, height / pixels.height)
                inner = max(1, round(pixels.width * ratio)), max(1, round(pixels.height * ratio))
                left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
                image = Image.new("RGB", self._size, (self.card.input.fill,) * 3)
                image.paste(pixels.resize(inner, bilinear, reducing_gap=2.0), (left, top))
                return Fitted(image, inner, (left, top))
            case "crop":
                ratio = max(width / pixels.width, height / pixels.height) / self.card.input.keep
                kept = width / ratio, height / ratio
                left_edge, top_edge = max(0.0, (pixels.width - kept[0]) / 2), max(0.0, (pixels.height - kept[1]) / 2)
                edges = (left_edge, top_edge, min(pixels.width, left_edge + kept[0]), min(pixels.height, top_edge + kept[1]))
                image = pixels.resize(self._size, bilinear, box=edges, reducing_gap=2.0)
                return Fitted(image, (pixels.width * ratio, pixels.height * ratio), (-left_edge * ratio, -top_edge * ratio))
            case _:
                return Fitted(pixels.resize(self._size, bilinear, reducing_gap=2.0), (width, height), (0, 0))

    def _numbers(self, image: PIL.Image.Image) -> npt.NDArray[Any]:
        """The picture as the model's input."""
        import numpy as np

        given = self.card.input
        array = np.asarray(image.convert(MODES[self._channels]))
        array = array.reshape(*array.shape[:2], -1)
        if self._channels == "BGR":
            array = array[..., ::-1]
        if self._kind != "uint8":  # such a model wants the pixels as they are
            array = (array.astype(np.float32) * given.scale - np.array(given.mean, np.float32)) / np.array(given.std, np.float32)
        if self._layout == "NCHW":
            array = array.transpose(2, 0, 1)
        return np.ascontiguousarray(array[np.newaxis], dtype=self._kind)

    def _run(self, numbers: npt.NDArray[Any]) -> list[Numbers]:
        import numpy as np

        try:
            given = self._session.run(self._outputs, {self._input: numbers})
        except Exception as failure:  # onnxruntime has an exception of its own for each of its error codes
            raise ModelFailed(f"{self.card.model} does not run on a picture of {self._size[0]} x {self._size[1]}: {failure}") from failure
        answers = [np.asarray(value, np.float32) for value in given]
        if not all(np.isfinite(answer).all() for answer in answers):
            raise ModelFailed(f"{self.card.model} answers with what are no finite numbers")
        return answers

    def _scored(self, numbers: Numbers) -> Iterator[Scored]:
        """Every label with at least the least score, by falling score; of a safe search all."""
        import numpy as np

        if self._embeddings is not None:
            length = float(np.linalg.norm(numbers))
            numbers = (self._embeddings @ numbers) / (length or 1.0) * self.card.logit_scale + self.card.logit_bias
        scores = self._scores(numbers)
        for index in np.argsort(-scores, kind="stable").tolist():
            if scores[index] < self.card.least:
                break
            yield Scored(self.labels[index], float(scores[index]))

    def _scores(self, numbers: Numbers) -> Numbers:
        """Scores in [0, 1] from what the model gives, by the way that the card says or that is usual for its task."""
        import numpy as np

        match self.card.output.scores or ("plain" if self.card.task == "detection" else "softmax"):
            case "softmax":
                powers = np.exp(numbers - numbers.max(axis=-1, keepdims=True))
                scores: Numbers = powers / powers.sum(axis=-1, keepdims=True)
            case "sigmoid":
                scores = 1 / (1 + np.exp(-numbers.clip(-80, 80)))
            case _:
                scores = numbers.clip(0, 1)
        return scores

    def _safe_search(self, found: Sequence[Scored]) -> dict[str, int]:
        """Likelihoods of the fields that the card names; the others stay UNKNOWN."""
        score_of = {entry.label: entry.score for entry in found}
        sums = {field: sum(score_of.get(part, 0.0) for part in parts) for field, parts in self.card.safe_search.items()}
        return {field: 1 + sum(score >= bound for bound in self.card.likelihoods) for field, score in sums.items()}

    def _detected(self, given: Sequence[Numbers], fitted: Fitted) -> Iterator[Detected]:
        """What is left when boxes that mean the same thing are one, by falling score."""
        import numpy as np

        boxes, scores, classes = self._boxes(given)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= self.card.least][:CANDIDATES_MAX]
        boxes, scores, classes = boxes[order], scores[order], classes[order]
        places = (boxes - np.tile(fitted.offset, 2)) / np.tile(fitted.scale, 2)
        places = places.clip(0, 1)
        solid = (places[:, 2] > places[:, 0]) & (places[:, 3] > places[:, 1]) & (classes >= 0) & (classes < len(self.labels))
        places, scores, classes = places[solid], scores[solid], classes[solid]
        for index in distinct(places, classes, self.card.overlap_max)[:FOUND_MAX]:
            left, top, right, bottom = places[index].tolist()
            yield Detected(self.labels[int(classes[index])], float(scores[index]), (left, top, right, bottom))

    def _boxes(self, given: Sequence[Numbers]) -> tuple[Numbers, Numbers, npt.NDArray[np.int64]]:
        """Edges in pixels of the input, score and class of each box that the model gives."""
        import numpy as np

        output = self.card.output
        if output.form == "boxes":
            edges, scores, numbers = given[0].reshape(-1, 4), self._scores(given[1].ravel()), given[2].ravel()
            edges = {"xyxy": edges, "yxyx": edges[:, [1, 0, 3, 2]]}.get(output.order, _edges(edges))
            if output.unit == "share":
                edges = edges * np.tile(self._size, 2)
            return edges, scores, np.rint(numbers).astype(np.int64) - output.first_label
        before = ANCHORS[output.form]
        (rows,) = given[0]
        length = before + len(self.labels)
        if rows.shape[0] == length if output.form == "yolov8" else rows.shape[1] != length:  # the newer form gives columns
            rows = rows.T
        by_class = self._scores(rows[:, before:])
        if output.form == "yolov5":
            by_class = by_class * self._scores(rows[:, 4:5])
        best = by_class.argmax(axis=1)
        return _edges(rows[:, :4]), by_class[np.arange(len(best)), best], best


def distinct(boxes: Numbers, classes: npt.NDArray[np.int64], overlap_max: float) -> list[int]:
    """Which boxes remain, the surest first as they come in, when each that overlaps a surer one of its class by more goes."""
    import numpy as np

    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.arange(len(boxes))
    kept: list[int] = []
    while len(left):
        first, left = int(left[0]), left[1:]
        kept.append(first)
        sides = np.minimum(boxes[first, 2:], boxes[left, 2:]) - np.maximum(boxes[first, :2], boxes[left, :2])
        common = sides.clip(0).prod(axis=1)
        overlap = common / np.maximum(areas[first] + areas[left] - common, 1e-12)
        left = left[(overlap <= overlap_max) | (classes[left] != classes[first])]
    return kept


def _edges(rows: Numbers) -> Numbers:
    """Left, top, right and bottom from centre and size."""
    import numpy as np

    half = rows[:, 2:4] / 2
    edges: Numbers = np.concatenate((rows[:, :2] - half, rows[:, :2] + half), axis=1)
    return edges


def _session(file: Path, card: Card) -> Any:
    """The loaded model, run by one thread at a time per picture: there are as many pictures at once as cores."""
    path = beside(file, "model", card.model)
    try:
        import onnxruntime
    except ImportError as missing:
        raise SettingsError(
            f"models: {file}: onnxruntime is not installed, which runs it: pip install 'vision-emulator[onnx]'"
        ) from missing
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # fatal: what goes wrong is raised, and said in our words
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as wrong:  # onnxruntime has an exception of its own for each of its error codes
        raise SettingsError(f"models: {file}: model: {path} does not load: {wrong}") from wrong


def _names(values: Sequence[Any]) -> str:
    return ", ".join(value.name for value in values)
