// Labels of a picture; written for the real service: nothing here says where that is.
'use strict';

const vision = require('@google-cloud/vision');

async function main() {
  const client = new vision.ImageAnnotatorClient();
  const [answer] = await client.labelDetection('gs://cloud-samples-data/vision/label/wakeupcat.jpg');
  console.log(answer.labelAnnotations[0].description);
}

main();
