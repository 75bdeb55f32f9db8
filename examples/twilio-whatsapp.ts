// WhatsApp messages of Twilio, verified by Twilio's own SDK. It signs the public URL, which is in X-Restante-Url.
//
//   TWILIO_AUTH_TOKEN=… npx tsx examples/twilio-whatsapp.ts
//   restante forward whatsapp --to http://localhost:3000/whatsapp
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import twilio from 'twilio';

const { TWILIO_AUTH_TOKEN = '', PORT = '3000' } = process.env;

createServer(async (request, response) => {
  const form = Object.fromEntries(new URLSearchParams(await text(request)));
  const { 'x-twilio-signature': signature, 'x-restante-url': url } = request.headers;
  if (!twilio.validateRequest(TWILIO_AUTH_TOKEN, String(signature), String(url), form)) {
    response.writeHead(403).end();
    return;
  }
  // Your work. Twilio got its answer when the message came; to write back, call twilio(…).messages.create.
  console.log(`${form.ProfileName} (${form.From}) wrote: ${form.Body}`);
  response.writeHead(204).end();
}).listen(Number(PORT), 'localhost');
