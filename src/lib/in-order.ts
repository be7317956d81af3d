/**
 * Results of tasks in their order, while up to `width` of them run.
 * The first failure is thrown when its turn comes; tasks that still run then are left to end by themselves.
 */
export async function* inOrder<T>(tasks: Iterable<() => Promise<T>>, width: number): AsyncGenerator<T, void> {
  const running: Promise<T>[] = [];
  for (const task of tasks) {
    running.push(started(task));
    if (running.length < width) continue;
    const first = running.shift();
    if (first !== undefined) yield await first;
  }
  for (const rest of running) yield await rest;
}

function started<T>(task: () => Promise<T>): Promise<T> {
  const promise = task();
  promise.catch(() => {
    // It is seen when its turn comes; until then it must not count as unhandled.
  });
  return promise;
}
