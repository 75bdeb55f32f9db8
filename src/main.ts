// The bin: verbs, exit codes, and the only file that touches `process`.
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { VERSION } from './api/openapi.ts';
import { doctorCommand } from './cli/doctor/doctor.ts';
import { Complaint, createOut, Enough, type Io, systemFault } from './cli/io.ts';
import { configCommand } from './cli/operator/config.ts';
import { eraseCommand } from './cli/operator/erase.ts';
import { exportCommand } from './cli/operator/export.ts';
import { migrateCommand } from './cli/operator/migrate.ts';
import { presetsCommand } from './cli/operator/presets.ts';
import { pruneCommand } from './cli/operator/prune.ts';
import { sendCommand } from './cli/operator/send.ts';
import { userCommand } from './cli/operator/user.ts';
import { webhookCommand } from './cli/operator/webhook.ts';
import { consumerCommand } from './cli/reader/consumer.ts';
import { forwardCommand } from './cli/reader/forward.ts';
import { pullCommand } from './cli/reader/pull.ts';
import { whyCommand } from './cli/reader/why.ts';
import { serveCommand } from './cli/serve.ts';
import { closing, helped } from './cli/verb.ts';
import { BadSettings } from './config/config.ts';

const VERBS = [
  serveCommand,
  migrateCommand,
  doctorCommand,
  userCommand,
  webhookCommand,
  pullCommand,
  forwardCommand,
  consumerCommand,
  presetsCommand,
  sendCommand,
  whyCommand,
  pruneCommand,
  eraseCommand,
  exportCommand,
  configCommand,
];

const EXAMPLES = [
  'restante serve',
  'restante webhook add "Payments" --preset stripe --secret-file -',
  'restante why evt_123',
  'restante consumer list',
  'restante migrate --check',
] as const;

/** Runs one command line. 0 = done, 1 = it did not work, 2 = it was asked wrongly (flags, settings, rights). */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const program = new Command('restante')
    .description('Poste restante for webhooks: receives them, keeps them, hands them out to clients that poll.')
    .version(VERSION, '-v, --version')
    .addHelpText('after', `${closing(EXAMPLES)}\nEvery verb has its own --help.\n`);
  for (const verb of VERBS) program.addCommand(verb(io));
  prepare(program, io);
  try {
    await program
      .parseAsync(argv[0] === 'version' ? ['--version'] : [...helped(program, argv)], { from: 'user' })
      .catch(unlessHelp);
    await io.written();
    return 0;
  } catch (error) {
    if (error instanceof Enough) return 0;
    if (error instanceof CommanderError) return 2;
    if (error instanceof BadSettings || error instanceof Complaint) {
      io.err(`restante: ${error.message}\n`);
      return error instanceof Complaint ? error.code : 2;
    }
    io.err(`restante: ${systemFault(error) ?? (error instanceof Error ? error.stack : String(error))}\n`);
    return 1;
  }
}

/** Commander throws after it has printed what --help and --version ask for. */
function unlessHelp(error: unknown): void {
  if (!(error instanceof CommanderError && error.exitCode === 0)) throw error;
}

/** Commander must not end the process nor write past `io`. */
function prepare(command: Command, io: Io): void {
  command.exitOverride().configureOutput({
    writeOut: io.out,
    writeErr: io.err,
    // `--secret=whsec_…` is no flag of ours, and its value must not be shown.
    outputError: (text, write) => write(text.replace(/('--?[\w-]+)=.*'/s, "$1'")),
  });
  for (const sub of command.commands) prepare(sub, io);
}

/** Reads what is typed until Ctrl-D without showing it: it is a secret. A public key has several lines. */
function typedUnseen(): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 });
  let text = '';
  lines.on('line', (line) => {
    text += `${line}\n`;
  });
  return new Promise((resolve, reject) => {
    lines.on('SIGINT', () => {
      // Reject first: to close resolves with what was typed so far.
      reject(new Complaint('not answered: nothing was done'));
      lines.close();
    });
    lines.on('close', () => resolve(text));
  });
}

/** Each key as it is pressed, without Enter. Ctrl-C comes as a key, too. */
function keysOf(on: (key: string) => void): () => void {
  const { stdin } = process;
  const read = (bytes: Buffer) => void [...bytes.toString('utf8')].forEach(on);
  stdin.setRawMode(true).on('data', read).resume();
  return () => void stdin.off('data', read).setRawMode(false).pause();
}

const BROWSERS: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
};
function browse(url: string): Promise<boolean> {
  const [command = '', ...args] = BROWSERS[process.platform] ?? ['xdg-open'];
  return new Promise((resolve) => {
    const child = spawn(command, [...args, url], { stdio: 'ignore', detached: true });
    child.once('error', () => resolve(false)).once('spawn', () => resolve(true));
    child.unref();
  });
}

const ofProcess = (): Io => ({
  env: process.env,
  ...createOut(process.stdout, 1),
  err: (text) => void process.stderr.write(text),
  async input() {
    if (process.stdin.isTTY) return typedUnseen();
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('utf8');
  },
  async ask(question) {
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return await lines.question(question);
    } catch {
      // Ctrl-C and Ctrl-D are an answer too.
      process.stderr.write('\n');
      throw new Complaint('not answered: nothing was done');
    } finally {
      lines.close();
    }
  },
  // All three: a pipe answers no question, and a log has no use for a status line that rewrites itself.
  tty: [0, 1, 2].every((stream) => isatty(stream)),
  keys: keysOf,
  browse,
  width: process.stdout.isTTY ? process.stdout.columns : undefined,
  nodeVersion: process.versions.node,
  memory: process,
  stopped: () =>
    new Promise((resolve) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
    }),
});

// Started by name or through npm's link; imported by tests, this file does nothing.
const started = process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
if (started) {
  process.stderr.on('error', () => {}); // a stderr that fails has no other place to tell it
  process.exitCode = await run(process.argv.slice(2), ofProcess());
  // A connection to a hung database must not keep the program alive. A slow reader of the output gets all of it first.
  process.stdout.write('', () => setTimeout(() => process.exit(), 2_000).unref());
}
