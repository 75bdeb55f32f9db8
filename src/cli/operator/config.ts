// restante config: the settings in force, secrets masked.
import type { Command } from 'commander';
import { describeConfig } from '../../config/config.ts';
import { type Io, table } from '../io.ts';
import { ALL, configOf, verb } from '../verb.ts';

export const configCommand = (io: Io): Command =>
  verb({
    name: 'config',
    summary: 'Print the settings in force, secrets masked.',
    examples: ['restante config', 'PORT=8080 restante config --json'],
    settings: ALL,
  })
    .option('--json', 'as JSON')
    .action((options: { json?: boolean }) => {
      const settings = describeConfig(configOf(io, options));
      if (options.json)
        return io.out(
          `${JSON.stringify(Object.fromEntries(settings.map(({ name, value }) => [name, value])), null, 2)}\n`,
        );
      io.out(table(settings, ['name', 'value', 'help']));
    });
