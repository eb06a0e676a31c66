// The scenarios for Google's Node clients; see scenarios.py. NODE_PATH says where they are installed.
'use strict';

const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const {ImageAnnotatorClient} = require('@google-cloud/vision');
const {Storage} = require('@google-cloud/storage');

const ADDRESS = process.env.VISION_EMULATOR_HOST || '';
const MISSING_OPERATION = 'projects/p/operations/0123456789abcdef';

function made(way) {
  const [security, transport] = way.split('-');
  if (security === 'plain') {
    const language = transport === 'grpc' ? 'node' : 'node-rest';
    const snippet = execFileSync(process.env.EMULATOR, ['snippet', language, '--host', ADDRESS], {encoding: 'utf8'});
    return new Function('require', `${snippet}\nreturn client;`)(require);
  }
  const [host, port] = ADDRESS.split(':');
  const options = security === 'exec' ? {} : {apiEndpoint: host, port: Number(port), apiKey: 'any'};
  return new ImageAnnotatorClient(transport === 'rest' ? {fallback: true, ...options} : options);
}

const asked = (uri, type = 'LABEL_DETECTION') => ({image: {source: {imageUri: uri}}, features: [{type}]});
const labels = response => response.labelAnnotations.map(label => label.description);

class Program {
  constructor(client, inputs) {
    this.client = client;
    this.inputs = inputs;
    this.storage = new Storage();
  }

  async labelsOf(uri, count = 1, options = {}) {
    const [answer] = await this.client.batchAnnotateImages({requests: Array(count).fill(asked(uri))}, options);
    return labels(answer.responses[0]);
  }

  async upload(file, names) {
    for (const name of names) {
      await this.storage.bucket('inputs').upload(path.join(this.inputs, file), {destination: name});
    }
  }

  async readBack(prefix) {
    const [files] = await this.storage.bucket('results').getFiles({prefix});
    const found = [];
    for (const file of files) {
      const [content] = await file.download();
      found.push(...JSON.parse(content.toString()).responses);
    }
    return [files.map(file => file.name), found];
  }

  async 'label-online'() {
    const [answer] = await this.client.labelDetection(path.join(this.inputs, 'picture.jpg'));
    return labels(answer);
  }

  async 'text-online'() {
    const [answer] = await this.client.textDetection('gs://inputs/sign.jpg');
    return answer.fullTextAnnotation.text;
  }

  async 'batch-offline'() {
    const names = [1, 2, 3, 4, 5].map(number => `${number}.jpg`);
    await this.upload('picture.jpg', names);
    const [operation] = await this.client.asyncBatchAnnotateImages({
      requests: names.map(name => asked(`gs://inputs/${name}`)),
      outputConfig: {gcsDestination: {uri: 'gs://results/batch/'}, batchSize: 2},
    });
    await operation.promise();
    const [files, found] = await this.readBack('batch/');
    return {files, uris: found.map(one => one.context.uri), labels: found.map(one => one.labelAnnotations[0].description)};
  }

  async 'pdf-offline'() {
    await this.upload('pages.pdf', ['pages.pdf']);
    const [operation] = await this.client.asyncBatchAnnotateFiles({
      requests: [
        {
          inputConfig: {gcsSource: {uri: 'gs://inputs/pages.pdf'}, mimeType: 'application/pdf'},
          features: [{type: 'DOCUMENT_TEXT_DETECTION'}],
          outputConfig: {gcsDestination: {uri: 'gs://results/pdf/'}, batchSize: 2},
        },
      ],
    });
    await operation.promise();
    const [files, found] = await this.readBack('pdf/');
    const lines = found.map(one => one.fullTextAnnotation.text.split('\n')[0]);
    return {files, pages: found.map(one => one.context.pageNumber), lines};
  }

  async 'image-error'() {
    const requests = [asked('gs://inputs/cat.jpg'), asked('gs://inputs/missing.jpg')];
    const [answer] = await this.client.batchAnnotateImages({requests});
    const [good, bad] = answer.responses;
    return {labels: labels(good), code: bad.error.code, message: bad.error.message};
  }

  async '17-images'() {
    return this.labelsOf('gs://inputs/cat.jpg', 17);
  }

  async '2001-images'() {
    await this.client.asyncBatchAnnotateImages({
      requests: Array(2001).fill(asked('gs://inputs/cat.jpg')),
      outputConfig: {gcsDestination: {uri: 'gs://results/many/'}, batchSize: 2},
    });
  }

  async 'not-found-operation'() {
    await this.client.checkAsyncBatchAnnotateImagesProgress(MISSING_OPERATION);
  }

  async 'unavailable-twice'() {
    return this.labelsOf('gs://inputs/flaky.jpg');
  }

  async deadline() {
    return this.labelsOf('gs://inputs/slow.jpg', 1, {timeout: 1000, retry: {retryCodes: []}});
  }
}

async function main(way, inputs, ...scenarios) {
  const program = new Program(made(way), inputs);
  for (const scenario of scenarios) {
    let result;
    try {
      result = await program[scenario]();
    } catch (error) {
      result = {code: error.code, message: error.message};
    }
    console.log(`{"scenario": ${JSON.stringify(scenario)}, "result": ${JSON.stringify(result ?? null)}}`);
  }
  process.exit(0); // connections that were kept for a next call are no reason to stay
}

main(...process.argv.slice(2)).catch(error => {
  console.error(error);
  process.exit(1);
});
