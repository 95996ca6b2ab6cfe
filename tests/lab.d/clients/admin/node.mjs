// mysql2 and mariadb (npm) against the admin port, as they connect by themselves: node node.mjs PORT MODULES_FOLDER.
// The lines printed are as in python.py.
import path from 'node:path';
import { createRequire } from 'node:module';

const [port, folder] = process.argv.slice(2);
const require = createRequire(path.join(folder, 'modules.js'));
const drivers = { mysql2: require('mysql2/promise'), mariadb: require('mariadb') };
const base = { host: '127.0.0.1', port: Number(port), user: 'ops', password: 'admin-pw' };
let failed = false;

async function check(name, run) {
  let good = true, why;
  try {
    why = await run();
  } catch (error) {
    [good, why] = [false, String(error.message).replaceAll('\n', ' ').slice(0, 160)];
  }
  failed ||= !good;
  console.log(good ? 'ok  ' : 'FAIL', name, '->', why);
}

async function whole(name, options) {
  const connection = await drivers[name].createConnection(options);
  const rows = async (sql) => {
    const result = await connection.query(sql);
    return name === 'mysql2' ? result[0] : result;
  };
  const code = async (promise) => promise.then(() => 0, (error) => error.errno);
  const expect = (got, wanted) => {
    if (got !== wanted) throw new Error(`${got} instead of ${wanted}`);
    return got;
  };
  const status = await rows("SHOW GLOBAL STATUS LIKE 'Uptime'");
  expect(Number.isInteger(Number(status[0].Value)), true);
  await rows('ALTER INSTANCE RELOAD TLS');
  expect((await rows('SHOW BACKENDS'))[0].Route, 'source');
  expect(Number((await rows('SELECT 7 AS n'))[0].n), 7);
  expect(await code(connection.query('SHOW ENGINES')), 1235);
  expect(await code(connection.execute('SELECT 1')), 1295);
  await connection.ping();
  const user = (await rows('SELECT CURRENT_USER() AS u'))[0].u;
  await connection.end();
  return user;
}

for (const name of Object.keys(drivers)) {
  await check(name, () => whole(name, base));
  await check(`${name} with TLS`, () => whole(name, { ...base, ssl: { rejectUnauthorized: false } }));
}
process.exit(failed ? 1 : 0);
