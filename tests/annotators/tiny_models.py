"""ONNX models of a few nodes, made by the tests that run them: what they answer follows from the colours of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 13, 8  # what every runtime of these years reads


def save(path: Path, nodes: Sequence[Any], weights: dict[str, Any], inputs: dict[str, Any], outputs: dict[str, Any]) -> Path:
    """Writes a model whose inputs and outputs are float32 of these shapes (text: a free dimension)."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def face_detector(path: Path) -> Path:
    """As YuNet answers: a face of 64 pixels around each cell of 32 that is white, turned by 45 degrees, the nose to the right."""
    nodes, weights, outputs = [], {}, {}
    points = [(-0.5, -0.5), (0.0, 0.0), (0.1, 0.0), (-0.75, 0.25), (-0.25, 0.75)]  # eyes, nose, mouth; in cells from the middle of one
    rows = {
        "cls": ([[0.05] * 3], [-30.0]),
        "obj": ([[0.05] * 3], [-30.0]),
        "bbox": ([[0.0] * 3] * 4, [0.5, 0.5, np.log(2), np.log(2)]),
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
