import { Anchor, Badge, Box, Checkbox, Group, ScrollArea, Stack, Switch, Text, TextInput } from "@mantine/core";
import { memo, startTransition, useDeferredValue, useEffect, useMemo, useState } from "react";
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
export function PermissionTree({ methods, chosen, change }: Tree) {
  const [search, setSearch] = useState("");
  const [onlyChecked, setOnlyChecked] = useState(false);
  const [told, setTold] = useState<string>();
  const documentation = useDocumentation();
  const groups = useMemo(() => grouped(methods), [methods]);
  const sought = useDeferredValue(search);
  const found = useMemo(() => shown(groups, sought, onlyChecked ? chosen : undefined), [groups, sought, onlyChecked, chosen]);
  // Hundreds of methods come right after the dialog, in small steps, and do not hold it up.
  const [isDialogThere, setDialogThere] = useState(false);
  useEffect(() => startTransition(() => setDialogThere(true)), []);
  return (
    <Stack gap="xs">
      <Group justify="space-between" align="flex-end">
        <TextInput label="Search" placeholder="stop" value={search} onChange={(event) => setSearch(event.currentTarget.value)} flex={1} miw={140} />
        <Switch label="Only Checked" checked={onlyChecked} onChange={(event) => setOnlyChecked(event.currentTarget.checked)} mb={8} />
      </Group>
      <ScrollArea.Autosize mah={260} type="auto" viewportProps={{ tabIndex: 0, role: "group", "aria-label": "Methods" }}>
        {isDialogThere && found.length === 0 && <Text p="sm">{onlyChecked && search === "" ? "Nothing is checked." : "No method is called so."}</Text>}
        {isDialogThere && found.map((group) => (
          <Service key={group.name} group={group} chosen={chosen} change={change} tell={setTold} />
        ))}
      </ScrollArea.Autosize>
      <Box mih={48} aria-live="polite">
        {told && <Text size="sm"><Prose text={documentation.data?.get(told) ?? told} /> <Anchor size="sm" href={`/docs#${told}`} target="_blank">Docs</Anchor></Text>}
      </Box>
    </Stack>
  );
}

function Service({ group, chosen, change, tell }: { group: MethodGroup; chosen: ReadonlySet<string>; change: Tree["change"]; tell: (method: string) => void }) {
  const choice = choiceOf(group, chosen);
  return (
    <Box mb="sm" role="group" aria-label={group.name}>
      <Checkbox
        label={<Text fw={600} span>{group.name}</Text>}
        checked={choice === "all"}
        indeterminate={choice === "some"}
        onChange={() => change((chosen) => choose(chosen, group.methods, choice !== "all"))}
      />
      <Stack gap={6} mt={6} pl="lg">
        {group.methods.map((item) => (
          <Method key={item.method} item={item} checked={chosen.has(item.method)} tell={tell} change={change} />
        ))}
      </Stack>
    </Box>
  );
}

/** A click makes only those anew that it is about. */
const Method = memo(function Method({ item, checked, tell, change }: { item: ApiListItem; checked: boolean; tell: (method: string) => void; change: Tree["change"] }) {
  return (
    <Group gap="xs" wrap="nowrap" onMouseEnter={() => tell(item.method)}>
      <Checkbox label={shortName(item)} checked={checked} onChange={({ currentTarget: { checked: wanted } }) => change((chosen) => choose(chosen, [item], wanted))} onFocus={() => tell(item.method)} />
      <Badge size="xs" variant="dot" color={item.isSafe ? "gray" : "orange"} tt="none">{item.isSafe ? "reads" : "changes"}</Badge>
    </Group>
  );
});
