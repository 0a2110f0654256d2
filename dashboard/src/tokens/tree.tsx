import { Box, Group, ScrollArea, Stack, Switch, Text, TextInput } from "@mantine/core";
import { type FocusEvent, memo, type MouseEvent, startTransition, useDeferredValue, useEffect, useId, useMemo, useRef, useState } from "react";
import type { ApiListItem } from "../api/schema.gen";
import { Prose } from "../ui/prose";
import { useDocumentation } from "./data";
import { moveWithin } from "./grid";
import { choiceOf, choose, type Group as MethodGroup, grouped, shortName, shown } from "./permissions";

interface Tree {
  readonly methods: readonly ApiListItem[];
  readonly chosen: ReadonlySet<string>;
  /** Changes what is chosen; always the same function. */
  readonly change: (change: (chosen: ReadonlySet<string>) => ReadonlySet<string>) => void;
}

/**
 * The methods by service, to be checked one by one or all of a service. A grid, after the WAI-ARIA practices: Tab comes to
 * one row, to its box and the link beside it, and goes on behind them all; the arrows lead through the others.
 */
export const PermissionTree = memo(function PermissionTree({ methods, chosen, change }: Tree) {
  const [search, setSearch] = useState("");
  const [onlyChecked, setOnlyChecked] = useState(false);
  const [told, setTold] = useState<string>();
  const [visited, setVisited] = useState<string>();
  const documentation = useDocumentation();
  const groups = useMemo(() => grouped(methods), [methods]);
  const sought = useDeferredValue(search);
  const only = useDeferredValue(onlyChecked) ? chosen : undefined;
  const found = useMemo(() => shown(groups, sought, only), [groups, sought, only]);
  // Hundreds of methods come right after the dialog, in small steps, and do not hold it up.
  const [isDialogThere, setDialogThere] = useState(false);
  useEffect(() => startTransition(() => setDialogThere(true)), []);
  /** The row that Tab comes to: the one that had the focus last, or the first. */
  const current = found.some((group) => isOf(group, visited)) ? visited : found[0]?.name;
  /** Tells of the method that has the focus, or that the pointer has come to: not of one that has come to the pointer. */
  const tell = (event: MouseEvent | FocusEvent) => {
    if ("movementX" in event && event.movementX === 0 && event.movementY === 0) return;
    const { target } = event;
    const method = (target as Element).closest<HTMLElement>("[data-method]")?.dataset.method;
    if (method !== undefined) setTold(method);
  };
  const visit = (event: FocusEvent) => {
    tell(event);
    const row = event.target.closest<HTMLElement>("[role=row]")?.dataset;
    if (row) setVisited(row.method ?? row.service);
  };
  return (
    <Stack gap="xs">
      <Group justify="space-between" align="flex-end">
        <TextInput label="Search" placeholder="stop" value={search} onChange={(event) => setSearch(event.currentTarget.value)} flex={1} miw={140} />
        <Switch label="Only Checked" checked={onlyChecked} onChange={(event) => setOnlyChecked(event.currentTarget.checked)} mb={8} />
      </Group>
      {isDialogThere && found.length === 0 && <Text p="sm">{onlyChecked && search === "" ? "Nothing is checked." : "No method is called so."}</Text>}
      {isDialogThere && found.length > 0 && (
        <ScrollArea.Autosize mah={260} type="auto" viewportProps={{ role: "grid", "aria-label": "Methods" }} onMouseMove={tell} onFocus={visit} onKeyDown={moveWithin}>
          {found.map((group) => <Service key={group.name} group={group} chosen={chosen} current={isOf(group, current) ? current : undefined} change={change} />)}
        </ScrollArea.Autosize>
      )}
      <Box mih={48} aria-live="polite">
        {told !== undefined && <Text size="sm"><Prose text={documentation.data?.get(told) ?? told} /></Text>}
      </Box>
    </Stack>
  );
});

/** Whether a row is a service's own or one of its methods'. */
function isOf({ name, methods }: MethodGroup, row: string | undefined): boolean {
  return row === name || methods.some(({ method }) => method === row);
}

interface Rows {
  readonly group: MethodGroup;
  readonly chosen: ReadonlySet<string>;
  /** The row that Tab comes to, where it is one of these. */
  readonly current: string | undefined;
  readonly change: Tree["change"];
}

const Service = memo(function Service({ group, chosen, current, change }: Rows) {
  const box = useRef<HTMLInputElement>(null);
  const choice = choiceOf(group, chosen);
  // The third state is no attribute.
  useEffect(() => {
    if (box.current) box.current.indeterminate = choice === "some";
  }, [choice]);
  return (
    <div className="service" role="rowgroup" aria-label={group.name}>
      <div role="row" data-service={group.name}>
        <div role="gridcell">
          <label>
            <input ref={box} type="checkbox" className="box" tabIndex={current === group.name ? 0 : -1} checked={choice === "all"} onChange={() => change((chosen) => choose(chosen, group.methods, choice !== "all"))} />
            <b>{group.name}</b>
          </label>
        </div>
      </div>
      {group.methods.map((item) => <Method key={item.method} item={item} checked={chosen.has(item.method)} isCurrent={current === item.method} change={change} />)}
    </div>
  );
});

/** A click makes only those anew that it is about. The elements are the browser's own: of hundreds, the library's would take their time. */
const Method = memo(function Method({ item, checked, isCurrent, change }: { item: ApiListItem; checked: boolean; isCurrent: boolean; change: Tree["change"] }) {
  const mark = useId();
  const name = shortName(item);
  const tabIndex = isCurrent ? 0 : -1;
  return (
    <div className="method" role="row" data-method={item.method}>
      <div role="gridcell">
        <label>
          <input type="checkbox" className="box" tabIndex={tabIndex} checked={checked} aria-describedby={mark} onChange={({ currentTarget: { checked: wanted } }) => change((chosen) => choose(chosen, [item], wanted))} />
          {name}
        </label>
        <span id={mark} className={item.isSafe ? "mark" : "mark changes"}>{item.isSafe ? "reads" : "changes"}</span>
      </div>
      <div role="gridcell"><a href={`/docs#${item.method}`} target="_blank" tabIndex={tabIndex} aria-label={`Docs of ${name}`}>Docs</a></div>
    </div>
  );
});
