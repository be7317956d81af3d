import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";

/** What happens to one request on its way. */
export type Fault =
  /** It is answered here, and goes no further. */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** The body of its answer ends after so many bytes, and the connection with it. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** The body of its answer stops after so many bytes, and the connection stays. */
  | { readonly kind: "stall"; readonly afterBytes: number }
  /** It is carried out, but the connection is reset instead of an answer. */
  | { readonly kind: "lose" }
  /** It waits for ever, and goes no further. */
  | { readonly kind: "swallow" }
  /** A bit of its body changes. */
  | { readonly kind: "flip" };

/** A request as a fault is chosen by it; `count` is how many there were before. */
export type Passing = { readonly method: string; readonly url: string; readonly count: number };

/** An HTTP proxy on loopback that spoils requests. */
export type FaultyHttp = {
  readonly port: number;
  readonly passed: readonly Passing[];
  /** Chooses the fault of each request; `undefined` passes it on. */
  fault: (passing: Passing) => Fault | undefined;
  stop(): Promise<void>;
};

/** Start a proxy in front of a port of loopback. */
export async function startFaultyHttp(target: number): Promise<FaultyHttp> {
  const passed: Passing[] = [];
  const server = createServer((incoming, outgoing) => {
    const passing = { method: incoming.method ?? "", url: incoming.url ?? "", count: passed.length };
    passed.push(passing);
    void pass(incoming, outgoing, { target, fault: proxy.fault(passing) });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: FaultyHttp = {
    port: (server.address() as { port: number }).port,
    passed,
    fault: () => undefined,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

type Way = { readonly target: number; readonly fault: Fault | undefined };

async function pass(incoming: IncomingMessage, outgoing: ServerResponse, { target, fault }: Way): Promise<void> {
  const body = Buffer.concat(await incoming.toArray().catch(() => []));
  if (fault?.kind === "swallow") return;
  if (fault?.kind === "answer") {
    outgoing.writeHead(fault.status, { date: new Date().toUTCString(), ...fault.headers }).end(fault.body);
    return;
  }
  if (fault?.kind === "flip") body[0] = (body[0] ?? 0) ^ 1;
  const { method, url: path, headers } = incoming;
  const onward = request({ host: "127.0.0.1", port: target, method, path, headers, agent: false });
  onward.on("error", () => outgoing.destroy());
  onward.on("response", (answer) => void answerWith(answer, outgoing, fault));
  onward.end(body);
}

async function answerWith(answer: IncomingMessage, outgoing: ServerResponse, fault: Fault | undefined): Promise<void> {
  const body = Buffer.concat(await answer.toArray());
  if (fault?.kind === "lose") {
    outgoing.socket?.resetAndDestroy();
    return;
  }
  outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
  if (fault?.kind !== "cut" && fault?.kind !== "stall") {
    outgoing.end(body);
    return;
  }
  outgoing.write(body.subarray(0, fault.afterBytes), () => {
    if (fault.kind === "cut") outgoing.destroy();
  });
}
