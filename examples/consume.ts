// Every webhook, with the SDK: acked when your work resolves, again later when it throws. A name goes on where it stopped.
//
//   export RESTANTE_URL=https://hooks.example.org RESTANTE_AUTH=1:TOKEN
//   npx tsx examples/consume.ts orders
import { createClient } from 'restante/client';

const { RESTANTE_URL = 'http://127.0.0.1:4343', RESTANTE_AUTH = '' } = process.env;
const client = createClient({ url: RESTANTE_URL, auth: RESTANTE_AUTH });
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());

await client.consume(process.argv[2] ?? 'orders', { signal: stop.signal }).forEach(async (content) => {
  console.log(content.id, content.text()); // your work; a rejection = it comes again
});
