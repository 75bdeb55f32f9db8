// Which headers hide a secret of somebody, and are shown only when asked for.

const SECRET = /^(proxy-)?authorization$|cookie|token|secret|passw|api[-_]?key|access[-_]?key|credential/i;
// Named like a secret, but known to be none.
const HARMLESS = /^(i-twilio-idempotency-token|x-csrf-token-required)$/i;

export const isSecret = (name: string): boolean => SECRET.test(name) && !HARMLESS.test(name);
