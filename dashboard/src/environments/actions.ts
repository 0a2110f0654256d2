import { call } from "../api/client";

/** What can be done to an environment from the list. */
export interface Action {
  readonly name: "start" | "stop" | "sleep" | "restart";
  readonly label: string;
  /** The question that has to be answered before. */
  readonly question: (environment: string) => string;
  /** In which statuses it makes sense. */
  readonly from: readonly number[];
  readonly run: (environment: string) => Promise<unknown>;
}

export const ACTIONS: readonly Action[] = [
  {
    name: "start",
    label: "Start",
    question: (name) => `All nodes of “${name}” are started.`,
    from: [2, 4, 11],
    run: (envName) => call("/1.0/environment/control/rest/startenv", { envName }),
  },
  {
    name: "stop",
    label: "Stop",
    question: (name) => `All nodes of “${name}” are stopped, and what they were doing ends.`,
    from: [1, 4, 11],
    run: (envName) => call("/1.0/environment/control/rest/stopenv", { envName }),
  },
  {
    name: "sleep",
    label: "Put to sleep",
    question: (name) => `“${name}” is stopped, and started again by the next start.`,
    from: [1, 2, 11],
    run: (envName) => call("/1.0/environment/control/rest/sleepenv", { envName }),
  },
  {
    name: "restart",
    label: "Restart",
    question: (name) => `All nodes of “${name}” are ended and started again.`,
    from: [1, 11],
    run: (envName) => call("/1.0/environment/control/rest/restartnodes", { envName }),
  },
];
