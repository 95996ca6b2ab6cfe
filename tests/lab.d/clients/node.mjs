// The Node.js clients (mysql2 and mariadb) against one port: node node.mjs security|session PORT PKI MODULES_FOLDER.
// What the two words mean, and the lines printed, are as in python.py.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const [what, port, pki, folder] = process.argv.slice(2);
const require = createRequire(path.join(folder, 'modules.js'));
const drivers = { mysql2: require('mysql2/promise'), mariadb: require('mariadb') };
const read = (name) => fs.readFileSync(path.join(pki, name));
const ca = read('root-ca.pem');
const user = process.env.LAB_USER ?? 'app_ssl';
const ssl = (process.env.LAB_TLS ?? 'yes') === 'yes' ? { ca } : false;
const onMariaDB = process.env.LAB_SERVER === 'mariadb';
const base = { host: 'localhost', port: Number(port), user, password: 'app-pw', database: 'sbtest' };
const skipped = (process.env.LAB_SKIP ?? '').split('\n');
let failed = false;

async function check(name, run, { refused = false } = {}) {
  if (skipped.includes(name)) return console.log('skip', name);
  let good, why;
  try {
    why = await run();
    good = !refused;
  } catch (error) {
    why = String(error.message).replaceAll('\n', ' ').slice(0, 160);
    good = refused && !(error instanceof TypeError) && !(error instanceof ReferenceError);
  }
  failed ||= !good;
  console.log(good ? 'ok  ' : 'FAIL', name, '->', why);
}

function expect(got, wanted) {
  if (got !== wanted) throw new TypeError(`${got} instead of ${wanted}`);
  return got;
}

// mysql2 answers [rows, fields], mariadb rows; numbers may be BigInt.
const rowsOf = (name, result) => (name === 'mysql2' ? result[0] : result);

async function connected(name, options, use) {
  const connection = await drivers[name].createConnection(options);
  connection.on('error', () => {}); // a killed session is reported by the query, too
  const one = async (sql, parameters) => rowsOf(name, await (parameters ? connection.execute(sql, parameters) : connection.query(sql)))[0];
  try {
    return await use(connection, one);
  } finally {
    connection.destroy();
  }
}

const who = (name, options) =>
  connected(name, options, async (connection, one) => {
    const row = await one("SELECT REPEAT('x', 300000) AS filler, CURRENT_USER() AS name");
    expect(row.filler.length, 300000);
    expect(Number((await one('SELECT ? + 1 AS n', [2])).n), 3);
    return row.name;
  });

const changedUser = (name, options) =>
  connected(name, options, async (connection, one) => {
    await one('SELECT @mine := 1');
    await connection.changeUser({ user: options.user, password: options.password, database: 'sbtest' });
    expect((await one('SELECT @mine AS mine')).mine, null);
    return (await one('SELECT CURRENT_USER() AS name')).name;
  });

async function security(name) {
  const dm = { ...base, user: 'dm', password: 'dm-pw' };
  const withCertificate = { ca, cert: read('client-dm-rsa.pem'), key: read('client-dm-rsa.key') };
  await check(name, () => who(name, { ...base, ssl }));
  // the mariadb package refuses COM_CHANGE_USER by itself when the server is MySQL
  if (name === 'mysql2' || onMariaDB) await check(`${name} COM_CHANGE_USER`, () => changedUser(name, { ...base, ssl }));
  await check(`${name} wrong CA`, () => who(name, { ...base, ssl: { ca: read('other-ca.pem') } }), { refused: true });
  await check(`${name} dm, client certificate`, () => who(name, { ...dm, ssl: withCertificate }));
  await check(`${name} dm, no certificate`, () => who(name, { ...dm, ssl }), { refused: true });
  await check(`${name} compressed`, () => who(name, { ...base, ssl, compress: true }));
}

async function session(name) {
  const options = { ...base, ssl, multipleStatements: true };
  const table = `t_${name}`;
  await connected(name, options, async (connection, one) => {
    await check(`${name} prepared`, async () => {
      for (const n of [1, 41]) expect(Number((await one('SELECT ? + 1 AS n, ? AS s', [n, 'é'.repeat(1000)])).n), n + 1);
      return 'twice';
    });
    await check(`${name} transaction`, async () => {
      await connection.query(`CREATE TEMPORARY TABLE ${table} (n INT) ENGINE=InnoDB`);
      await connection.beginTransaction();
      await connection.query(`INSERT INTO ${table} VALUES (1), (2)`);
      await connection.commit();
      await connection.beginTransaction();
      await connection.query(`INSERT INTO ${table} VALUES (3)`);
      await connection.rollback();
      const { n } = await one(`SELECT COUNT(*) AS n FROM ${table}`);
      return expect(Number(n), 2);
    });
    await check(`${name} error, then on`, async () => {
      const error = await connection.query('SELEC 1').then(() => ({}), (refusal) => refusal);
      expect(error.errno, 1064);
      return expect(Number((await one('SELECT 7 AS n')).n), 7);
    });
    await check(`${name} several results`, async () => {
      const results = rowsOf(name, await connection.query('SELECT 1 AS n; SELECT 2 AS n; SELECT 3 AS n'));
      return expect(results.map((rows) => Number(rows[0].n)).join(), '1,2,3');
    });
    // one COM_STMT_BULK_EXECUTE where the server has it
    if (name === 'mariadb') await check('mariadb batch', async () => {
      await connection.query('CREATE TEMPORARY TABLE batched (n INT, s VARCHAR(100)) ENGINE=InnoDB');
      await connection.batch('INSERT INTO batched VALUES (?, ?)', Array.from({ length: 5000 }, (_, n) => [n, 'é'.repeat(n % 100)]));
      const { n, length } = await one('SELECT SUM(n) AS n, SUM(CHAR_LENGTH(s)) AS length FROM batched');
      return expect(`${n} ${length}`, '12497500 247500');
    });
    await check(`${name} COM_RESET_CONNECTION, ping`, async () => {
      await one('SELECT @mine := 1');
      await connection.reset();
      await connection.ping();
      return expect((await one('SELECT @mine AS mine')).mine, null);
    });
  });
  if (name === 'mysql2' || onMariaDB) await check(`${name} change user in a session`, () => changedUser(name, options));
  await check(`${name} KILL QUERY by its own id`, () => queryKilled(name, options));
  await check(`${name} killed, reconnects`, async () => {
    const lost = await connected(name, options, async (connection, one) => {
      await one('KILL CONNECTION_ID()').catch(() => {});
      return one('SELECT 1').then(() => { throw new TypeError('the killed session answers'); }, (error) => error.message);
    });
    await connected(name, options, async (connection, one) => expect(Number((await one('SELECT 8 AS n')).n), 8));
    return lost;
  });
}

// One session ends another's query by the id that the other knows itself by, and not a third session's.
async function queryKilled(name, options) {
  const query = `SELECT SLEEP(30) AS slept /* ${name} ${process.pid} */`;
  return connected(name, options, (victim, oneOfVictim) =>
    connected(name, options, (bystander, oneOfBystander) =>
      connected(name, options, async (killer, one) => {
        const interrupted = oneOfVictim(query).then((row) => `slept ${row.slept}`, (error) => `error ${error.errno}`);
        const undisturbed = oneOfBystander('SELECT SLEEP(3) AS slept');
        await running(one, query);
        await one(`KILL QUERY ${victim.threadId}`);
        const how = await interrupted;
        if (!['slept 1', 'error 1317'].includes(how)) throw new TypeError(`the query went on: ${how}`);
        expect(Number((await undisturbed).slept), 0);
        expect(Number((await oneOfVictim('SELECT 7 AS n')).n), 7);
        return how;
      })));
}

async function running(one, query) {
  for (;;) {
    const { n } = await one(`SELECT COUNT(*) AS n FROM information_schema.processlist WHERE info = '${query}'`);
    if (Number(n)) return;
  }
}

for (const name of Object.keys(drivers)) await { security, session }[what](name);
process.exit(failed ? 1 : 0);
