// Writes src/client/api.ts: the types of every call, from the API document. `-- --check` only tells whether it is fresh.
import { readFileSync, writeFileSync } from 'node:fs';
import openapiTS, { astToString, type OpenAPI3, type OpenAPITSOptions } from 'openapi-typescript';
import ts from 'typescript';
import { ROUTES } from '../src/api/app.ts';
import { apiDocument, referring, SHAPES } from '../src/api/openapi.ts';
import { readConfig } from '../src/config/config.ts';

const FILE = new URL('../src/client/api.ts', import.meta.url);
const HEAD = `// The types of every call of the API, made from its document. Not to be edited: npm run client-types.
/* biome-ignore-all format: made by a program */
`;

interface Operation {
  readonly responses: Readonly<Record<string, object>>;
}

const OPTIONS: OpenAPITSOptions = {
  immutable: true,
  // What has a default may be left out.
  defaultNonNullable: false,
  rootTypes: true,
  rootTypesNoSchemaPrefix: true,
  // Undefined is as good as left out, also where `exactOptionalPropertyTypes` is on.
  transformProperty({ modifiers, name, questionToken, type }) {
    if (!questionToken || !type) return undefined;
    const nothing = ts.factory.createKeywordTypeNode(ts.SyntaxKind.UndefinedKeyword);
    const either = ts.factory.createUnionTypeNode([type, nothing]);
    return ts.factory.createPropertySignature(modifiers, name, questionToken, either);
  },
};

/** The same without examples, and without how wide an integer is: here all are numbers. */
const bare = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, one) => (/^examples?$/.test(key) || one === 'int64' ? undefined : one)));

const isNamed = (node: ts.Node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node);
const mapValues = <T, R>(object: Readonly<Record<string, T>>, map: (value: T, key: string) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value, key)]));

/** An operation named by its method and path, of whose answers only those of success differ in shape. */
function named(path: string, method: string, { responses, ...operation }: Operation): object {
  const good = Object.entries(responses).filter(([status]) => status.startsWith('2'));
  return { ...operation, operationId: `${method.toUpperCase()} ${path}`, responses: Object.fromEntries(good) };
}

/** The text that src/client/api.ts must have. */
export async function clientTypes(): Promise<string> {
  const { paths, components, ...document } = apiDocument(
    readConfig({}),
    ROUTES.filter((route) => !route.hidden),
  );
  const calls = Object.entries(paths as Record<string, Record<string, Operation>>)
    .filter(([path]) => !path.startsWith('/in/'))
    .map(([path, methods]) => [path, mapValues(methods, (one, method) => named(path, method, one))]);
  const { ConflictProblem: _, Problem: __, ...schemas } = components.schemas;
  // No call takes settings alone; a program that keeps some does.
  const shapes = mapValues({ ...schemas, Settings: {} }, (_, name) => referring(SHAPES[name], new Set(), true));
  const whole = { ...document, paths: Object.fromEntries(calls), components: { schemas: shapes } };
  const nodes = await openapiTS(bare(whole) as OpenAPI3, OPTIONS);
  const unused = ['paths', 'webhooks', '$defs'];
  const kept = nodes.filter((node) => !(isNamed(node) && unused.includes(node.name.text)));
  return `${HEAD}\n${astToString(kept).replaceAll('@description ', '')}`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const text = await clientTypes();
  if (!process.argv.includes('--check')) writeFileSync(FILE, text);
  else if (readFileSync(FILE, 'utf8') !== text) {
    console.error('src/client/api.ts is not what the API document says: npm run client-types');
    process.exitCode = 1;
  }
}
