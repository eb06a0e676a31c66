// The same without a client: Node's own fetch, which knows no proxies.
const request = {
  image: {source: {imageUri: 'gs://cloud-samples-data/vision/label/wakeupcat.jpg'}},
  features: [{type: 'LABEL_DETECTION'}],
};
const answer = await fetch('https://vision.googleapis.com/v1/images:annotate?key=any', {
  method: 'POST',
  headers: {'Content-Type': 'application/json'},
  body: JSON.stringify({requests: [request]}),
});
console.log((await answer.json()).responses[0].labelAnnotations[0].description);
