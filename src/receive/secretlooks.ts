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
