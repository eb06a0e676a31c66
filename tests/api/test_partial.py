"""Partial answers over every transport: gRPC's metadata says what REST's header says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from transports import Api, Refused

SAMPLE = "gs://cloud-samples-data/vision/document_understanding/image1.png"
REQUESTS = [{"image": {"source": {"image_uri": SAMPLE}}, "features": [{"type": "LABEL_DETECTION"}, {"type": "TEXT_DETECTION"}]}]
OFFLINE: Mapping[str, Any] = {"requests": REQUESTS, "output_config": {"gcs_destination": {"uri": "gs://results/"}}}


async def test_only_what_is_asked_for(api: Api) -> None:
    """The answer holds the selected fields and no others, and still says who annotated."""
    answer = await api("BatchAnnotateImages", {"requests": REQUESTS}, {"x-goog-fieldmask": "responses.labelAnnotations.mid"})
    [response] = answer.message.responses
    assert [field.name for field, _ in response.ListFields()] == ["label_annotations"]
    assert {label.mid for label in response.label_annotations} > {"/m/07s6nbt"}
    assert not any(label.description or label.score for label in response.label_annotations)
    assert answer.metadata["x-vision-emulator-annotators"]


async def test_a_wrong_selector_begins_nothing(api: Api) -> None:
    """The refusal comes before the work: no operation is left behind."""
    with pytest.raises(Refused) as refused:
        await api("AsyncBatchAnnotateImages", OFFLINE, {"x-goog-fieldmask": "done,foo"})
    assert (refused.value.code, refused.value.message) == (3, "Request contains an invalid argument.")
    assert len(refused.value.details) == 1
    assert (await api("ListOperations", {"name": "operations"})).message.operations == []
