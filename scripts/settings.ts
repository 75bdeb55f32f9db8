// Writes the table of docs/settings.md from the settings in the source. Run: npm run settings
import { readFileSync, writeFileSync } from 'node:fs';
import { SETTINGS } from '../src/config/settings.ts';

const rows = Object.values(SETTINGS).map(
  ({ name, default: byDefault, help }) => `| \`${name}\` | ${byDefault ? `\`${byDefault}\`` : ''} | ${help} |`,
);
const table = ['| setting | default | what it does |', '| --- | --- | --- |', ...rows].join('\n');
const PAGE = 'docs/settings.md';
const page = readFileSync(PAGE, 'utf8');
const between = /(<!-- settings -->\n)[\s\S]*?(<!-- \/settings -->)/;
if (!between.test(page)) throw new Error(`${PAGE} has no <!-- settings --> … <!-- /settings -->`);
writeFileSync(
  PAGE,
  page.replace(between, (_all, begin, end) => `${begin}${table}\n${end}`),
);
