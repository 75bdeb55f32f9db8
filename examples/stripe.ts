// Stripe's own SDK verifies what `restante forward` brings: body and headers are the ones that Stripe sent.
//
//   STRIPE_SECRET=whsec_… npx tsx examples/stripe.ts
//   restante forward stripe --to http://localhost:3000/stripe
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import Stripe from 'stripe';

const { STRIPE_SECRET = '', PORT = '3000' } = process.env;
// Stripe's own limit is 5 minutes, and what waited for you is older. Restante looked at its age when it came (--preset stripe).
const MAX_AGE_S = 90 * 86_400;

createServer(async (request, response) => {
  try {
    const signature = request.headers['stripe-signature'] ?? '';
    const event = Stripe.webhooks.constructEvent(await buffer(request), signature, STRIPE_SECRET, MAX_AGE_S);
    console.log(event.id, event.type); // your work
    response.writeHead(200).end();
  } catch (error) {
    console.error((error as Error).message);
    response.writeHead(400).end(); // it comes again later, and is a dead letter in the end
  }
}).listen(Number(PORT), 'localhost');
