import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { hasMariadb, type Mariadb, startMariadb } from "./mariadb.ts";
import { freePort } from "./ports.ts";

const PROVIDER = "/usr/lib/galera/libgalera_smm.so";
const SYNCED = "SHOW GLOBAL STATUS WHERE variable_name IN ('wsrep_ready', 'wsrep_local_state_comment')";
/** A node that joins is copied from another by mariadb-backup, whose account needs a password. */
const SST_ACCOUNT = `
  CREATE USER sst@localhost IDENTIFIED BY 'sst';
  GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, REPLICA MONITOR ON *.* TO sst@localhost`;

/** A cluster on loopback. */
export type Galera = {
  /** All of them are synced; the first has started the cluster. */
  readonly nodes: readonly [Mariadb, ...Mariadb[]];
  stop(): Promise<void>;
};

type Ports = { readonly group: number; readonly ist: number; readonly sst: number };

/** Whether tests of Galera can run; where REQUIRE is set a missing program is a failure instead. */
export function hasGalera(): boolean {
  if (existsSync(PROVIDER)) return hasMariadb();
  if (process.env["REQUIRE"] !== undefined) throw new Error(`${PROVIDER} is missing`);
  return false;
}

/** Start a cluster. The first node takes a second, each further one about 15. */
export async function startGalera(count: 1 | 2 | 3): Promise<Galera> {
  const ports: Ports[] = [];
  for (let node = 0; node < count; node += 1) {
    ports.push({ group: await freePort(), ist: await freePort(), sst: await freePort() });
  }
  const running: Mariadb[] = [];
  const stop = async () => {
    for (const node of running.toReversed()) await node.stop();
  };
  try {
    for (const [index, own] of ports.entries()) {
      const args = index === 0 ? ["--wsrep-new-cluster"] : [];
      const node = await startMariadb({ lines: lines(own, ports), args, startSeconds: 120 });
      running.push(node);
      await untilSynced(node);
      if (index === 0) await node.sql(SST_ACCOUNT);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes: [...running] as [Mariadb, ...Mariadb[]], stop };
}

function lines({ group, ist, sst }: Ports, all: readonly Ports[]): string[] {
  const [first] = all;
  return [
    "wsrep_on=ON",
    `wsrep_provider=${PROVIDER}`,
    `wsrep_cluster_name=test-${first?.group}`,
    `wsrep_cluster_address=gcomm://${all.map((each) => `127.0.0.1:${each.group}`).join(",")}`,
    `wsrep_node_name=node-${group}`,
    `wsrep_node_address=127.0.0.1:${group}`,
    `wsrep_provider_options="gmcast.listen_addr=tcp://127.0.0.1:${group};ist.recv_addr=127.0.0.1:${ist};gcache.size=64M"`,
    "wsrep_sst_method=mariabackup",
    "wsrep_sst_auth=sst:sst",
    `wsrep_sst_receive_address=127.0.0.1:${sst}`,
    "innodb_autoinc_lock_mode=2",
    // Nodes number their transactions each for themselves.
    "gtid_strict_mode=0",
  ];
}

/** Lines of `[mysqld]` for a cluster of one in a network of its own, where the usual ports are free. */
export function isolatedNodeLines(): string[] {
  const own = { group: 4567, ist: 4568, sst: 4444 };
  return lines(own, [own]);
}

async function untilSynced(node: Mariadb): Promise<void> {
  const deadline = Date.now() + 60_000;
  let state = "";
  while (Date.now() < deadline) {
    state = await node.sql(SYNCED).catch(String);
    if (state.includes("Synced") && state.includes("ON")) return;
    await pause(100);
  }
  throw new Error(`the node does not get in sync: ${state}`);
}
