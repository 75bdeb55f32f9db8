// Writes the table of settings into the README, from config.ts. Run: npm run settings
import { readFileSync, writeFileSync } from 'node:fs';
import { SETTINGS } from '../src/settings.ts';

const rows = Object.values(SETTINGS).map(
  ({ name, default: byDefault, help }) => `| \`${name}\` | ${byDefault ? `\`${byDefault}\`` : ''} | ${help} |`,
);
const table = ['| setting | default | what it does |', '| --- | --- | --- |', ...rows].join('\n');
const readme = readFileSync('README.md', 'utf8');
const between = /(<!-- settings -->\n)[\s\S]*?(\n<!-- \/settings -->)/;
if (!between.test(readme)) throw new Error('README.md has no <!-- settings --> … <!-- /settings -->');
writeFileSync(
  'README.md',
  readme.replace(between, (_all, begin, end) => begin + table + end),
);
