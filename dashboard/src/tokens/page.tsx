import { Badge, Button, Center, Group, Loader, NativeSelect, Stack, Table, Text, TextInput, Title, UnstyledButton } from "@mantine/core";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { memo, type MouseEvent, startTransition, useMemo, useState } from "react";
import type { ApiToken } from "../api/schema.gen";
import { Lines, type Room, useRoom } from "../ui/room";
import { Told } from "../ui/told";
import { Unread } from "../ui/unread";
import { filtered, moment, type State, STATE_COLORS, stateOf, STATES, useTokens, useUses, validity } from "./data";
import { Edit, Generate, Remove } from "./dialogs";
import { clicked, kept, NOTHING } from "./selection";

/** How many days of use are drawn. */
const DAYS = 30;

type Column = "description" | "set" | "expires" | "used" | "state";

const COLUMNS: readonly { readonly key: Column; readonly label: string; readonly from?: string; readonly order: (token: ApiToken) => string | number }[] = [
  { key: "description", label: "Description", order: ({ description }) => description.toLowerCase() },
  { key: "set", label: "API", from: "sm", order: (token) => token.tokenTemplate?.name ?? "" },
  { key: "expires", label: "Expires", from: "sm", order: ({ expiresAt }) => expiresAt ?? "9" },
  { key: "used", label: "Last use", from: "md", order: ({ lastUsed }) => lastUsed ?? "" },
  { key: "state", label: "State", order: stateOf },
];

type Open = { dialog: "generate" } | { dialog: "copy" | "edit"; token: ApiToken } | { dialog: "remove"; tokens: readonly ApiToken[] };

export function Tokens() {
  const tokens = useTokens();
  const uses = useUses(DAYS);
  const room = useRoom();
  const [filter, setFilter] = useState("");
  const [state, setState] = useState<State>();
  const [sorted, setSorted] = useState<{ by: Column; down: boolean }>();
  const [selected, setSelected] = useState(NOTHING);
  const [open, setOpen] = useState<Open>();
  const [told, setTold] = useState<string>();

  const rows = useMemo(() => {
    const found = filtered(tokens.data ?? [], filter, state);
    const column = COLUMNS.find(({ key }) => key === sorted?.by);
    if (!column) return found;
    const order = (one: ApiToken, other: ApiToken) => (column.order(one) < column.order(other) ? -1 : column.order(one) > column.order(other) ? 1 : 0);
    return found.toSorted((one, other) => (sorted?.down ? order(other, one) : order(one, other)));
  }, [tokens.data, filter, state, sorted]);
  const ids = rows.map(({ id }) => id);
  const { chosen } = kept(selected, ids);
  const chosenTokens = rows.filter(({ id }) => chosen.has(id));
  const one = chosenTokens.length === 1 ? chosenTokens[0] : undefined;

  const sort = (by: Column) => setSorted((before) => (before?.by === by ? { by, down: !before.down } : { by, down: false }));
  const click = (event: MouseEvent) => {
    const target = event.target as HTMLElement;
    const id = Number(target.closest<HTMLElement>("[data-token]")?.dataset.token);
    // The boxes are for those who have no keys to hold, and add or take away.
    const toggle = event.ctrlKey || event.metaKey || target.closest("input, label") !== null;
    setSelected(clicked(kept(selected, ids), ids, id, { shift: event.shiftKey, toggle }));
  };
  // A dialog of hundreds of methods is made in small steps.
  const show = (open: Open) => startTransition(() => setOpen(open));
  // What ends late ends no dialog but its own.
  const close = () => setOpen((now) => (now === open ? undefined : now));
  return (
    <Stack>
      <Title order={2} size="h3">Access Tokens</Title>
      {told && <Told text={told} close={() => setTold(undefined)} />}
      <Unread query={tokens} title="The tokens cannot be listed" />
      {!tokens.failureReason && <Unread query={uses} title="How often the tokens are used is not known" />}
      <Group gap="xs" role="toolbar" aria-label="Tokens">
        <Button onClick={() => show({ dialog: "generate" })}>Generate</Button>
        <Button variant="default" disabled={!one} onClick={() => one && show({ dialog: "edit", token: one })}>Edit</Button>
        <Button variant="default" disabled={!one} onClick={() => one && show({ dialog: "copy", token: one })}>Copy</Button>
        <Button variant="default" disabled={chosenTokens.length === 0} onClick={() => show({ dialog: "remove", tokens: chosenTokens })}>Remove</Button>
        <Button variant="default" loading={tokens.isFetching} onClick={() => { void tokens.refetch(); void uses.refetch(); }}>Refresh</Button>
      </Group>
      <Group align="flex-end" gap="xs">
        <TextInput label="Filter" value={filter} onChange={(event) => setFilter(event.currentTarget.value)} flex={1} miw={140} maw={320} />
        <NativeSelect label="State" value={state ?? ""} data={[{ label: "all", value: "" }, ...STATES]} onChange={(event) => setState(STATES.find((state) => state === event.currentTarget.value))} />
      </Group>
      {tokens.isPending && !tokens.failureReason && <Center p="xl"><Loader aria-label="Loading tokens" /></Center>}
      {tokens.data && rows.length === 0 && <Text>{tokens.data.length === 0 ? "There are no tokens yet. Generate one, for a script to use." : "No token fits the filter."}</Text>}
      {rows.length > 0 && (
        <Table verticalSpacing="sm" highlightOnHover>
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col"><span className="only-read">Selected</span></Table.Th>
              {COLUMNS.map(({ key, label, from }) => (
                <Table.Th key={key} scope="col" {...(from && { visibleFrom: from })} aria-sort={sorted?.by !== key ? "none" : sorted.down ? "descending" : "ascending"}>
                  <UnstyledButton fw={600} fz="sm" onClick={() => sort(key)}>
                    {label}{sorted?.by === key && (sorted.down ? <IconArrowDown size={14} aria-hidden /> : <IconArrowUp size={14} aria-hidden />)}
                  </UnstyledButton>
                </Table.Th>
              ))}
              <Table.Th scope="col" visibleFrom="md">Last {DAYS} days</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody onClick={click}>
            {rows.map((token) => <Row key={token.id} token={token} chosen={chosen.has(token.id)} counts={uses.data && (uses.data.get(token.id) ?? UNUSED)} room={room} />)}
          </Table.Tbody>
        </Table>
      )}
      {open?.dialog === "generate" && <Generate like={undefined} close={close} />}
      {open?.dialog === "copy" && <Generate like={open.token} close={close} />}
      {open?.dialog === "edit" && <Edit id={open.token.id} close={close} tell={setTold} />}
      {open?.dialog === "remove" && <Remove tokens={open.tokens} close={close} tell={setTold} />}
    </Stack>
  );
}

const UNUSED: readonly number[] = [];

interface Shown {
  readonly token: ApiToken;
  /** The uses of each day, where they are known. */
  readonly counts: readonly number[] | undefined;
  readonly room: Room;
}

/** A click makes only those rows anew that it is about, and of those what it changes. */
const Row = memo(function Row({ chosen, ...cells }: Shown & { chosen: boolean }) {
  const { token } = cells;
  return (
    <Table.Tr className="row" data-token={token.id} data-chosen={chosen || undefined}>
      <Table.Td><input type="checkbox" className="box" aria-label={`Select ${token.description}`} checked={chosen} readOnly /></Table.Td>
      <Cells {...cells} />
    </Table.Tr>
  );
});

const Cells = memo(function Cells({ token, counts, room }: Shown) {
  const state = stateOf(token);
  const set = token.tokenTemplate?.name ?? "Custom";
  const expires = validity(token.expiresAt);
  const used = moment(token.lastUsed, "never");
  return (
    <>
      <Table.Th scope="row" className="any-wrap">
        {token.description}
        <Lines room={room} of={[["API", "sm", set], ["Expires", "sm", expires], ["Last use", "md", used], [`Last ${DAYS} days`, "md", counts ? inWords(counts) : "not known"]]} />
      </Table.Th>
      <Table.Td visibleFrom="sm">{set}</Table.Td>
      <Table.Td visibleFrom="sm">{expires}</Table.Td>
      <Table.Td visibleFrom="md">{used}</Table.Td>
      <Table.Td><Badge variant="dot" tt="none" fw={500} color={STATE_COLORS[state]}>{state}</Badge></Table.Td>
      <Table.Td visibleFrom="md">{counts ? <Sparkline counts={counts} /> : "not known"}</Table.Td>
    </>
  );
});

function inWords(counts: readonly number[]): string {
  const all = counts.reduce((sum, count) => sum + count, 0);
  return all === 1 ? "1 use" : `${all} uses`;
}

/** The uses of each day, beside each other. */
function Sparkline({ counts }: { counts: readonly number[] }) {
  const most = Math.max(1, ...counts);
  const label = inWords(counts);
  return (
    <svg role="img" aria-label={label} width={DAYS * 3} height={24} viewBox={`0 0 ${DAYS * 3} 24`}>
      <title>{label}</title>
      <line x1="0" x2={DAYS * 3} y1="23.5" y2="23.5" stroke="currentColor" strokeOpacity="0.3" />
      {counts.map((count, day) => count > 0 && <rect key={day} x={day * 3} width="2" y={23 - (22 * count) / most} height={(22 * count) / most + 1} fill="currentColor" />)}
    </svg>
  );
}
