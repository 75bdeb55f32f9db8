// What is known of one provider: a preset is such a row, and nothing but data.
import type { HandshakeInput, VerifyInput } from '../../schema/webhooks.ts';

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

// How the secrets of providers look, where that is known: another kind of key from the same page is the usual mistake.

type Look = readonly [pattern: RegExp, words: string];

const WHSEC: Look = [/^whsec_/, 'begins with whsec_'];
const HEX32: Look = [/^[0-9a-f]{32}$/i, 'has 32 hexadecimal digits'];
// By the name of the preset. Beside the rows of the presets and not in them: a look is a hint, no rule that could refuse.
const LOOKS: ReadonlyMap<string, Look> = new Map([
  ['stripe', WHSEC],
  ['standard-webhooks', WHSEC],
  ['svix', WHSEC],
  ['gitlab-signing', WHSEC],
  ['twilio', HEX32],
  ['slack', HEX32],
  ['meta', HEX32],
  ['shopify', [/^(shpss_)?[0-9a-f]{32,64}$/i, 'has 32 to 64 hexadecimal digits, with or without shpss_ in front']],
  ['paddle', [/^pdl_ntfset_/, 'begins with pdl_ntfset_']],
  ['linear', [/^lin_wh_/, 'begins with lin_wh_']],
  ['github', [/^(?!gh[pousr]_|github_pat_)/, 'is a text that you chose, no access token']],
]);

/** What a secret of this preset is like, when this text is not; undefined when nothing speaks against it. */
export function unlike(preset: string | null | undefined, secret: string): string | undefined {
  const [pattern, words] = LOOKS.get(preset ?? '') ?? [];
  return pattern && !pattern.test(secret) ? words : undefined;
}
