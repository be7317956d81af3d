import type { Duplex } from "node:stream";
// A CommonJS module whose exports Node cannot name before it has run it; only types can be imported by name.
import ssh2, {
  type Client,
  type ClientChannel,
  type ConnectConfig,
  type ServerHostKeyAlgorithm,
  type SFTPWrapper,
} from "ssh2";
import { abortable } from "./abortable.ts";
import { Gate } from "./gate.ts";
import { judgeHostKey, type KnownHost, knownTypes, readKnownHosts, rememberHostKey } from "./known-hosts.ts";
import {
  commandRefused,
  connectFailure,
  connectionLost,
  forwardRefused,
  hostKeyRefused,
  type SshFailure,
} from "./ssh-errors.ts";
import { badKeyError, noKeyError, readKeyFile } from "./ssh-key.ts";
import {
  checkTarget,
  KEEP_ALIVE_COUNT,
  keepAliveSeconds,
  knownHostsFiles,
  READY_SECONDS,
  type SshTarget,
} from "./ssh-target.ts";

/** The raw file channel, for `lib/sftp.ts`. */
export type SftpChannel = SFTPWrapper;

/** What a far command said and how it ended; `status` is `null` when a signal ended it. */
export type Answer = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

/** Where a program of the far side, or of another host that it reaches, listens. */
export type FarAddress =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

type CallOptions = { readonly signal: AbortSignal };

const ANSWER_LIMIT_BYTES = 64 * 1024;

const NO_ANSWER: Answer = { status: null, stdout: "", stderr: "" };

/** Commands at the same time; sshd allows ten channels on a connection, and may be set to fewer. */
const MAX_COMMANDS = 4;

/** Fast with AES instructions first; the rest are the defaults of OpenSSH. */
const CIPHERS = [
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
  "chacha20-poly1305@openssh.com",
  "aes128-ctr",
  "aes192-ctr",
  "aes256-ctr",
] as const;

const HOST_KEY_ALGORITHMS: readonly ServerHostKeyAlgorithm[] = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
  "ssh-rsa",
];

/** One connection to a host, whose key was checked. Disposing it closes it. */
export class SshSession implements AsyncDisposable {
  readonly target: SshTarget;
  readonly #client: Client;
  readonly #lost = new AbortController();
  readonly #closed: Promise<void>;
  readonly #commands = new Gate(MAX_COMMANDS);
  #failure: SshFailure | undefined;

  private constructor(client: Client, target: SshTarget) {
    this.#client = client;
    this.target = target;
    client.on("error", (failure: SshFailure) => {
      // An agent that does not answer is no reason to stop: the key file is tried next.
      if (failure.level !== "agent") this.#failure ??= failure;
    });
    this.#closed = new Promise((resolve) => {
      client.on("close", () => {
        this.end();
        resolve();
      });
    });
  }

  /**
   * Connect and log in, with the agent's keys first.
   * @throws {BackupError} UNREACHABLE; NOT_PERMITTED when the host's key is not trusted or the login is refused.
   */
  static async connect(target: SshTarget, { signal }: CallOptions): Promise<SshSession> {
    signal.throwIfAborted();
    checkTarget(target);
    const known = await readKnownHosts(knownHostsFiles(target));
    const config = { ...transport(target, known), ...(await credentials(target)) };
    const session = new SshSession(new ssh2.Client(), target);
    try {
      await session.#logIn(config, known, signal);
    } catch (error) {
      session.#client.destroy();
      throw error;
    }
    return session;
  }

  /** Aborted with the reason once the connection is gone. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Run a command line on the far side; it reads nothing. What it says is kept up to 64 KiB each way.
   * @throws {BackupError} UNREACHABLE when the connection ends first.
   */
  async exec(commandLine: string, { signal }: CallOptions): Promise<Answer> {
    const signals = [signal, this.lost];
    using _ = await this.#commands.enter(signals);
    let channel: ClientChannel | undefined;
    try {
      return await abortable<Answer>(signals, (done) => {
        this.#client.exec(commandLine, (error, opened) => {
          if (error !== undefined) return done(error, NO_ANSWER);
          channel = opened;
          // At once: a quick command ends in the same packet in which it begins.
          collect(opened, (answer) => done(undefined, answer));
          if (signals.some(({ aborted }) => aborted)) opened.destroy();
        });
      });
    } catch (error) {
      for (const aborted of signals) aborted.throwIfAborted();
      throw commandRefused(error as Error, this.target);
    } finally {
      channel?.destroy();
    }
  }

  /**
   * Connect to where a program listens, from the far side.
   * @throws {BackupError} UNREACHABLE when nobody listens there, or sshd does not forward.
   */
  async openStream(address: FarAddress, { signal }: CallOptions): Promise<Duplex> {
    const signals = [signal, this.lost];
    try {
      return await abortable<Duplex>(signals, (done) => {
        const opened = (error: Error | undefined, channel: ClientChannel) => {
          if (error === undefined && signals.some(({ aborted }) => aborted)) channel.destroy();
          done(error, channel);
        };
        if (address.kind === "socket") this.#client.openssh_forwardOutStreamLocal(address.path, opened);
        else this.#client.forwardOut("127.0.0.1", 0, address.host, address.port, opened);
      });
    } catch (error) {
      for (const aborted of signals) aborted.throwIfAborted();
      throw forwardRefused(error as Error, address, this.target);
    }
  }

  /** Open a file channel. When it ends, the session counts as lost. */
  async openSftp({ signal }: CallOptions): Promise<SftpChannel> {
    return abortable<SftpChannel>([signal, this.lost], (done) => {
      this.#client.sftp((error, channel) => {
        if (error === undefined) this.#watch(channel);
        done(error, channel);
      });
    });
  }

  /** Give the connection up: calls in flight end with the reason, later ones too. */
  end(): void {
    this.#lost.abort(connectionLost(this.#failure, this.target));
    this.#client.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
    const timer = setTimeout(() => this.#client.destroy(), 1000);
    await this.#closed;
    clearTimeout(timer);
  }

  #watch(channel: SftpChannel): void {
    channel.on("error", (failure: SshFailure) => {
      this.#failure ??= failure;
    });
    channel.on("end", () => this.end());
    channel.on("close", () => this.end());
  }

  async #logIn(config: ConnectConfig, known: readonly KnownHost[], signal: AbortSignal): Promise<void> {
    let refusal: Error | undefined;
    const hostVerifier = (key: Buffer, accept: (isTrusted: boolean) => void) => {
      trust(key, known, this.target).then(
        () => accept(true),
        (error: Error) => {
          refusal = error;
          accept(false);
        },
      );
    };
    await abortable<void>([signal], (done) => {
      const fail = () =>
        done(refusal ?? connectFailure(this.#failure ?? new Error("it closed the connection"), this.target));
      this.#client.once("ready", () => done(undefined));
      this.#client.once("close", fail);
      this.#client.on("error", (failure: SshFailure) => {
        if (failure.level !== "agent") fail();
      });
      this.#client.connect({ ...config, hostVerifier });
      // Without it, the delay of small packets makes file transfer fifteen times slower.
      this.#client.setNoDelay(true);
    });
  }
}

function transport(target: SshTarget, known: readonly KnownHost[]): ConnectConfig {
  const { host, port, user } = target;
  const types = knownTypes(known, target);
  const isKnown = (algorithm: ServerHostKeyAlgorithm) => types.includes(algorithm.replace(/^rsa-sha2-.*/, "ssh-rsa"));
  return {
    host,
    port,
    username: user,
    readyTimeout: READY_SECONDS * 1000,
    keepaliveInterval: keepAliveSeconds(target) * 1000,
    // ssh2 gives up at the one after the last.
    keepaliveCountMax: KEEP_ALIVE_COUNT - 1,
    algorithms: {
      cipher: [...CIPHERS],
      // A host has several keys; it shows the first that we ask for.
      serverHostKey: [...HOST_KEY_ALGORITHMS].sort((a, b) => Number(isKnown(b)) - Number(isKnown(a))),
    },
  };
}

/** @throws {BackupError} NOT_PERMITTED when there is nothing to log in with. */
async function credentials(target: SshTarget): Promise<ConnectConfig> {
  const agent = process.env["SSH_AUTH_SOCK"];
  const byAgent: ConnectConfig = agent ? { agent } : {};
  const privateKey = await readKeyFile(target.keyFile);
  if (privateKey === "missing") return withoutKey(target, byAgent, "missing");
  const parsed = ssh2.utils.parseKey(privateKey);
  if (!(parsed instanceof Error))
    return { ...byAgent, privateKey, authHandler: agent ? ["agent", "publickey"] : ["publickey"] };
  if (/passphrase|encrypted/i.test(parsed.message)) return withoutKey(target, byAgent, "encrypted");
  throw badKeyError(target.keyFile, parsed);
}

function withoutKey(target: SshTarget, byAgent: ConnectConfig, why: "missing" | "encrypted"): ConnectConfig {
  if (byAgent.agent === undefined) throw noKeyError(target.keyFile, why);
  return { ...byAgent, authHandler: ["agent"] };
}

async function trust(key: Buffer, known: readonly KnownHost[], target: SshTarget): Promise<void> {
  const verdict = judgeHostKey(known, target, key);
  if (verdict === "known") return;
  if (verdict !== "unknown" || target.hostKeys === "strict") throw hostKeyRefused(verdict, key, target);
  await rememberHostKey(knownHostsFiles(target)[0], target, key);
}

function collect(channel: ClientChannel, done: (answer: Answer) => void): void {
  const stdout = new Collected(channel);
  const stderr = new Collected(channel.stderr);
  let status: number | null = null;
  channel.on("exit", (code: number | null) => {
    status = code;
  });
  channel.on("close", () => done({ status, stdout: stdout.text(), stderr: stderr.text() }));
  channel.end();
}

/** The beginning of a stream, as text; the rest is read and dropped. */
class Collected {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(stream: NodeJS.ReadableStream) {
    stream.on("data", (chunk: Buffer) => {
      if (this.#bytes < ANSWER_LIMIT_BYTES) this.#chunks.push(chunk);
      this.#bytes += chunk.length;
    });
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString("utf8", 0, ANSWER_LIMIT_BYTES);
  }
}
