// The scenarios for Google's storage client; see storage_scenarios.py. NODE_PATH says where it is installed.
'use strict';

const {createHash} = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const {Storage} = require('@google-cloud/storage');

const CHUNK_BYTES = 256 * 1024;

async function code(call) {
  try {
    await call;
    return 200;
  } catch (error) {
    return error.code;
  }
}

class Program {
  constructor(storage, inputs) {
    this.shelf = storage.bucket('shelf');
    this.other = storage.bucket('other');
    this.path = name => path.join(inputs, name);
  }

  async read(name, options) {
    const [content] = await this.shelf.file(name).download(options);
    return content;
  }

  save(name, content, options = {}) {
    return this.shelf.file(name, options.file).save(content, {resumable: false, ...options});
  }

  async names(query) {
    const [files] = await this.shelf.getFiles(query);
    return files.map(file => file.name);
  }

  /** The client repeats only what cannot be done twice: it must say which generation it replaces. */
  inChunks(name) {
    const options = {destination: name, resumable: true, chunkSize: CHUNK_BYTES, preconditionOpts: {ifGenerationMatch: 0}};
    return this.shelf.upload(this.path('large.bin'), options);
  }

  async interrupted() {
    const [, made] = await this.inChunks('interrupted.bin');
    return {size: Number(made.size), crc32c: made.crc32c};
  }

  async corrupted() {
    try {
      await this.read('interrupted.bin');
      return 'taken';
    } catch {
      return 'refused';
    }
  }

  async upload() {
    const metadata = {contentType: 'text/plain', metadata: {colour: 'blue'}};
    await this.shelf.upload(this.path('small.txt'), {resumable: false, metadata});
    const [held] = await this.shelf.file('small.txt').getMetadata();
    const {size, contentType, crc32c, md5Hash: md5} = held;
    return {size: Number(size), contentType, metadata: held.metadata, crc32c, md5};
  }

  async chunks() {
    await this.inChunks('large.bin');
    return createHash('sha256').update(await this.read('large.bin')).digest('hex');
  }

  async 'wrong-hash'() {
    return code(this.save('wrong.txt', fs.readFileSync(this.path('small.txt')), {metadata: {crc32c: 'AAAAAA=='}, validation: false}));
  }

  async ranges() {
    const spans = [{start: 10, end: 19}, {end: -7}, {start: 2 ** 20}];
    const found = [];
    for (const span of spans) {
      found.push((await this.read('large.bin', {...span, validation: false})).toString('hex'));
    }
    return found;
  }

  async pages() {
    for (let number = 0; number < 7; number++) {
      await this.save(`list/${number}`, 'x');
    }
    const names = [];
    for (let query = {prefix: 'list/', maxResults: 3, autoPaginate: false}; query; ) {
      const [files, following] = await this.shelf.getFiles(query);
      names.push(...files.map(file => file.name));
      query = following;
    }
    return names;
  }

  async delimiter() {
    for (const name of ['tree/a.txt', 'tree/b.jpg', 'tree/deep/c.txt', 'tree/deep/er/d.txt']) {
      await this.save(name, 'x');
    }
    const [files, , answer] = await this.shelf.getFiles({prefix: 'tree/', delimiter: '/', autoPaginate: false});
    return {names: files.map(file => file.name), prefixes: answer.prefixes};
  }

  async glob() {
    return this.names({matchGlob: 'tree/**.txt'});
  }

  async preconditions() {
    const once = this.shelf.file('once.txt');
    await this.save('once.txt', '1', {preconditionOpts: {ifGenerationMatch: 0}});
    const [first] = await once.getMetadata();
    const refused = await code(this.save('once.txt', '2', {preconditionOpts: {ifGenerationMatch: 0}}));
    await this.save('once.txt', '3', {preconditionOpts: {ifGenerationMatch: first.generation}});
    const [second] = await once.getMetadata();
    const old = await code(this.shelf.file('once.txt', {generation: first.generation}).download());
    return {refused, grew: BigInt(second.generation) > BigInt(first.generation), old};
  }

  async copy() {
    await this.shelf.file('small.txt').copy(this.shelf.file('copy.txt'));
    const [made] = await this.shelf.file('copy.txt').getMetadata();
    return {content: (await this.read('copy.txt')).toString(), contentType: made.contentType};
  }

  async rewrite() {
    const [, answer] = await this.shelf.file('large.bin').copy(this.other.file('large.bin'));
    const {bucket, size, crc32c} = answer.resource;
    return {bucket, size: Number(size), crc32c};
  }

  async compose() {
    const small = this.shelf.file('small.txt');
    const [, made] = await this.shelf.combine([small, small], this.shelf.file('twice.txt'));
    const twice = fs.readFileSync(this.path('small.txt')).toString().repeat(2);
    return {same: (await this.read('twice.txt')).toString() === twice, components: made.componentCount};
  }

  async patch() {
    const [made] = await this.shelf.file('copy.txt').setMetadata({contentType: 'text/x-note', metadata: {shape: 'round'}});
    return {contentType: made.contentType, metadata: made.metadata, metageneration: Number(made.metageneration)};
  }

  async delete() {
    await this.shelf.file('copy.txt').delete();
    return [await code(this.shelf.file('copy.txt').getMetadata()), await code(this.shelf.file('copy.txt').delete())];
  }
}

async function main(inputs, scenarios) {
  const program = new Program(new Storage(), inputs);
  for (const scenario of scenarios) {
    let result;
    try {
      result = await program[scenario]();
    } catch (error) {
      console.error(error);
      result = {message: String(error)};
    }
    console.log(JSON.stringify({scenario, result}));
  }
}

main(process.argv[3], process.argv.slice(4));
