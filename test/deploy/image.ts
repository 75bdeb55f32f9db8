// Builds a folder from the Dockerfile, line by line and without Docker, and runs in it what the image would run.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { mortal, run } from '../support/fetch-debs.ts';

interface Stage {
  readonly from: string;
  readonly name: string;
  readonly lines: readonly { readonly word: string; readonly rest: string }[];
}

/** The stages of a Dockerfile. */
export function readStages(text: string): readonly Stage[] {
  const joined = text.replace(/^#.*\n/gm, '').replace(/\\\n\s*/g, '');
  const lines = joined.split('\n').flatMap((line) => {
    const [, word = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    return word ? [{ word, rest }] : [];
  });
  const starts = lines.flatMap(({ word }, i) => (word === 'FROM' ? [i] : []));
  return starts.map((start, i) => {
    const [, from = '', name = ''] = /^(\S+)(?: AS (\S+))?$/.exec(lines[start]?.rest ?? '') ?? [];
    return { from, name, lines: lines.slice(start + 1, starts[i + 1]) };
  });
}

/** Somebody who is not root and owns nothing; whoever runs the tests, when that is not root. */
export const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
const OWNER = String(NOBODY.uid ?? process.getuid?.());

export interface Image {
  /** What would be `/`. Nobody may write there but in the volume. */
  readonly root: string;
  readonly volume: string;
  readonly stopSignal: NodeJS.Signals;
  readonly healthcheck: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** ENTRYPOINT with these words, or with CMD. */
  command(words?: readonly string[]): readonly string[];
  start(command: readonly string[], env: Readonly<Record<string, string>>): ChildProcess;
  /** For rm -r. */
  open(): Promise<string>;
}

const sources = (rest: string) => {
  const words = rest.split(' ').filter((word) => !word.startsWith('--'));
  return { from: words.slice(0, -1), to: words.at(-1) ?? '' };
};

/** Makes it with this Node in place of the base image. `npm ci` is left out: the installed packages are taken. */
export async function makeImage(folder: string, node: string): Promise<Image> {
  const [build, final, ...more] = readStages(readFileSync('Dockerfile', 'utf8'));
  if (build?.name !== 'build' || !final || more.length > 0) throw new Error('the Dockerfile has other stages');
  const [before, root] = [join(folder, 'build-stage'), join(folder, 'image')];
  for (const at of [before, root]) {
    mkdirSync(join(at, 'usr/local/bin'), { recursive: true });
    copyFileSync(node, join(at, 'usr/local/bin/node'));
  }
  await materialize(build, before, () => resolve('.'));
  await materialize(final, root, () => before);

  const said = (word: string) => final.lines.filter((line) => line.word === word).map(({ rest }) => rest);
  const words = (word: string) => JSON.parse(said(word)[0] ?? '') as string[];
  const env = Object.fromEntries(said('ENV').map((one) => one.split('=') as [string, string]));
  const volume = join(root, said('VOLUME')[0] ?? '');
  await run(['chmod', '-R', 'a-w,a+rX', root]);
  chmodSync(folder, 0o755);
  chmodSync(volume, 0o700);
  const health = /CMD (\[.*)$/.exec(said('HEALTHCHECK')[0] ?? '')?.[1] ?? '';
  return {
    root,
    volume,
    env,
    stopSignal: said('STOPSIGNAL')[0] as NodeJS.Signals,
    healthcheck: JSON.parse(health) as string[],
    command: (given = words('CMD')) => [...words('ENTRYPOINT'), ...given],
    start(command, more) {
      const [file, ...args] = mortal(command);
      // HOME and TMPDIR lie where it may not write.
      const own = { PATH: `${root}/usr/local/bin:/usr/bin:/bin`, HOME: root, TMPDIR: root };
      const cwd = join(root, said('WORKDIR').at(-1) ?? '');
      return spawn(file, args, { cwd, env: { ...own, ...env, ...more }, ...NOBODY });
    },
    open: () => run(['chmod', '-R', 'u+w', folder]),
  };
}

async function materialize({ lines }: Stage, root: string, stage: (name: string) => string): Promise<void> {
  let cwd = root;
  for (const { word, rest } of lines) {
    if (word === 'WORKDIR') {
      cwd = join(root, rest);
      mkdirSync(cwd, { recursive: true });
    } else if (word === 'COPY') {
      const { from, to } = sources(rest);
      for (const one of from) {
        const place = to.startsWith('/') ? join(root, to) : join(cwd, to);
        cpSync(join(stage(rest), one), to.endsWith('/') ? join(place, basename(one)) : place, { recursive: true });
      }
    } else if (word === 'RUN' && rest.startsWith('npm ci ')) {
      symlinkSync(resolve('node_modules'), join(cwd, 'node_modules'));
    } else if (word === 'RUN') {
      const here = rest.replace(/(?<=\s)\/(?=\w)/g, `${root}/`).replace(/\b1000\b/g, OWNER);
      await run(['sh', '-c', `cd ${cwd} && PATH=${root}/usr/local/bin:$PATH && ${here}`]);
    }
  }
}

/** What the Dockerfile copies out of this repository. */
export const copiedFiles = (): string[] =>
  (readStages(readFileSync('Dockerfile', 'utf8'))[0]?.lines ?? [])
    .filter(({ word }) => word === 'COPY')
    .flatMap(({ rest }) => sources(rest).from);
