"""Google's own Python clients, unmodified, with nothing set but the endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import vision
from google.cloud.vision_v1.services.image_annotator import transports
from googleapiclient import discovery

from vision_emulator import VisionEmulator

UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def close_polling(client: Any) -> None:
    """Closes the session with which a REST client polls: it has one of its own and no way to close it."""
    client.transport.operations_client.transport._session.close()


@contextmanager
def over_grpc(emulator: VisionEmulator) -> Iterator[vision.ImageAnnotatorClient]:
    channel = grpc.insecure_channel(emulator.address, options=UNLIMITED)
    with vision.ImageAnnotatorClient(transport=transports.ImageAnnotatorGrpcTransport(channel=channel)) as client:
        yield client


@contextmanager
def over_rest(emulator: VisionEmulator) -> Iterator[vision.ImageAnnotatorClient]:
    options = {"api_endpoint": emulator.url}
    with vision.ImageAnnotatorClient(transport="rest", credentials=AnonymousCredentials(), client_options=options) as client:
        yield client
        close_polling(client)


@contextmanager
def by_discovery(emulator: VisionEmulator) -> Iterator[Any]:
    options = {"api_endpoint": emulator.url}
    with discovery.build("vision", "v1", credentials=AnonymousCredentials(), static_discovery=True, client_options=options) as service:
        yield service
