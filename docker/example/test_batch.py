"""An offline batch against the emulator at VISION_EMULATOR_HOST, its results read from the Cloud Storage at STORAGE_EMULATOR_HOST."""

import json
import os

import grpc
from google.cloud import storage, vision
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport as Transport

SAMPLES = "gs://cloud-samples-data/vision/document_understanding"


def test_a_batch() -> None:
    """Three images in files of two."""
    channel = grpc.insecure_channel(os.environ["VISION_EMULATOR_HOST"])
    client = vision.ImageAnnotatorClient(transport=Transport(channel=channel))
    results = storage.Client().create_bucket("results")
    feature = vision.Feature(type_=vision.Feature.Type.LABEL_DETECTION)
    uris = [f"{SAMPLES}/{name}" for name in ("image1.png", "image2.jpg", "image3.jpg")]
    requests = [{"image": {"source": {"image_uri": uri}}, "features": [feature]} for uri in uris]
    output = {"gcs_destination": {"uri": "gs://results/batch/"}, "batch_size": 2}
    client.async_batch_annotate_images(requests=requests, output_config=output).result(timeout=60)
    names = [blob.name for blob in results.list_blobs()]
    assert names == ["batch/output-1-to-2.json", "batch/output-3-to-3.json"]
    answers = [answer for name in names for answer in json.loads(results.blob(name).download_as_text())["responses"]]
    assert [answer["context"]["uri"] for answer in answers] == uris
    channel.close()
