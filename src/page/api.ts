// Api to the service: the SDK, as a page needs it, with the credentials of this tab. They live in its closure, nowhere else.
import { type Api, createApi, RestanteError } from '../client/index.ts';

type Answer<Call extends (...given: never[]) => unknown> = Awaited<ReturnType<Call>>;
/** A webhook as the list has it. */
export type ListedWebhook = Answer<Api['webhooks']['list']>['webhooks'][number];
export type DeadLetters = Answer<ReturnType<Api['consumer']>['dead']>['dead'];

/** Where the service is: the page may be served below a path. */
export const SERVICE_URL = new URL('..', import.meta.url).href.replace(/\/$/, '');

/** `refused` is told when the credentials do not open anything any more. */
export function connect(id: string, token: string, refused: (detail: string) => void): Api {
  return createApi({
    url: SERVICE_URL,
    auth: `${id}:${token}`,
    async fetch(input, init) {
      // omit: else a 401 makes the browser ask for credentials in a window of its own, and keep them.
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

/** The status that the service answered with; 0: none; undefined: it is no error of a call. */
export const statusOf = (error: unknown): number | undefined =>
  error instanceof RestanteError ? error.status : undefined;

/** What went wrong, as a sentence. */
export function sentence(error: unknown): string {
  if (!(error instanceof RestanteError)) return String(error);
  const { status, code, message, errors } = error;
  if (status === 0) return code === 'broken' ? 'The line broke.' : 'The service cannot be reached.';
  // No problem of the service: something in between answered for it.
  if (code === `http-${status}`) return `The service answered ${status}.`;
  const more = errors.map(({ path, message }) => `${path.replace(/^(body|query)\.?/, '')} ${message}`).join('; ');
  return more ? `${message} ${more}.` : message;
}
