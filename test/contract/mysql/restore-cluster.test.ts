import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openLocal } from "../../../src/destination/local.ts";
import { planRestore } from "../../../src/domain/restore-plan.ts";
import { openRestorer } from "../../../src/engine/open.ts";
import { restoreMysql } from "../../../src/job/restore-mysql.ts";
import { openDecoding } from "../../../src/modifier/decode.ts";
import { at } from "../../support/copies.ts";
import { shelve, streamCopy } from "../../support/mysql-copies.ts";
import { hasGalera, startGalera } from "../../support/servers/galera.ts";
import { type Mariadb, startMariadb } from "../../support/servers/mariadb.ts";
import { freePort } from "../../support/servers/ports.ts";
import { shelfOn } from "../../support/shelves.ts";

const { signal } = new AbortController();

async function statusOf(node: Mariadb, name: string): Promise<string> {
  return (await node.sql(`show global status like '${name}'`)).split("\t")[1] ?? "";
}

/** Found a cluster on a restored node, as its next steps tell. */
async function refound(datadir: string): Promise<Mariadb> {
  const port = await freePort();
  const lines = [
    "wsrep_on=ON",
    "wsrep_provider=/usr/lib/galera/libgalera_smm.so",
    "wsrep_cluster_address=gcomm://",
    `wsrep_node_address=127.0.0.1:${port}`,
    `wsrep_provider_options="gmcast.listen_addr=tcp://127.0.0.1:${port};gcache.size=64M"`,
    "innodb_autoinc_lock_mode=2",
    "gtid_strict_mode=0",
  ];
  return startMariadb({ datadir, lines, args: ["--wsrep-new-cluster"] });
}

test.skipIf(!hasGalera())("restoreMysql() brings a node back to its place in its cluster", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "restore-cluster-"));
  chmodSync(scratch, 0o755);
  const cluster = await startGalera(1);
  const [node] = cluster.nodes;
  try {
    await using destination = await openLocal({ kind: "local", directory: join(scratch, "copies") });
    await node.sql(
      "create database shop; create table shop.orders (id int primary key); insert into shop.orders values (1)",
    );
    const [uuid, seqno] = [
      await statusOf(node, "wsrep_cluster_state_uuid"),
      await statusOf(node, "wsrep_last_committed"),
    ];
    const streamed = streamCopy(node, { options: ["--galera-info"] });
    const copy = await shelve(shelfOn(destination, "mysql"), streamed, { takenAt: at(1), galeraVersion: "26.4.14" });
    await cluster.stop();

    const target = join(scratch, "target");
    const decoding = await openDecoding(
      { name: copy.key, suffixes: [".zst"], head: new Uint8Array() },
      { gpg: undefined, signal },
    );
    const facts = await restoreMysql(
      {
        plan: planRestore(copy, [{ copy, doubt: undefined }]),
        openPart: async () => ({ ...decoding, explain: (error) => error, destination, stored: copy }),
        openRestorer: (part) =>
          openRestorer(part, { binaries: { xtrabackup: undefined, xbstream: undefined }, signal }),
        cache: undefined,
        memoryBytes: 128 * 1024 ** 2,
        idleSeconds: 0,
        signal,
      },
      { target, withConfig: true },
    );
    expect(facts.galera).toEqual({ uuid, seqno: BigInt(seqno) });
    const state = join(target, "grastate.dat");
    expect(readFileSync(state, "utf8")).toContain(`uuid:    ${uuid}\nseqno:   ${seqno}\nsafe_to_bootstrap: 0\n`);

    writeFileSync(state, readFileSync(state, "utf8").replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1"));
    const restored = await refound(target);
    try {
      await expect.poll(() => statusOf(restored, "wsrep_ready")).toBe("ON");
      expect(await statusOf(restored, "wsrep_cluster_state_uuid")).toBe(uuid);
      expect(await restored.sql("select id from shop.orders")).toBe("1");
    } finally {
      await restored.stop();
    }
  } finally {
    await cluster.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
});
