import { Text } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import type { ReactNode } from "react";

/** How much room the window has, by the breakpoints that columns are left out below. */
export type Room = "xs" | "sm" | "md";

const ROOMS: readonly Room[] = ["xs", "sm", "md"];
/** Known before anything is drawn. */
const AT_ONCE = { getInitialValueInEffect: false };

export function useRoom(): Room {
  const sm = useMediaQuery("(min-width: 48em)", undefined, AT_ONCE);
  const md = useMediaQuery("(min-width: 62em)", undefined, AT_ONCE);
  return md ? "md" : sm ? "sm" : "xs";
}

/** A column that is there from some width on: its name, and what is in it. */
type Column = readonly [name: string, from: Room, content: ReactNode];

/** What has a column of its own where there is room for one, and is told below what the row is called by where there is none. */
export function Lines({ room, of }: { room: Room; of: readonly Column[] }) {
  const left = of.filter(([, from]) => ROOMS.indexOf(from) > ROOMS.indexOf(room));
  return left.map(([name, , content]) => <Text key={name} size="sm" fw={400} className="any-wrap">{name}: {content}</Text>);
}
