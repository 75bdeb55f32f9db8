// What is known of one provider: a preset is such a row, and nothing but data.
import type { HandshakeInput, VerifyInput } from '../schemaverify.ts';

/** Sources that are joined by `/`: all of them must be there. */
export type Joined = string | readonly string[];

export interface Preset {
  readonly name: string;
  readonly title: string;
  readonly verify: VerifyInput;
  readonly handshake?: readonly HandshakeInput[];
  /** Where the id of the event stands: the first that is there. */
  readonly dedupe?: readonly Joined[];
  /** Where its type stands: the first that is there. */
  readonly event_type?: readonly Joined[];
  /** The answer they want, where it is not 200 with nothing. */
  readonly response?: { readonly status: number; readonly content_type: string; readonly body: string };
  /** What the provider calls the secret and where it stands; undefined: needs none. */
  readonly secret?: string;
  /** The exact steps to paste the URL at the provider; `{url}` stands for the URL of the webhook. */
  readonly steps: readonly string[];
  /** How long they wait for an answer. */
  readonly waits: string;
  readonly retries: string;
  /** The page these facts are from. */
  readonly source: string;
  /** Against what this row is tested. */
  readonly checked: string;
}
