"""Labels of a picture, and a file in a bucket; written for the real service: nothing here says where that is."""

from google.cloud import storage, vision
from googleapiclient.discovery import build

CAT = "gs://cloud-samples-data/vision/label/wakeupcat.jpg"

image = vision.Image(source=vision.ImageSource(image_uri=CAT))
for client in (vision.ImageAnnotatorClient(), vision.ImageAnnotatorClient(transport="rest")):
    print(client.label_detection(image=image).label_annotations[0].description)

request = {"image": {"source": {"imageUri": CAT}}, "features": [{"type": "LABEL_DETECTION"}]}
answer = build("vision", "v1").images().annotate(body={"requests": [request]}).execute()
print(answer["responses"][0]["labelAnnotations"][0]["description"])

bucket = storage.Client().create_bucket("unchanged")
bucket.blob("greeting.txt").upload_from_string("hello")
print(bucket.blob("greeting.txt").download_as_text())
