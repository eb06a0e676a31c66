"""The emulator in a container, from a Python test: pip install testcontainers google-cloud-vision."""

import grpc
from google.cloud import vision
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport as Transport
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

with DockerContainer("vision-emulator").with_exposed_ports(8970) as container:
    wait_for_logs(container, "Ready on")
    address = f"{container.get_container_host_ip()}:{container.get_exposed_port(8970)}"
    client = vision.ImageAnnotatorClient(transport=Transport(channel=grpc.insecure_channel(address)))
    image = vision.Image(source=vision.ImageSource(image_uri="gs://cloud-samples-data/vision/label/wakeupcat.jpg"))
    print(client.label_detection(image=image).label_annotations[0].description)
