// What keeps us from working on tables that are there: a view in the place of a table, an engine that loses rows, ids that are no numbers.
import type { Db, Queries } from '../db.ts';

/** One thing that is not as it must be, and the statement that mends it. */
export interface Misfit {
  readonly found: string;
  readonly fix: string;
}

const WHOLE_NUMBERS = ['tinyint', 'smallint', 'mediumint', 'int', 'bigint'];
const ID_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  tbluser: ['id'],
  tblwhid: ['id', 'user_id'],
  tblwh: ['id', 'user_id', 'wh_id'],
};
/** Of users we only read three columns: a view over another table of users will do. */
const MAY_BE_A_VIEW = 'tbluser';
const MUST_BE_TABLE =
  'Rows are stored, found by locks and handed out in the order of their ids, which needs the table itself. Rename the view and the table behind it, so that the table has this name';

interface Table {
  readonly t: string;
  readonly type: string;
  readonly engine: string | null;
}
interface Column {
  readonly t: string;
  readonly c: string;
  readonly d: string;
  readonly extra: string;
}

/** Of the tables that are ours or shared; nothing is said of those that are not there. */
export async function findMisfits(queries: Pick<Queries, 'all'>, kind: Db['kind']): Promise<Misfit[]> {
  return kind === 'sqlite' ? inFile(queries) : onServer(queries);
}

async function inFile(queries: Pick<Queries, 'all'>): Promise<Misfit[]> {
  const sql = `SELECT name AS t FROM sqlite_master WHERE type = 'view' AND (name IN ('tblwhid', 'tblwh') OR name LIKE 'restante\\_%' ESCAPE '\\')`;
  return (await queries.all<{ t: string }>(sql)).map(({ t }) => view(t));
}

const view = (t: string): Misfit => ({ found: `${t} is a view, not a table`, fix: `${MUST_BE_TABLE}.` });

async function onServer(queries: Pick<Queries, 'all'>): Promise<Misfit[]> {
  const within = `table_schema = DATABASE() AND (table_name IN ('tbluser', 'tblwhid', 'tblwh') OR table_name LIKE 'restante\\_%')`;
  const tables = await queries.all<Table>(
    `SELECT table_name AS t, table_type AS type, engine AS engine FROM information_schema.tables WHERE ${within}`,
  );
  const columns = await queries.all<Column>(
    `SELECT table_name AS t, column_name AS c, data_type AS d, extra AS extra FROM information_schema.columns WHERE ${within}`,
  );
  const keys = await queries.all<{ c: string }>(
    `SELECT column_name AS c FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'tblwh'
     AND index_name = 'PRIMARY' AND seq_in_index = 1`,
  );
  const extended = tables.some(({ t }) => t === 'restante_meta');
  const ids = columns.filter(({ t, c }) => ID_COLUMNS[t]?.includes(c));
  const content = tables.find(({ t, type }) => t === 'tblwh' && type !== 'VIEW');
  const id = ids.find(({ t, c }) => t === 'tblwh' && c === 'id');
  return [
    ...tables.flatMap((table) => tableMisfit(table, extended)),
    ...ids.flatMap(({ t, c, d }) =>
      WHOLE_NUMBERS.includes(d.toLowerCase())
        ? []
        : {
            found: `${t}.${c} is ${d}, and ids are whole numbers`,
            fix: `ALTER TABLE ${t} MODIFY ${c} INT UNSIGNED NOT NULL${t !== 'tblwhid' && c === 'id' ? ' AUTO_INCREMENT' : ''}`,
          },
    ),
    ...(content && id && keys[0]?.c.toLowerCase() !== 'id'
      ? [{ found: 'the primary key of tblwh does not begin with id', fix: 'ALTER TABLE tblwh ADD PRIMARY KEY (id)' }]
      : []),
    ...(content && id && !/auto_increment/i.test(id.extra)
      ? [
          {
            found: 'tblwh.id is not AUTO_INCREMENT, so nothing can be stored',
            fix: 'ALTER TABLE tblwh MODIFY id INT UNSIGNED NOT NULL AUTO_INCREMENT',
          },
        ]
      : []),
  ];
}

function tableMisfit({ t, type, engine }: Table, extended: boolean): Misfit[] {
  if (t === MAY_BE_A_VIEW) return [];
  // At the as-is level webhooks are only read, too.
  if (t === 'tblwhid' && !extended) return [];
  if (type === 'VIEW') return [view(t)];
  if (engine?.toLowerCase() === 'innodb') return [];
  return [
    {
      found: `${t} is ${engine ?? 'a table whose engine cannot open it'}, which has no transactions: what was answered could be lost or torn`,
      fix: `ALTER TABLE ${t} ENGINE = InnoDB`,
    },
  ];
}

export class Unfit extends Error {
  constructor(misfits: readonly Misfit[]) {
    super(misfits.map(({ found, fix }) => `${found}. To put it right: ${fix}`).join('\n'));
  }
}
