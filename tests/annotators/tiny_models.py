"""ONNX models of a few nodes, made by the tests that run them: what they answer follows from the colours of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 13, 8  # what every runtime of these years reads


def save(
    path: Path,
    nodes: Sequence[Any],
    weights: dict[str, Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    *,
    kind: int = TensorProto.FLOAT,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Writes a model with inputs of a kind and float32 outputs of these shapes (text: a free dimension)."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def face_detector(path: Path, cells: float = 2) -> Path:
    """As YuNet answers: a face of so many cells around each of 32 pixels that is blue, which comes first; turned by 45 degrees."""
    nodes, weights, outputs = [], {}, {}
    points = [(-0.5, -0.5), (0.0, 0.0), (0.1, 0.0), (-0.75, 0.25), (-0.25, 0.75)]  # eyes, nose, mouth; in cells from the middle of one
    rows = {
        "cls": ([[0.15, 0.0, 0.0]], [-30.0]),
        "obj": ([[0.15, 0.0, 0.0]], [-30.0]),
        "bbox": ([[0.0] * 3] * 4, [0.5, 0.5, np.log(cells), np.log(cells)]),
        "kps": ([[0.0] * 3] * 10, [0.5 + place for point in points for place in point]),
    }
    nodes += [
        helper.make_node("AveragePool", ["input"], [f"mean_{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2)
        for stride in (8, 16, 32)
    ]
    for kind, (weight, bias) in rows.items():
        for stride in (8, 16, 32):
            name, channels = f"{kind}_{stride}", len(bias)
            silent = -1000.0 if stride < 32 and channels == 1 else 0.0  # only the coarsest grid sees anything
            weights[f"{name}_w"] = np.array(weight, np.float32).reshape(channels, 3, 1, 1)
            weights[f"{name}_b"] = np.array(bias, np.float32) + np.float32(silent)
            weights[f"{name}_s"] = np.array([1, -1, channels], np.int64)
            nodes += [
                helper.make_node("Conv", [f"mean_{stride}", f"{name}_w", f"{name}_b"], [f"{name}_c"], kernel_shape=[1, 1]),
                helper.make_node("Transpose", [f"{name}_c"], [f"{name}_t"], perm=[0, 2, 3, 1]),
            ]
            end = f"{name}_r" if channels == 1 else name
            nodes.append(helper.make_node("Reshape", [f"{name}_t", f"{name}_s"], [end]))
            if channels == 1:
                nodes.append(helper.make_node("Sigmoid", [end], [name]))
            outputs[name] = [1, (640 // stride) ** 2, channels]
    return save(path, nodes, weights, {"input": [1, 3, 640, 640]}, outputs)


def classifier(path: Path, size: Any = (8, 8), *, layout: str = "NCHW", metadata: dict[str, str] | None = None, **given: Any) -> Path:
    """Three numbers: ``gain`` times the mean of each channel of its input."""
    gain, kind = given.get("gain", 10.0), given.get("kind", TensorProto.FLOAT)
    shape = [1, 3, size[1], size[0]] if layout == "NCHW" else [1, size[1], size[0], 3]
    nodes = [
        helper.make_node("Cast", ["input"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["means"], axes=[2, 3] if layout == "NCHW" else [1, 2], keepdims=0),
        helper.make_node("Mul", ["means", "gain"], ["logits"]),
    ]
    return save(path, nodes, {"gain": np.float32(gain)}, {"input": shape}, {"logits": [1, 3]}, kind=kind, metadata=metadata or {})


def constant(path: Path, outputs: dict[str, Any], size: tuple[int, int] = (64, 64)) -> Path:
    """Always answers the same, whatever the picture."""
    weights: dict[str, Any] = {"nothing": np.float32(0)}
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
    ]
    for name, value in outputs.items():
        weights[f"{name}_value"] = np.asarray(value, np.float32)
        nodes.append(helper.make_node("Add", [f"{name}_value", "zero"], [name]))
    shapes = {name: list(np.asarray(value).shape) for name, value in outputs.items()}
    return save(path, nodes, weights, {"input": [1, 3, size[1], size[0]]}, shapes)


def square_finder(path: Path, form: str = "yolov8") -> Path:
    """64 x 64 pixels in, a box of 16 around each cell of 16: a red cell is of the first class, a blue one of the second."""
    size, cell = 64, 16
    count = (size // cell) ** 2
    down, across = (places.reshape(-1) for places in np.mgrid[0 : size // cell, 0 : size // cell])
    fixed = np.stack([(across + 0.5) * cell, (down + 0.5) * cell, np.full(count, cell), np.full(count, cell)]).astype(np.float32)[None]
    pick = np.array([[1, 0, -1], [-1, 0, 1]], np.float32).reshape(2, 3, 1, 1)  # red less blue, blue less red
    if form == "yolov5":
        fixed = np.concatenate([fixed, np.full((1, 1, count), 0.9, np.float32)], axis=1)
    weights = {"fixed": fixed, "pick": pick, "shape": np.array([1, 2, count], np.int64)}
    nodes = [
        helper.make_node("AveragePool", ["input"], ["cells"], kernel_shape=[cell, cell], strides=[cell, cell]),
        helper.make_node("Conv", ["cells", "pick"], ["differences"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["differences"], ["positive"]),
        helper.make_node("Reshape", ["positive", "shape"], ["scores"]),
        helper.make_node("Concat", ["fixed", "scores"], ["columns" if form == "yolov5" else "found"], axis=1),
    ]
    length = fixed.shape[1] + 2
    if form == "yolov5":
        nodes.append(helper.make_node("Transpose", ["columns"], ["found"], perm=[0, 2, 1]))
    shape = [1, count, length] if form == "yolov5" else [1, length, count]
    return save(path, nodes, weights, {"input": [1, 3, size, size]}, {"found": shape})
