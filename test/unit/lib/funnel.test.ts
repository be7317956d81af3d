import { expect, test } from "vitest";
import { Funnel } from "../../../src/lib/funnel.ts";

const { signal } = new AbortController();

function shell(script: string) {
  return { file: "sh", args: ["-c", script] };
}

async function refusal(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test("pass() hands what programs write to one reader, one after the other", async () => {
  const lines: string[] = [];
  await using funnel = await Funnel.open({ file: "cat", args: [] }, { signal, onLine: (line) => lines.push(line) });
  await funnel.pass(shell("echo one; sleep 0.1; echo two"));
  await funnel.pass(shell("printf 'three\\nfo'"));
  await funnel.pass(shell("printf 'ur\\n'"));
  await funnel.finish();
  expect(lines).toEqual(["one", "two", "three", "four"]);
});

test("pass() carries more than a pipe holds", async () => {
  const lines: string[] = [];
  await using funnel = await Funnel.open({ file: "wc", args: ["-c"] }, { signal, onLine: (line) => lines.push(line) });
  await funnel.pass(shell("head -c 1000000 /dev/zero"));
  await funnel.finish();
  expect(lines.map(Number)).toEqual([1_000_000]);
});

test("pass() blames the writer that fails, and ends the reader", async () => {
  await using funnel = await Funnel.open({ file: "cat", args: [] }, { signal, onLine: () => {} });
  const error = await refusal(funnel.pass(shell("echo half; echo sorry >&2; exit 3")));
  expect(error).toMatchObject({ code: "PROGRAM_FAILED", message: 'Cannot run "sh": it exited with status 3: sorry' });
  await funnel.ended;
});

test("pass() blames the reader that quits, while a writer is at work", async () => {
  const reader = shell("read line; echo bad >&2; exit 4");
  await using funnel = await Funnel.open(reader, { signal, onLine: () => {} });
  const error = await refusal(funnel.pass(shell("while :; do echo y; done")));
  expect(error).toMatchObject({ message: 'Cannot run "sh": it exited with status 4: bad' });
});

test("pass() takes a reader that quits with success for a failure", async () => {
  await using funnel = await Funnel.open({ file: "head", args: ["-n", "1"] }, { signal, onLine: () => {} });
  const error = await refusal(funnel.pass(shell("yes | head -c 10000000")));
  expect(error).toMatchObject({ message: expect.stringContaining("before it had read all its input") });
});

test("finish() tells why the reader failed at the end", async () => {
  const reader = shell("cat > /dev/null; echo no >&2; exit 5");
  await using funnel = await Funnel.open(reader, { signal, onLine: () => {} });
  await funnel.pass(shell("echo one"));
  expect(await refusal(funnel.finish())).toMatchObject({ message: 'Cannot run "sh": it exited with status 5: no' });
});

test("an abort ends both, with its reason", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  await using funnel = await Funnel.open({ file: "cat", args: [] }, { signal: controller.signal, onLine: () => {} });
  setTimeout(() => controller.abort(reason), 50);
  expect(await refusal(funnel.pass(shell("while :; do echo y; done")))).toBe(reason);
  await funnel.ended;
});
