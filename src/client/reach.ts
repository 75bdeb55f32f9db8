// Finds out whether a server that did not answer can be reached again, without a word from connections that died.
import { RestanteError } from './error.ts';
import type { CallOptions } from './request.ts';
import { sleep } from './wait.ts';

const PROBES = 6;
const EVERY_MS = 500;
const TIMEOUT_MS = 3_000;

/** Resolves as soon as it answers anything at all. Whoever pulls instead may wait in vain for as long as a pull waits. */
export async function reach(healthz: (more: CallOptions) => Promise<unknown>, ended: AbortSignal): Promise<void> {
  const done = new AbortController();
  const signal = AbortSignal.any([ended, done.signal]);
  // Connections that were idle have died, too, and each would be tried in its turn: several ask, each over one of its own.
  const asked = Array.from({ length: PROBES }, async (_, i) => {
    await sleep(i * EVERY_MS, signal);
    await healthz({ signal, timeoutMs: TIMEOUT_MS }).catch((error: unknown) => {
      if (!(error instanceof RestanteError) || error.status === 0) throw error;
    });
  });
  await Promise.any(asked)
    .catch(({ errors }: AggregateError) => Promise.reject(errors[0]))
    .finally(() => done.abort());
}
