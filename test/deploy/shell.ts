// Follows the named blocks of docs/deploy.md in a shell, as a reader types them, with stand-ins for what needs a whole machine.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mortal } from '../support/fetch-debs.ts';

/** The blocks of one name, in order: ```sh server. */
export const blocksOf = (name: string): string[] =>
  [...readFileSync('docs/deploy.md', 'utf8').matchAll(/^```sh (\w+)\n(.*?)^```$/gms)]
    .filter(([, one]) => one === name)
    .map(([, , text = '']) => text);

export interface Shell {
  /** Runs a block to its end and answers what it printed. Rejects when a line of it fails. */
  type(block: string): Promise<string>;
  end(): void;
}

/** `standIns`: shell scripts by the names of the programs in whose place they come. */
export function openShell(
  folder: string,
  env: Readonly<Record<string, string>>,
  standIns: Readonly<Record<string, string>>,
): Shell {
  const bin = join(folder, 'stand-ins');
  mkdirSync(bin, { recursive: true });
  for (const [name, script] of Object.entries(standIns)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const [file, ...args] = mortal(['bash', '--noprofile', '--norc']);
  const child = spawn(file, args, { cwd: folder, env: { ...env, PATH: `${bin}:${env.PATH}` }, detached: true });
  let said = '';
  let look = () => {};
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      said += text;
      look();
    });
  child.once('exit', () => look());
  let count = 0;
  return {
    async type(block) {
      said = '';
      const path = join(folder, `block-${count++}.sh`);
      writeFileSync(path, block);
      const mark = `\nthe end of ${path} `;
      // In one shell: a later block uses the variables of an earlier one.
      child.stdin.write(`set -e; . ${path} < /dev/null; set +e; printf '${mark.replace('\n', '\\n')}'\n`);
      await new Promise<void>((done) => {
        look = () => (said.includes(mark) || child.exitCode !== null) && done();
        look();
      });
      if (!said.includes(mark)) throw new Error(`this failed:\n${block}\nIt said:\n${said}`);
      return said.slice(0, said.indexOf(mark));
    },
    // With what it left running.
    end: () => void process.kill(-(child.pid as number), 'SIGKILL'),
  };
}
