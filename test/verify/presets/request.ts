// Requests for the tests of verdicts, as the receiver hands them on.
import type { Incoming, Secret } from '../../../src/verify/request.ts';

export const NOW_MS = 1_764_000_000_000;
export const URL_HERE = 'https://hooks.example.org/in/2kYQb7Xr5jZ0pVtW';

export interface Given {
  readonly method?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly nowMs?: number;
}

export const request = ({
  method = 'POST',
  url = URL_HERE,
  headers = {},
  body = '',
  nowMs = NOW_MS,
}: Given): Incoming => ({
  method,
  publicUrl: url,
  headers: ['Host', 'hooks.example.org', 'User-Agent', 'test', ...Object.entries(headers).flat()],
  body: Buffer.from(body),
  receivedMs: nowMs,
});

export const lasting = (...values: readonly string[]): readonly Secret[] =>
  values.map((value) => ({ value, expiresMs: null }));
