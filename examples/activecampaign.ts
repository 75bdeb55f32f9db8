// Contacts of ActiveCampaign, which sends forms with brackets in their names. WHID is the number of the webhook.
//
//   export RESTANTE_URL=https://hooks.example.org RESTANTE_AUTH=1:TOKEN
//   WHID=2 npx tsx examples/activecampaign.ts
import { createClient } from 'restante/client';

const { RESTANTE_URL = 'http://127.0.0.1:4343', RESTANTE_AUTH = '', WHID } = process.env;
const client = createClient({ url: RESTANTE_URL, auth: RESTANTE_AUTH });
await client.consumer('leads').put({ whid: [Number(WHID)], start: 'earliest' });

for await (const content of client.consume('leads')) {
  const form = content.form();
  const name = `${form.get('contact[first_name]')} ${form.get('contact[last_name]')}`;
  console.log(form.get('type'), form.get('contact[email]'), name); // your work; the next turn of the loop acks
}
