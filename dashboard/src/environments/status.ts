/** The platform's statuses of environments and nodes: the number of the API, what people read, and a colour. */
export interface Status {
  readonly word: string;
  readonly color: string;
  /** Something is being done to it. */
  readonly isBusy: boolean;
}

const STATUSES: Readonly<Record<number, Status>> = {
  1: { word: "running", color: "green", isBusy: false },
  2: { word: "stopped", color: "gray", isBusy: false },
  3: { word: "launching", color: "blue", isBusy: true },
  4: { word: "asleep", color: "indigo", isBusy: false },
  5: { word: "unknown", color: "orange", isBusy: false },
  6: { word: "being created", color: "blue", isBusy: true },
  7: { word: "being cloned", color: "blue", isBusy: true },
  11: { word: "broken", color: "red", isBusy: false },
  12: { word: "being updated", color: "blue", isBusy: true },
  13: { word: "stopping", color: "blue", isBusy: true },
  14: { word: "going to sleep", color: "blue", isBusy: true },
};

export function status(number: number): Status {
  return STATUSES[number] ?? { word: `status ${number}`, color: "gray", isBusy: false };
}
