import { createSocket, type Socket } from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError } from "../domain/errors.ts";
import { type Address, addressOf } from "./address.ts";
import type { Exporter } from "./exporter.ts";
import type { MetricsOptions } from "./options.ts";
import { reasonOf } from "./reason.ts";
import { type LineStyle, statsdLines } from "./statsd-lines.ts";

/** What passes every network in one piece. */
const PACKET_BYTES = 1400;

/** How long a host that has no such service gets to say so; one that drops packets never does. */
const REFUSAL_MS = 100;

type StatsdOptions = Extract<MetricsOptions, { readonly transport: "statsd" | "datadog" }>;

/** Sends measures by UDP: to a StatsD server, or to the DogStatsD of a local agent of Datadog. */
export function statsdExporter(options: StatsdOptions): Exporter {
  const style: LineStyle =
    options.transport === "datadog" ? { timing: "g", tags: true } : { timing: "ms", tags: options.tags };
  return {
    wantsStanding: true,
    async send(report, { signal }) {
      try {
        const address = await addressOf(options.host, { signal });
        await sendTo(address, options.port, packetsOf(statsdLines(report, style)));
      } catch (error) {
        throw unreachable(options, error);
      }
    },
  };
}

async function sendTo({ address, family }: Address, port: number, packets: readonly string[]): Promise<void> {
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  try {
    await connect(socket, { port, address });
    await sendAll(socket, packets);
  } finally {
    socket.close();
  }
}

function connect(socket: Socket, { port, address }: { readonly port: number; readonly address: string }) {
  return new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.connect(port, address, () => {
      socket.off("error", reject);
      resolve();
    });
  });
}

/** Refusals come some time after what they refuse. */
async function sendAll(socket: Socket, packets: readonly string[]): Promise<void> {
  const failed = Promise.withResolvers<never>();
  // It may never be asked for.
  failed.promise.catch(() => undefined);
  socket.on("error", failed.reject);
  for (const packet of packets) {
    socket.send(packet, (error) => {
      if (error !== null) failed.reject(error);
    });
  }
  await Promise.race([failed.promise, sleep(REFUSAL_MS)]);
}

/** Lines, several to a packet. */
export function packetsOf(lines: readonly string[]): string[] {
  const packets: string[] = [];
  for (const line of lines) {
    const last = packets.at(-1);
    const joined = last === undefined ? line : `${last}\n${line}`;
    if (last !== undefined && Buffer.byteLength(joined) <= PACKET_BYTES) packets.splice(-1, 1, joined);
    else packets.push(line);
  }
  return packets;
}

function unreachable({ transport, host, port }: StatsdOptions, cause: unknown): BackupError {
  const message = `Cannot send measures to ${transport} at "${host}:${port}": ${reasonOf(cause)}`;
  return new BackupError("UNREACHABLE", message, { hint: "Look at [export] in the config.", cause });
}
