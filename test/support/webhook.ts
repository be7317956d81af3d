import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

type Answer = { readonly status: number; readonly location?: string };

/** What was POSTed. */
export type Posted = {
  readonly path: string;
  readonly type: string | undefined;
  readonly body: Record<string, unknown>;
};

/** Receives what runs tell, and answers as it is told; `undefined` never answers. */
export class WebhookServer implements AsyncDisposable {
  readonly posted: Posted[] = [];
  answer: Answer | undefined = { status: 204 };
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        const body = JSON.parse(text) as Record<string, unknown>;
        this.posted.push({ path: request.url ?? "", type: request.headers["content-type"], body });
        if (this.answer === undefined) return;
        const { status, location } = this.answer;
        response.writeHead(status, location === undefined ? {} : { location }).end("thank you");
      });
    });
  }

  static async start(): Promise<WebhookServer> {
    const hook = new WebhookServer();
    await new Promise<void>((resolve) => {
      hook.#server.listen(0, "127.0.0.1", resolve);
    });
    return hook;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}
