// Programs that check the API document or make clients of it, installed once in the cache folder; and the clients that are tested.
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { migratedDatabase, startService } from './engines.ts';
import { cacheFolder, moveOnce, run, scratchFolder } from './fetch-debs.ts';
import { needs, type Skips } from './tools.ts';

/** Each is the newest that runs on Node 20. */
const NPM = ['@redocly/cli@2.77.0', '@stoplight/spectral-cli@6.16.3', '@hey-api/openapi-ts@0.92.4', 'orval@7.13.2'];
const PYPI = ['openapi-python-client==0.29.1', 'pydantic>=2', 'python-dateutil', 'urllib3', 'typing-extensions'];
const SCHEMATHESIS = ['schemathesis==4.32.5'];
const GENERATOR = 'org.openapitools:openapi-generator-cli:7.14.0';

/** Makes a folder of the cache once. */
async function once(name: string, make: (folder: string) => Promise<unknown>): Promise<string> {
  const folder = join(cacheFolder(), name);
  if (existsSync(folder)) return folder;
  const work = await scratchFolder(join(cacheFolder(), 'fetching-'));
  process.stderr.write(`fetching ${name}, once …\n`);
  try {
    await make(work.path);
    return await moveOnce(work.path, folder);
  } finally {
    await work.remove();
  }
}
const nameOf = (packages: readonly string[]) =>
  packages
    .map((one) => one.replace(/[^\w.]+/g, '-').replace(/^-/, ''))
    .join('_')
    .slice(0, 120);

/** The folder with the programs of npm. They run no script when they are installed. */
export const npmTools = (): Promise<string> =>
  once(nameOf(NPM), async (folder) => {
    await writeFile(join(folder, 'package.json'), '{"private":true}');
    await run(['npm', 'install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', ...NPM]);
  });

// A virtual environment cannot be moved: it holds its own path. Packages alone can.
const pythonTools = (python: string, packages: readonly string[] = PYPI): Promise<string> =>
  once(nameOf(packages), (folder) => run([python, '-m', 'pip', 'install', '-q', '--target', folder, ...packages]));

/** All its phases, by the settings in `config` and the hooks in `folder`. Throws with all that it says when it finds something. */
export async function schemathesis(
  folder: string,
  document: string,
  config: string,
  asked: Asked,
  test: Skips,
): Promise<string> {
  const python = needs('python3', test);
  const path = `PYTHONPATH=${await pythonTools(python, SCHEMATHESIS)}:${folder}`;
  const options = ['--auth', `${asked.id}:${asked.token}`, '--max-examples', '10', '--continue-on-failure'];
  return run([
    ...['env', path, 'SCHEMATHESIS_HOOKS=hooks', python, '-m', 'schemathesis.cli', '--config-file', config],
    ...['run', document, '--url', asked.url, ...options],
  ]);
}

async function generatorJar(mvn: string): Promise<string> {
  const [group = '', name = '', version = ''] = GENERATOR.split(':');
  const path = join(homedir(), '.m2/repository', group.replaceAll('.', '/'), name, version, `${name}-${version}.jar`);
  if (!existsSync(path)) await run([mvn, '-q', 'dependency:get', `-Dartifact=${GENERATOR}`, '-Dtransitive=false']);
  return path;
}

/** What a client is told: where the service is and who asks. */
export interface Asked {
  readonly url: string;
  readonly id: string;
  readonly token: string;
}
/** Makes a client from the document in `folder`, builds it, pages through the list, and answers how many contents came. */
export type ClientRun = (folder: string, document: string, asked: Asked, test: Skips) => Promise<string>;

const HERE = process.cwd();

/** Checks the types of a program, and runs it. */
async function runTypeScript(folder: string, source: string, { url, id, token }: Asked): Promise<string> {
  const file = join(folder, 'page.ts');
  await writeFile(file, source);
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  const compilerOptions = {
    ...{
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      target: 'es2022',
      module: 'esnext',
      moduleResolution: 'bundler',
    },
    ...{ lib: ['es2022', 'dom', 'dom.iterable'], types: ['node'], typeRoots: [join(HERE, 'node_modules/@types')] },
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
  await run([process.execPath, join(HERE, 'node_modules/typescript/bin/tsc'), '-p', folder]);
  return run([join(HERE, 'node_modules/.bin/tsx'), file, url, id, token]);
}
const TS_HEAD = `const [url = '', id = '', token = ''] = process.argv.slice(2);
const headers = { authorization: 'Basic ' + btoa(id + ':' + token) };
let [next, count] = [0, 0];\n`;

async function byGenerator(language: string, folder: string, document: string, test: Skips): Promise<void> {
  const [java, mvn] = [needs('java', test), needs('mvn', test)];
  const quiet = 'apiTests=false,modelTests=false,apiDocs=false,modelDocs=false';
  await run([
    java,
    '-jar',
    await generatorJar(mvn),
    'generate',
    '-i',
    document,
    '-g',
    language,
    '-o',
    folder,
    '--global-property',
    quiet,
  ]);
}

export const LIGHT: Readonly<Record<string, ClientRun>> = {
  async 'openapi-typescript'(folder, document, asked) {
    await run([join(HERE, 'node_modules/.bin/openapi-typescript'), document, '-o', join(folder, 'api.ts')]);
    return runTypeScript(
      folder,
      `import type { operations } from './api';
type Page = operations['listContents']['responses'][200]['content']['application/json'];
${TS_HEAD}for (let page: Page | undefined; !page || page.whcontent.length > 0; next = page.next_id) {
  page = (await (await fetch(\`\${url}/whcontent?whid=all&limit=10&id=\${next}\`, { headers })).json()) as Page;
  count += page.whcontent.length;
}
console.log(count);`,
      asked,
    );
  },
  async '@hey-api/openapi-ts'(folder, document, asked) {
    await run([join(await npmTools(), 'node_modules/.bin/openapi-ts'), '-i', document, '-o', join(folder, 'api')]);
    return runTypeScript(
      folder,
      `import { createClient } from './api/client/index';
import { listContents } from './api/index';
${TS_HEAD}const client = createClient({ baseUrl: url, auth: () => id + ':' + token });
for (;;) {
  const { data } = await listContents({ client, query: { whid: 'all', limit: 10, id: next }, throwOnError: true });
  if (data.whcontent.length === 0) break;
  count += data.whcontent.length;
  next = data.next_id;
}
console.log(count);`,
      asked,
    );
  },
  async orval(folder, document, asked) {
    await run([
      join(await npmTools(), 'node_modules/.bin/orval'),
      '--input',
      document,
      '--output',
      join(folder, 'api.ts'),
      '--client',
      'fetch',
    ]);
    // Its calls begin with the server of the document.
    return runTypeScript(
      folder,
      `import { listContents } from './api';
${TS_HEAD}const send = fetch;
globalThis.fetch = (to, init) => send(new URL(String(to), url), init);
for (;;) {
  const { status, data } = await listContents({ whid: 'all', limit: 10, id: next }, { headers });
  if (status !== 200) throw new Error(JSON.stringify(data));
  if (data.whcontent.length === 0) break;
  count += data.whcontent.length;
  next = data.next_id;
}
console.log(count);`,
      asked,
    );
  },
};

export const HEAVY: Readonly<Record<string, ClientRun>> = {
  async 'openapi-python-client'(folder, document, asked, test) {
    const python = needs('python3', test);
    const tools = await pythonTools(python);
    const env = ['env', `PYTHONPATH=${tools}:${folder}`, python];
    const told = await run([
      ...env,
      '-m',
      'openapi_python_client',
      'generate',
      '--path',
      document,
      '--output-path',
      join(folder, 'api'),
      '--meta',
      'none',
    ]);
    if (/Unable|removal|not be generated/.test(told)) throw new Error(told);
    return run([
      ...env,
      '-c',
      `import base64, sys
from api import AuthenticatedClient
from api.api.contents import list_contents
from api.api.receiver import receive_webhook
url, id, token = sys.argv[1:]
client = AuthenticatedClient(url, base64.b64encode(f'{id}:{token}'.encode()).decode(), prefix='Basic')
next, count = 0, 0
while True:
    page = list_contents.sync(client=client, whid='all', limit=10, id=next)
    if not page.whcontent: break
    count += len(page.whcontent)
    next = page.next_id
print(count)`,
      asked.url,
      asked.id,
      asked.token,
    ]);
  },
  async python(folder, document, asked, test) {
    const python = needs('python3', test);
    await byGenerator('python', folder, document, test);
    return run([
      'env',
      `PYTHONPATH=${await pythonTools(python)}:${folder}`,
      python,
      '-c',
      `import sys
import openapi_client as api
url, id, token = sys.argv[1:]
contents = api.ContentsApi(api.ApiClient(api.Configuration(host=url, username=id, password=token)))
next, count = 0, 0
while True:
    page = contents.list_contents(whid='all', limit=10, id=next)
    if not page.whcontent: break
    count += len(page.whcontent)
    next = page.next_id
print(count)`,
      asked.url,
      asked.id,
      asked.token,
    ]);
  },
  async 'typescript-fetch'(folder, document, asked, test) {
    await byGenerator('typescript-fetch', join(folder, 'api'), document, test);
    return runTypeScript(
      folder,
      `import { Configuration, ContentsApi } from './api/index';
${TS_HEAD}const contents = new ContentsApi(new Configuration({ basePath: url, username: id, password: token }));
for (;;) {
  const page = await contents.listContents({ whid: 'all', limit: 10, id: next });
  if (page.whcontent.length === 0) break;
  count += page.whcontent.length;
  next = page.nextId;
}
console.log(count);`,
      asked,
    );
  },
  async go(folder, document, asked, test) {
    const go = needs('go', test);
    await byGenerator('go', join(folder, 'api'), document, test);
    await writeFile(
      join(folder, 'go.mod'),
      `module page\n\ngo 1.18\n\nrequire github.com/GIT_USER_ID/GIT_REPO_ID v0.0.0\n\nreplace github.com/GIT_USER_ID/GIT_REPO_ID => ./api\n`,
    );
    await writeFile(
      join(folder, 'main.go'),
      `package main

import (
	"context"
	"fmt"
	"os"

	api "github.com/GIT_USER_ID/GIT_REPO_ID"
)

func main() {
	configuration := api.NewConfiguration()
	configuration.Servers = api.ServerConfigurations{{URL: os.Args[1]}}
	contents := api.NewAPIClient(configuration).ContentsAPI
	as := context.WithValue(context.Background(), api.ContextBasicAuth, api.BasicAuth{UserName: os.Args[2], Password: os.Args[3]})
	var next int64
	count := 0
	for {
		page, _, err := contents.ListContents(as).Whid("all").Limit(10).Id(next).Execute()
		if err != nil {
			panic(err)
		}
		if len(page.Whcontent) == 0 {
			break
		}
		count += len(page.Whcontent)
		next = page.NextId
	}
	fmt.Println(count)
}
`,
    );
    return run(['env', '-C', folder, 'GOFLAGS=-mod=mod', go, 'run', '.', asked.url, asked.id, asked.token]);
  },
  async java(folder, document, asked, test) {
    const [java, mvn] = [needs('java', test), needs('mvn', test)];
    needs('javac', test);
    await byGenerator('java', folder, document, test);
    await mkdir(join(folder, 'src/main/java/page'), { recursive: true });
    await writeFile(
      join(folder, 'src/main/java/page/Page.java'),
      `package page;

import org.openapitools.client.ApiClient;
import org.openapitools.client.api.ContentsApi;
import org.openapitools.client.model.ContentPage;

public class Page {
  public static void main(String[] args) throws Exception {
    ApiClient client = new ApiClient();
    client.setBasePath(args[0]);
    client.setUsername(args[1]);
    client.setPassword(args[2]);
    long next = 0;
    int count = 0;
    while (true) {
      ContentPage page = new ContentsApi(client).listContents(next, "all", 10, null, null, null, null, null, null, null);
      if (page.getWhcontent().isEmpty()) break;
      count += page.getWhcontent().size();
      next = page.getNextId();
    }
    System.out.println(count);
  }
}
`,
    );
    const classPath = join(folder, 'classpath');
    await run([
      mvn,
      '-q',
      '-B',
      '-f',
      folder,
      'compile',
      'dependency:build-classpath',
      `-Dmdep.outputFile=${classPath}`,
    ]);
    const path = `${join(folder, 'target/classes')}:${await readFile(classPath, 'utf8')}`;
    return run([java, '-cp', path, 'page.Page', asked.url, asked.id, asked.token]);
  },
};

/** A running service with 25 contents, and its document as a file in a folder. */
export async function serveDocument() {
  const database = await migratedDatabase('sqlite');
  const service = await startService(database.url, { PUBLIC_URL: 'https://hooks.restante.test' });
  const user = await service.user();
  for (let i = 0; i < 25; i++)
    await fetch(`${service.url}/whcontent`, { method: 'POST', headers: { authorization: user.auth }, body: `n${i}` });
  const folder = await scratchFolder('/tmp/restante-clients-');
  const document = join(folder.path, 'openapi.json');
  await writeFile(document, await (await fetch(`${service.url}/openapi.json`)).text());
  return {
    folder: folder.path,
    document,
    asked: { url: service.url, id: String(user.id), token: user.token } satisfies Asked,
    async close(): Promise<void> {
      await service.close();
      await database.drop();
      await folder.remove();
    },
  };
}
