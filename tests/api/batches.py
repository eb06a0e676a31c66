"""Requests that several API tests send."""

from __future__ import annotations

from typing import Any

from vision_emulator.contract.messages import Feature

LABELS = {"type": Feature.LABEL_DETECTION}
SAMPLES = "gs://cloud-samples-data/vision/document_understanding/"


def image(uri: str, *features: dict[str, Any]) -> dict[str, Any]:
    return {"image": {"source": {"image_uri": uri}}, "features": list(features or [LABELS])}


def batch(images: list[dict[str, Any]], destination: str = "gs://results/run/", batch_size: int = 2) -> dict[str, Any]:
    return {"requests": images, "output_config": {"gcs_destination": {"uri": destination}, "batch_size": batch_size}}
