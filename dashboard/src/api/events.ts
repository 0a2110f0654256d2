import { createParser } from "eventsource-parser";
import type { Result } from "./schema.gen";
import { ApiError, type Path, Unreachable } from "./client";
import { doubt } from "./doubt";

/** How long to wait before a stream is opened again that has ended, in milliseconds: longer with each attempt that fails. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 5_000;
/** After how long without a sign a stream is taken for dead, in milliseconds: the gateway gives one every 15 seconds. */
const SILENCE = 45_000;

export interface Listener {
  /** An event has come, with its data. */
  event(name: string, data: unknown): void;
  /** The stream lives (nothing is wrong), or why not. It is opened again unless nobody is signed in any more. */
  state(trouble: Error | undefined): void;
}

/** The events of a method that streams, for as long as the signal lets it. Browsers' own `EventSource` asks by GET, for which the cookie does not count. */
export async function watch(path: Path, listener: Listener, signal: AbortSignal): Promise<void> {
  let wait = FIRST_WAIT;
  const isOver = () => signal.aborted;
  while (!isOver()) {
    try {
      await read(path, (name, data) => {
        wait = FIRST_WAIT;
        listener.state(undefined);
        listener.event(name, data);
      }, signal);
    } catch (error) {
      if (isOver()) return;
      const trouble = error instanceof Error ? error : new Unreachable(error);
      listener.state(trouble);
      if (trouble instanceof ApiError && trouble.isSignedOut) return;
    }
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

async function read(path: Path, event: (name: string, data: unknown) => void, signal: AbortSignal): Promise<void> {
  await doubt.over();
  const response = await fetch(path, { method: "POST", credentials: "same-origin", signal }).catch((error: unknown) => {
    throw new Unreachable(error);
  });
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    throw failed((await response.json().catch(() => undefined)) as Result | undefined);
  }
  let end: Result | undefined;
  const parser = createParser({
    onEvent: ({ event: name, data }) => {
      const value: unknown = JSON.parse(data);
      if (name === "end") end = value as Result;
      else event(name ?? "message", value);
    },
  });
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  for (;;) {
    const silent = setTimeout(() => void reader?.cancel(), SILENCE);
    const part = await reader?.read().catch((error: unknown) => {
      throw new Unreachable(error);
    }).finally(() => clearTimeout(silent));
    if (!part || part.done) break;
    parser.feed(decoder.decode(part.value, { stream: true }));
  }
  if (end?.result !== 0) throw failed(end);
}

function failed(answer: Result | undefined): Error {
  if (answer?.error === undefined) return new Unreachable(answer);
  return new ApiError({ ...answer, source: "JEL" } as ApiError["failure"]);
}

function pause(time: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, time);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
