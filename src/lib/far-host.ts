import type { Duplex } from "node:stream";
import { BackupError } from "../domain/errors.ts";
import { type Command, CommandError, into, text } from "./command.ts";
import { shellCommand, shellQuote } from "./shell-quote.ts";
import { type Answer, type FarAddress, SshSession } from "./ssh.ts";
import { programFailure, sshProgram } from "./ssh-program.ts";
import { describeTarget, type SshTarget } from "./ssh-target.ts";

type CallOptions = { readonly signal: AbortSignal };

/** What every script starts with; the account's own settings are not to be relied on. */
const PREAMBLE =
  "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; export PATH LC_ALL; umask 077; ";

/** What an account prints that prints nothing of its own. */
const MARK = "twindb-backup";

const LAST_WORDS = 3;

/** Another host where we may do everything: scripts run as root, by the login itself or by sudo. Disposing it closes the connection. */
export class FarHost implements AsyncDisposable {
  /** For people: `root@db7:22`. */
  readonly name: string;
  readonly #session: SshSession;
  #isRoot = true;

  private constructor(session: SshSession) {
    this.#session = session;
    this.name = describeTarget(session.target);
  }

  /**
   * Log in, and prove that scripts run as root there and that nothing but their output arrives.
   * @throws {BackupError} UNREACHABLE; NOT_PERMITTED when the host is not trusted, or the account is not let in or cannot become root.
   */
  static async connect(target: SshTarget, { signal }: CallOptions): Promise<FarHost> {
    const session = await SshSession.connect(target, { signal });
    try {
      const host = new FarHost(session);
      await host.#becomeRoot(signal);
      await host.#requireQuiet(signal);
      return host;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Run a script of one line as root; `$1`, `$2`… are the arguments. It reads nothing. */
  async ask(script: string, args: readonly string[], { signal }: CallOptions): Promise<Answer> {
    return this.#session.exec(this.#line(script, args), { signal });
  }

  /**
   * The same for a script that has to succeed. @returns what it printed, at most 64 KiB.
   * @throws {BackupError} PROGRAM_FAILED with what it said.
   */
  async run(script: string, args: readonly string[], { signal }: CallOptions): Promise<string> {
    const { status, stdout, stderr } = await this.ask(script, args, { signal });
    if (status === 0) return stdout;
    const said = lastWords(stderr);
    const end = status === null ? "a signal ended it" : `it ended with status ${status}`;
    throw new BackupError(
      isFull(said) ? "NO_SPACE" : "PROGRAM_FAILED",
      `Cannot run "${shortened(script)}" on "${this.name}": ${said === "" ? end : said}`,
    );
  }

  /** The same as a program of this host, for a pipeline. `compress` has ssh compress what travels. */
  program(script: string, args: readonly string[], options: { readonly compress?: boolean } = {}): Command {
    return sshProgram(this.#session.target, this.#line(script, args), options);
  }

  /** What went wrong when `error` is the failure of that very program; `what` is what it ran. */
  explain(error: unknown, program: Command, what = "a script"): unknown {
    if (!(error instanceof CommandError) || error.command !== program) return error;
    const { exitCode: status, stderrTail } = error;
    if (status === null || status === 255) return programFailure(error, program, this.#session.target);
    const said = lastWords(stderrTail);
    const end = status > 128 ? `it was ended by signal ${status - 128}` : `it exited with status ${status}`;
    const whole = `Cannot run "${what}" on "${this.name}": ${end}${said === "" ? "" : `: ${said}`}`;
    return new BackupError(isFull(said) ? "NO_SPACE" : "PROGRAM_FAILED", whole, { cause: error });
  }

  /** Write a file, which only root may read; what it holds is seen by nobody. `mode` is octal. */
  async write(
    path: string,
    content: string,
    { signal, mode = "600" }: CallOptions & { readonly mode?: string },
  ): Promise<void> {
    const program = this.program('cat > "$1" && chmod "$2" "$1"', [path, mode]);
    async function* bytes(): AsyncGenerator<Uint8Array, void> {
      yield Buffer.from(content);
    }
    try {
      await into(bytes(), program, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw this.explain(error, program);
    }
  }

  /** Connect to where a program listens, from there. */
  openStream(address: FarAddress, { signal }: CallOptions): Promise<Duplex> {
    return this.#session.openStream(address, { signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }

  #line(script: string, args: readonly string[]): string {
    const line = shellCommand(PREAMBLE + script, args);
    return this.#isRoot ? line : `sudo -n -- ${line}`;
  }

  async #becomeRoot(signal: AbortSignal): Promise<void> {
    const { stdout } = await this.ask("id -u", [], { signal });
    if (stdout.trim() === "0") return;
    this.#isRoot = false;
    const answer = await this.ask("id -u", [], { signal });
    if (answer.stdout.trim() === "0") return;
    const said = answer.stderr.trim().split("\n").at(-1) ?? "";
    throw new BackupError("NOT_PERMITTED", `Cannot become root on "${this.name}": ${said || "sudo is refused"}`, {
      hint: "Log in as root with --ssh-user, or let the account use sudo without a password.",
    });
  }

  /** Whatever login files print would end up in the middle of the data. */
  async #requireQuiet(signal: AbortSignal): Promise<void> {
    const program = this.program('printf %s "$1"', [MARK]);
    const printed = await text(program, { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw this.explain(error, program);
    });
    if (printed === MARK) return;
    throw new BackupError("FAILED", `Cannot use the account "${this.name}": its login files print something`, {
      hint: `Have them print nothing where no terminal is: ssh ${shellQuote(this.name.replace(/:\d+$/, ""))} true.`,
    });
  }
}

function lastWords(stderr: string): string {
  return stderr.trim().split("\n").slice(-LAST_WORDS).join(" / ").slice(0, 600);
}

function isFull(said: string): boolean {
  return /No space left on device|quota exceeded|Errcode: 28\b/i.test(said);
}

function shortened(script: string): string {
  return script.length > 60 ? `${script.slice(0, 60)}…` : script;
}
