import { Agent, type AgentOptions, type ClientRequestArgs } from "node:http";
import { Agent as SecureAgent } from "node:https";
import type { Duplex } from "node:stream";

/** The body of a blob is read as fast as its reader takes it, and he may rest; who reads watches for silence himself. */
const READING_MILLISECONDS = 24 * 3_600_000;

const OPTIONS: AgentOptions = { keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 16, scheduling: "lifo" };

type Connected = (error: Error | null, socket: Duplex) => void;

/** What of a request and of a link of the library's chain is needed here. */
type Sent = {
  readonly method: string;
  readonly streamResponseStatusCodes?: Set<number>;
  agent?: unknown;
  /** Until the headers of the answer are there. */
  timeout: number;
  requestOverrides?: Record<string, unknown>;
};

class QuietAgent extends Agent {
  override createConnection(options: ClientRequestArgs, callback?: Connected): Duplex | null | undefined {
    return endWhenSilent(super.createConnection(options, callback));
  }
}

class QuietSecureAgent extends SecureAgent {
  override createConnection(options: ClientRequestArgs, callback?: Connected): Duplex | null | undefined {
    return endWhenSilent(super.createConnection(options, callback));
  }
}

/** Node tells of a timeout and leaves it at that. */
function endWhenSilent(socket: Duplex | null | undefined): Duplex | null | undefined {
  socket?.on("timeout", () => {
    socket.destroy(Object.assign(new Error("the other side is silent"), { code: "ETIMEDOUT" }));
  });
  return socket;
}

/** Connections of one destination, kept for the next call, that end when the other side is silent. */
export function quietAgent(endpoint: string): Agent {
  return endpoint.startsWith("https:") ? new QuietSecureAgent(OPTIONS) : new QuietAgent(OPTIONS);
}

/** A link of the library's chain: requests use `agent`, unless they go through a proxy, and do not wait forever. */
export function patience(agent: Agent, silenceMilliseconds: number) {
  return {
    create: <Request extends Sent, Answer>(next: { sendRequest(request: Request): Promise<Answer> }) => ({
      sendRequest(request: Request): Promise<Answer> {
        const isReading = request.method === "GET" && (request.streamResponseStatusCodes?.size ?? 0) > 0;
        request.agent ??= agent;
        if (isReading) request.timeout = silenceMilliseconds;
        request.requestOverrides = { timeout: isReading ? READING_MILLISECONDS : silenceMilliseconds };
        return next.sendRequest(request);
      },
    }),
  };
}
