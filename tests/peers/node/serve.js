// Takes delivery with Node's smtp-server: node serve.js PORT CERTIFICATE KEY DIRECTORY. Each mail is
// N.eml there, and N.json, which is complete once it is there, holds its envelope.
import { createRequire } from 'node:module';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

const require = createRequire(process.env.PEER_MODULES + '/');
const { SMTPServer } = require('smtp-server');
const [port, certificate, key, directory] = process.argv.slice(2);
let count = 0;

const server = new SMTPServer({
  name: 'peer.test',
  authOptional: true,
  hideDSN: false,
  hideENHANCEDSTATUSCODES: false,
  cert: readFileSync(certificate),
  key: readFileSync(key),
  onData(stream, session, callback) {
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => {
      const at = `${directory}/${String(count++).padStart(5, '0')}`;
      writeFileSync(`${at}.eml`, Buffer.concat(chunks));
      const envelope = { secure: session.secure, ...session.envelope };
      writeFileSync(`${at}.tmp`, JSON.stringify(envelope));
      renameSync(`${at}.tmp`, `${at}.json`);
      callback();
    });
  },
});
server.on('error', (error) => console.error(String(error)));
server.listen(Number(port), '127.0.0.1');
