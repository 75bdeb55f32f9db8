// Every provider that is known by name. A new provider is a row, not code.
import { BILLING } from './billing.ts';
import { CERTIFIED } from './certified.ts';
import { COMMERCE } from './commerce.ts';
import { CONNECT } from './connect.ts';
import { DEVELOPER } from './developer.ts';
import { MESSAGING } from './messaging.ts';
import { PAYMENTS } from './payments.ts';
import { PLATFORMS } from './platforms.ts';
import type { Preset } from './preset.ts';
import { SALES } from './sales.ts';
import { TEAMWORK } from './teamwork.ts';

export type { Preset } from './preset.ts';

const GENERIC: Preset = {
  name: 'generic',
  title: 'Any other provider',
  verify: {},
  secret: 'Whatever the provider signs with.',
  steps: [
    'Find out in the documentation of the provider what it signs and where the signature stands.',
    'Say it in `verify` and set the secret.',
    'Paste {url} at the provider.',
  ],
  waits: 'as the provider says',
  retries: 'as the provider says',
  source: 'docs/providers.md',
  checked: 'the vectors of RFC 4231 and RFC 8032',
};

export const PRESETS: ReadonlyMap<string, Preset> = new Map(
  [
    ...PAYMENTS,
    ...COMMERCE,
    ...DEVELOPER,
    ...SALES,
    ...MESSAGING,
    ...TEAMWORK,
    ...CONNECT,
    ...BILLING,
    ...PLATFORMS,
    ...CERTIFIED,
    GENERIC,
  ].map((preset) => [preset.name, preset]),
);
