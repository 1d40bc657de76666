// Hands in one mail with nodemailer: node send.js '{"transport": {…}, "mail": {…}}'. Prints the
// server's reply to it, or fails with what was said.
import { createRequire } from 'node:module';

const require = createRequire(process.env.PEER_MODULES + '/');
const nodemailer = require('nodemailer');
const { transport, mail } = JSON.parse(process.argv[2]);

try {
  const info = await nodemailer.createTransport({ ...transport, tls: { rejectUnauthorized: false } })
    .sendMail(mail);
  console.log(info.response);
} catch (error) {
  console.error(error.response ?? String(error));
  process.exit(1);
}
