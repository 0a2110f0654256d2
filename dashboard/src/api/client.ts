import createClient from "openapi-fetch";
import type { Failure, paths } from "./schema.gen";
import { doubt } from "./doubt";

/** The API's methods, by their paths. */
export type Path = keyof paths;

type Post<P extends Path> = paths[P] extends { post: infer Operation } ? Operation : never;
type Form<P extends Path> =
  Post<P> extends { requestBody?: { content: { "application/x-www-form-urlencoded": infer Fields } } } ? Fields : Record<string, never>;
type Answers<P extends Path> =
  Post<P> extends { responses: { 200: { content: { "application/json": infer Answer } } } } ? Answer : never;
export type Success<P extends Path> = Extract<Answers<P>, { result: 0 }>;

/** What the API says is wrong. */
export class ApiError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.error);
    this.name = "ApiError";
  }

  /** Nobody is signed in any more. */
  get isSignedOut(): boolean {
    return this.failure.result === 702;
  }

  /** Nothing is known to be wrong with the call: trying again can help. */
  get isOutage(): boolean {
    return this.failure.result === 9105;
  }
}

/** The gateway did not answer, or not as it does. */
export class Unreachable extends Error {
  constructor(cause: unknown) {
    super("The service does not answer.", { cause });
    this.name = "Unreachable";
  }
}

/** Whether an outage is why, which is over by itself: anything else is as wrong the second time. */
export function isOutage(error: Error): boolean {
  return error instanceof Unreachable || (error instanceof ApiError && error.isOutage);
}

/** Parameters as the API reads them: lists by repetition, structures as JSON. */
export function form(parameters: Record<string, unknown>): URLSearchParams {
  const fields = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined || value === null) continue;
    const values = Array.isArray(value) && value.every((item) => typeof item !== "object") ? value : [value];
    for (const item of values) fields.append(name, typeof item === "object" ? JSON.stringify(item) : String(item));
  }
  return fields;
}

/** The session is in a cookie that only requests of this kind may use; see the gateway's ADR 16. */
const client = createClient<paths>({
  baseUrl: window.location.origin,
  fetch: (request) => fetch(request),
  credentials: "same-origin",
  bodySerializer: (body: unknown) => form((body ?? {}) as Record<string, unknown>),
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
});

/** How a call differs from others. */
export interface Wishes {
  signal?: AbortSignal;
  /** A session that is opened is to be kept in the cookie. */
  keepSession?: boolean;
  /** It looks whose session there is, which other calls wait for. */
  isLook?: boolean;
}

/** The contract, as the gateway publishes it. */
export async function contract<Shape>(signal: AbortSignal): Promise<Shape> {
  try {
    return (await (await fetch("/openapi.json", { signal })).json()) as Shape;
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Unreachable(error);
  }
}

/** Calls a method, and answers with its success. */
export async function call<P extends Path>(path: P, parameters: Form<P>, wishes: Wishes = {}): Promise<Success<P>> {
  const headers = wishes.keepSession ? { "portcullis-session": "cookie" } : {};
  if (!wishes.isLook) await doubt.over();
  let answer: unknown;
  try {
    // The path is one of many: the types of its parameters are checked by this function's own.
    const post = client.POST as unknown as (path: string, init: object) => Promise<{ data?: unknown }>;
    const init = { body: parameters, headers, ...(wishes.signal && { signal: wishes.signal }) };
    answer = (await post(path, init)).data;
  } catch (error) {
    if (wishes.signal?.aborted) throw error;
    throw new Unreachable(error);
  }
  if (!wishes.isLook) await doubt.outlast();
  if (typeof answer !== "object" || answer === null || !("result" in answer)) throw new Unreachable(answer);
  if (answer.result !== 0) throw new ApiError(answer as Failure);
  return answer as Success<P>;
}
