import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const CHROMIUM = "/usr/bin/chromium";

/** Whether there is a browser here. It is no server that tests need: what it shows is looked at without it as well. */
export function hasBrowser(): boolean {
  return existsSync(CHROMIUM);
}

type Answer = {
  readonly id?: number;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
};

/** Chromium with one page open, spoken to by its DevTools protocol. */
export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #socket: WebSocket | undefined;
  #session: string | undefined;
  #calls = 0;

  private constructor() {
    this.#profile = mkdtempSync(join(tmpdir(), "twindb-browser-"));
    const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"];
    this.#child = spawn(CHROMIUM, [...args, `--user-data-dir=${this.#profile}`, "about:blank"], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: "/usr/bin:/bin", HOME: this.#profile },
    });
  }

  static async open(file: string): Promise<Browser> {
    const browser = new Browser();
    await browser.#connect(await browser.#address());
    const { targetId } = await browser.#call("Target.createTarget", { url: `file://${file}` });
    const { sessionId } = await browser.#call("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = String(sessionId);
    // A new page is an empty one at first, which is complete as well.
    const isLoaded = `location.protocol === "file:" && document.readyState === "complete"`;
    while ((await browser.evaluate(isLoaded)) !== true) await sleep(10);
    return browser;
  }

  #address(): Promise<string> {
    return new Promise((resolve, reject) => {
      let said = "";
      this.#child.stderr?.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        const [, address] = /DevTools listening on (ws:\S+)/.exec(said) ?? [];
        if (address !== undefined) resolve(address);
      });
      this.#child.once("exit", () => reject(new Error(said)));
    });
  }

  async #connect(address: string): Promise<void> {
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const answer = JSON.parse(String(data)) as Answer;
      this.#waiting.get(answer.id ?? 0)?.(answer);
    });
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
  }

  async #call(method: string, params: object): Promise<Record<string, unknown>> {
    const id = ++this.#calls;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#socket?.send(JSON.stringify({ id, method, params, sessionId: this.#session }));
    const { result, error } = await answered;
    if (result === undefined) throw new Error(error?.message ?? "no answer");
    return result;
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.#call("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if ("exceptionDetails" in answer) throw new Error(JSON.stringify(answer["exceptionDetails"]));
    return (answer["result"] as { value?: unknown }).value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => {
      this.#child.once("exit", resolve);
    });
    this.#session = undefined;
    if (this.#child.exitCode === null) {
      await Promise.race([this.#call("Browser.close", {}).catch(() => undefined), ended]);
      await ended;
    }
    this.#socket?.close();
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
