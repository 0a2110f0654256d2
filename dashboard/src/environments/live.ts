import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useReducer } from "react";
import type { RemovedEnvironment, WatchedEnvironment, WatchedEnvironments } from "../api/schema.gen";
import { ApiError } from "../api/client";
import { watch } from "../api/events";
import { ended } from "../session";

/** The account's environments as they are at this moment. */
export interface Live {
  /** By name; `undefined` before the first answer. */
  readonly environments: readonly WatchedEnvironment[] | undefined;
  /** Why they may not be what is shown. */
  readonly trouble: Error | undefined;
}

export type Change =
  | { kind: "snapshot"; environments: readonly WatchedEnvironment[] }
  | { kind: "changed"; environment: WatchedEnvironment }
  | { kind: "removed"; name: string }
  | { kind: "trouble"; trouble: Error | undefined };

export function changed(before: Live, change: Change): Live {
  const without = (name: string) => (before.environments ?? []).filter(({ env }) => env?.envName !== name);
  switch (change.kind) {
    case "snapshot":
      return { ...before, environments: sorted(change.environments) };
    case "changed":
      return { ...before, environments: sorted([...without(change.environment.env?.envName ?? ""), change.environment]) };
    case "removed":
      return { ...before, environments: without(change.name) };
    case "trouble":
      return change.trouble === before.trouble ? before : { ...before, trouble: change.trouble };
  }
}

function sorted(environments: readonly WatchedEnvironment[]): readonly WatchedEnvironment[] {
  const name = ({ env }: WatchedEnvironment) => env?.envName ?? "";
  return environments.toSorted((one, other) => (name(one) < name(other) ? -1 : 1));
}

/** Follows the environments for as long as the component is there and its page is seen: each time from what they are then. */
export function useEnvironments(): Live {
  const [live, tell] = useReducer(changed, { environments: undefined, trouble: undefined });
  const queries = useQueryClient();
  const { trouble } = live;
  useEffect(() => {
    let stop: AbortController | undefined;
    const event = (name: string, data: unknown) => {
      if (name === "snapshot") tell({ kind: "snapshot", environments: (data as WatchedEnvironments).infos });
      if (name === "changed") tell({ kind: "changed", environment: data as WatchedEnvironment });
      if (name === "removed") tell({ kind: "removed", name: (data as RemovedEnvironment).envName });
    };
    const state = (trouble: Error | undefined) => tell({ kind: "trouble", trouble });
    const follow = () => {
      stop?.abort();
      if (document.visibilityState === "hidden") return;
      stop = new AbortController();
      void watch("/1.0/environment/control/rest/watchenvs", { event, state }, stop.signal);
    };
    follow();
    document.addEventListener("visibilitychange", follow);
    return () => {
      document.removeEventListener("visibilitychange", follow);
      stop?.abort();
    };
  }, []);
  useEffect(() => {
    if (trouble instanceof ApiError && trouble.isSignedOut) ended(queries);
  }, [trouble, queries]);
  return live;
}
