// The emulator in a container, from Node: npm install testcontainers @google-cloud/vision @grpc/grpc-js
import {ImageAnnotatorClient} from '@google-cloud/vision';
import * as grpc from '@grpc/grpc-js';
import {GenericContainer, Wait} from 'testcontainers';

const container = await new GenericContainer('vision-emulator')
  .withExposedPorts(8970)
  .withWaitStrategy(Wait.forHttp('/_emulator/health', 8970))
  .start();
const client = new ImageAnnotatorClient({
  apiEndpoint: container.getHost(),
  port: container.getMappedPort(8970),
  sslCreds: grpc.credentials.createInsecure(),
});
const [answer] = await client.labelDetection('gs://cloud-samples-data/vision/label/wakeupcat.jpg');
console.log(answer.labelAnnotations[0].description);
await client.close();
await container.stop();
