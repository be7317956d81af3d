import { type Result, Sandbox } from "./cli.ts";
import type { Database } from "./servers/database.ts";
import type { Make } from "./servers/replicas.ts";
import { waitFor } from "./wait-for.ts";

/** A primary on host a, its replica on host b, and the destination of both. */
export class TwoServers implements AsyncDisposable {
  readonly sandbox = new Sandbox();
  readonly make: Make;
  first: Database;
  second: Database;

  private constructor(make: Make, [first, second]: readonly [Database, Database]) {
    this.make = make;
    this.first = first;
    this.second = second;
  }

  static async start(make: Make): Promise<TwoServers> {
    const servers = await Promise.all([
      make.start({ lines: ["server_id=1"] }),
      make.start({ lines: ["server_id=2", "read_only=1", make.logsApplied] }),
    ]);
    const two = new TwoServers(make, servers);
    const { first, second } = two;
    await first.sql("CREATE USER repl@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO repl@'127.0.0.1'");
    await second.sql(make.follow(first.port));
    return two;
  }

  /** Run the program as on the host of one of the servers. */
  on(host: "a" | "b", args: readonly string[]): Promise<Result> {
    const { sandbox, make } = this;
    const server = host === "a" ? this.first : this.second;
    sandbox.configure({
      source: { backup_dirs: "/etc", backup_mysql: "yes", hostname: host },
      destination: { backup_destination: "local" },
      local: { backup_dir: sandbox.copies },
      mysql: { mysql_defaults_file: server.defaultsFile, rotate_seconds: 0, ...make.config },
    });
    const own = ["--lock-file", sandbox.lock];
    return sandbox.run(args[1] === "push" ? [...args, ...own] : args, { env: { PATH: make.path } });
  }

  /** The replica has applied all that the primary has logged. */
  async replicated(): Promise<void> {
    const { first, second, make } = this;
    const gtid = (await first.sql(make.logged)).trim();
    await waitFor(async () => (await second.sql(make.hasApplied(gtid))).trim() === "1");
  }

  /** The old primary wakes up after it was killed. */
  async wakeFirst(): Promise<void> {
    const { root, port } = this.first;
    this.first = await this.make.startOn({ root, port, lines: ["server_id=1"] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.first.stop(), this.second.stop()]);
    this.sandbox[Symbol.dispose]();
  }
}
