// Preloaded into a program (NODE_OPTIONS=--require), it makes SQLite worse than Restante asks for, as WORSE says: `OFF` and `NORMAL`
// flush less, `early` commits when the answer has left. A check that does not find that finds nothing.
const Module = require('node:module');

const { WORSE } = process.env;
// Longer than it takes to send an answer.
const LATE_MS = 20;

let late;
function commit() {
  const database = late;
  late = undefined;
  if (database) database.commitNow();
}

const worse = (DatabaseSync) =>
  class extends DatabaseSync {
    exec(sql) {
      if (WORSE !== 'early') return super.exec(sql.replace('synchronous = FULL', `synchronous = ${WORSE}`));
      commit();
      if (sql !== 'COMMIT') return super.exec(sql);
      late = this;
      setTimeout(commit, LATE_MS);
    }
    commitNow() {
      super.exec('COMMIT');
    }
  };

const { _load: load } = Module;
Module._load = (name, ...rest) => {
  const loaded = load(name, ...rest);
  return /^(node:|@photostructure\/)sqlite$/.test(name)
    ? { ...loaded, DatabaseSync: worse(loaded.DatabaseSync) }
    : loaded;
};
