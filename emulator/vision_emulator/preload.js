// Read by Node before the program: leads TLS connections to Google's hosts that are answered here to $VISION_EMULATOR_HOST.
// Node's own fetch, and agents that clients make for themselves, know nothing of proxy variables.
'use strict';

const tls = require('node:tls');
const {syncBuiltinESMExports} = require('node:module');

const here = /^(?:@HERE@)$/i;
const address = process.env.VISION_EMULATOR_HOST || '';
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(address) || [];
const connect = tls.connect;

if (port) {
  tls.connect = function (options, ...more) {
    // A socket that is there already goes through the proxy.
    if (options && typeof options === 'object' && !options.socket && !options.path && here.test(options.host || '')) {
      options = {...options, host, port: Number(port), servername: options.servername || options.host};
    }
    return connect.call(this, options, ...more);
  };
  syncBuiltinESMExports(); // for those who import { connect }
}
