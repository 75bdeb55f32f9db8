// Calls to the service with the credentials of this tab. They live in this closure, and nowhere else.

/** What the service said is wrong, in its own words. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  constructor(status: number, detail: string, code = '', errors: ApiError['errors'] = []) {
    super(detail);
    this.status = status;
    this.code = code;
    this.errors = errors;
  }
}

export interface Api {
  get<T>(path: string): Promise<T>;
  send<T>(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<T>;
  bytes(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /** An answer that goes on. */
  stream(path: string, signal: AbortSignal): Promise<Response>;
}

/** Where the service is: the page may be served below a path. */
export const SERVICE_URL = new URL('..', import.meta.url).href.replace(/\/$/, '');

function authorization(id: string, token: string): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(`${id}:${token}`)) binary += String.fromCharCode(byte);
  return `Basic ${btoa(binary)}`;
}

async function problemOf(response: Response): Promise<ApiError> {
  try {
    const { detail, title, type, errors } = await response.json();
    const code = String(type ?? '').replace('urn:restante:problem:', '');
    return new ApiError(response.status, String(detail ?? title), code, errors ?? []);
  } catch {
    return new ApiError(response.status, `The service answered ${response.status} ${response.statusText}.`);
  }
}

/** `refused` is told when the credentials do not open anything any more. */
export function createApi(id: string, token: string, refused: (detail: string) => void): Api {
  const headers = { authorization: authorization(id, token) };
  async function ask(path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      // omit: else a 401 makes the browser ask for credentials in a window of its own, and keep them.
      response = await fetch(SERVICE_URL + path, {
        ...init,
        headers: { ...headers, ...init.headers },
        credentials: 'omit',
        cache: 'no-store',
      });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new ApiError(0, 'The service cannot be reached.');
    }
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.status === 401) refused(problem.message);
    throw problem;
  }
  return {
    get: async (path) => (await ask(path)).json(),
    async send(method, path, body) {
      const response = await ask(path, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
      return response.status === 204 ? undefined : response.json();
    },
    bytes: async (path) => new Uint8Array(await (await ask(path)).arrayBuffer()),
    stream: (path, signal) => ask(path, { signal, headers: { accept: 'text/event-stream' } }),
  };
}

/** What went wrong, as a sentence. */
export function sentence(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  const more = error.errors.map(({ path, message }) => `${path.replace(/^(body|query)\.?/, '')} ${message}`).join('; ');
  return more ? `${error.message} ${more}.` : error.message;
}
