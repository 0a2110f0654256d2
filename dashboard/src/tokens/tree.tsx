import { Anchor, Box, Group, ScrollArea, Stack, Switch, Text, TextInput } from "@mantine/core";
import { type FocusEvent, memo, type MouseEvent, startTransition, useDeferredValue, useEffect, useId, useMemo, useRef, useState } from "react";
import type { ApiListItem } from "../api/schema.gen";
import { Prose } from "../ui/prose";
import { useDocumentation } from "./data";
import { choiceOf, choose, type Group as MethodGroup, grouped, shortName, shown } from "./permissions";

interface Tree {
  readonly methods: readonly ApiListItem[];
  readonly chosen: ReadonlySet<string>;
  /** Changes what is chosen; always the same function. */
  readonly change: (change: (chosen: ReadonlySet<string>) => ReadonlySet<string>) => void;
}

/** The methods by service, to be checked one by one or all of a service. */
export const PermissionTree = memo(function PermissionTree({ methods, chosen, change }: Tree) {
  const [search, setSearch] = useState("");
  const [onlyChecked, setOnlyChecked] = useState(false);
  const [told, setTold] = useState<string>();
  const documentation = useDocumentation();
  const groups = useMemo(() => grouped(methods), [methods]);
  const sought = useDeferredValue(search);
  const only = useDeferredValue(onlyChecked) ? chosen : undefined;
  const found = useMemo(() => shown(groups, sought, only), [groups, sought, only]);
  // Hundreds of methods come right after the dialog, in small steps, and do not hold it up.
  const [isDialogThere, setDialogThere] = useState(false);
  useEffect(() => startTransition(() => setDialogThere(true)), []);
  /** Tells of the method that has the focus, or that the pointer has come to: not of one that has come to the pointer. */
  const tell = (event: MouseEvent | FocusEvent) => {
    if ("movementX" in event && event.movementX === 0 && event.movementY === 0) return;
    const { target } = event;
    const method = (target as Element).closest<HTMLElement>("[data-method]")?.dataset.method;
    if (method !== undefined) setTold(method);
  };
  return (
    <Stack gap="xs">
      <Group justify="space-between" align="flex-end">
        <TextInput label="Search" placeholder="stop" value={search} onChange={(event) => setSearch(event.currentTarget.value)} flex={1} miw={140} />
        <Switch label="Only Checked" checked={onlyChecked} onChange={(event) => setOnlyChecked(event.currentTarget.checked)} mb={8} />
      </Group>
      <ScrollArea.Autosize mah={260} type="auto" viewportProps={{ tabIndex: 0, role: "group", "aria-label": "Methods" }} onMouseMove={tell} onFocus={tell}>
        {isDialogThere && found.length === 0 && <Text p="sm">{onlyChecked && search === "" ? "Nothing is checked." : "No method is called so."}</Text>}
        {isDialogThere && found.map((group) => <Service key={group.name} group={group} chosen={chosen} change={change} />)}
      </ScrollArea.Autosize>
      <Box mih={48} aria-live="polite">
        {told !== undefined && <Text size="sm"><Prose text={documentation.data?.get(told) ?? told} /> <Anchor size="sm" underline="always" href={`/docs#${told}`} target="_blank">Docs</Anchor></Text>}
      </Box>
    </Stack>
  );
});

const Service = memo(function Service({ group, chosen, change }: { group: MethodGroup; chosen: ReadonlySet<string>; change: Tree["change"] }) {
  const box = useRef<HTMLInputElement>(null);
  const choice = choiceOf(group, chosen);
  // The third state is no attribute.
  useEffect(() => {
    if (box.current) box.current.indeterminate = choice === "some";
  }, [choice]);
  return (
    <div className="service" role="group" aria-label={group.name}>
      <label>
        <input ref={box} type="checkbox" className="box" checked={choice === "all"} onChange={() => change((chosen) => choose(chosen, group.methods, choice !== "all"))} />
        <b>{group.name}</b>
      </label>
      {group.methods.map((item) => <Method key={item.method} item={item} checked={chosen.has(item.method)} change={change} />)}
    </div>
  );
});

/** A click makes only those anew that it is about. The elements are the browser's own: of hundreds, the library's would take their time. */
const Method = memo(function Method({ item, checked, change }: { item: ApiListItem; checked: boolean; change: Tree["change"] }) {
  const mark = useId();
  return (
    <div className="method" data-method={item.method}>
      <label>
        <input type="checkbox" className="box" checked={checked} aria-describedby={mark} onChange={({ currentTarget: { checked: wanted } }) => change((chosen) => choose(chosen, [item], wanted))} />
        {shortName(item)}
      </label>
      <span id={mark} className={item.isSafe ? "mark" : "mark changes"}>{item.isSafe ? "reads" : "changes"}</span>
    </div>
  );
});
