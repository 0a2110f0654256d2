import { vi } from "vitest";

/** What is asked of the service, by the method's name, and what it answers beside its success. */
export type Answers = Record<string, (fields: URLSearchParams) => object | Promise<object>>;

/** Answers the page in place of the service, and tells what it was asked. What is not among the answers never comes. */
export function serve(answers: Answers): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (request: Request | string, init?: RequestInit) => {
    const method = (typeof request === "string" ? request : request.url).split("/").at(-1) ?? "";
    asked.push(method);
    const fields = new URLSearchParams(typeof request === "string" ? "" : await request.text());
    init?.signal?.addEventListener("abort", () => asked.push(`${method} left`));
    const answer = await Promise.resolve(answers[method]?.(fields) ?? new Promise<object>(() => undefined));
    return answer instanceof Response ? answer : new Response(JSON.stringify({ result: 0, ...answer }), { headers: { "content-type": "application/json" } });
  });
  return asked;
}

/** A stream that has brought an event and lives on. */
export function stream(event: string, data: object): Response {
  const text = new TextEncoder().encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  return new Response(new ReadableStream({ start: (body) => body.enqueue(text) }), { headers: { "content-type": "text/event-stream" } });
}

/** A window of some width, in pixels. */
export function windowOf(width: number): void {
  vi.stubGlobal("matchMedia", (media: string) => {
    const least = Number(/min-width: ([\d.]+)em/.exec(media)?.[1] ?? Infinity) * 16;
    return Object.assign(new EventTarget(), { media, matches: width >= least });
  });
}
