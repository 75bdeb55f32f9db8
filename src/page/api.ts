// The API as the page calls it: the SDK with the credentials of this tab, which live in its closure and nowhere else.
import { type Api, createApi, RestanteError } from '../client/index.ts';

type Answer<Call extends (...given: never[]) => unknown> = Awaited<ReturnType<Call>>;
/** A webhook as the list has it. */
export type ListedWebhook = Answer<Api['webhooks']['list']>['webhooks'][number];
export type TestSent = Answer<Api['webhooks']['test']>;
export type DeadLetters = Answer<ReturnType<Api['consumer']>['dead']>['dead'];

/** Where the service is: the page may be served below a path. */
export const SERVICE_URL = new URL('..', import.meta.url).href.replace(/\/$/, '');

/** `refused` is called when the service does not accept the credentials any more. */
export function connect(id: string, token: string, refused: (detail: string) => void): Api {
  return createApi({
    url: SERVICE_URL,
    auth: `${id}:${token}`,
    async fetch(input, init) {
      // omit: otherwise a 401 makes the browser ask for credentials in a window of its own, and keep them.
      const response = await fetch(input, { ...init, credentials: 'omit', cache: 'no-store' });
      if (response.status === 401) {
        const problem = await response
          .clone()
          .json()
          .catch(() => ({}));
        refused(String(problem.detail ?? 'The credentials are not accepted any more.'));
      }
      return response;
    },
  });
}

/** The status of the service's answer; 0: there was no answer; undefined: the error is not one of a call. */
export const statusOf = (error: unknown): number | undefined =>
  error instanceof RestanteError ? error.status : undefined;

/** An error as a sentence. */
export function sentence(error: unknown): string {
  if (!(error instanceof RestanteError)) return String(error);
  const { status, code, message, errors } = error;
  if (status === 0) return code === 'broken' ? 'The connection broke.' : 'The service cannot be reached.';
  // No problem document of the service: a proxy in between answered for it.
  if (code === `http-${status}`) return `The service answered ${status}.`;
  const more = errors.map(({ path, message }) => `${path.replace(/^(body|query)\.?/, '')} ${message}`).join('; ');
  return more ? `${message} ${more}.` : message;
}
