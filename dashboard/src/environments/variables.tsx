import { Alert, Button, Group, Stack, Table, Text, Textarea, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Node } from "../api/schema.gen";
import { call } from "../api/client";
import { Dialog } from "../ui/dialog";
import { useLate } from "../ui/notices";
import { sentence } from "../ui/sentence";
import { submitting } from "../ui/submit";
import { Told } from "../ui/told";
import { Unread } from "../ui/unread";
import { useLeadBack, wrongWith } from "../ui/wrong";

/** A node, by its environment. */
interface Place {
  readonly envName: string;
  readonly nodeId: number;
}

type Open = { dialog: "add" } | { dialog: "change" | "remove"; name: string };

/** What a node was given. Values can be secrets: they are shown when that is asked for, and not kept. */
export function Variables({ environment: envName, node: { id: nodeId } }: { environment: string; node: Node }) {
  const [visible, setVisible] = useState(false);
  const [open, setOpen] = useState<Open>();
  const [told, setTold] = useState<string>();
  const variables = useQuery({
    queryKey: ["variables", envName, nodeId],
    queryFn: async ({ signal }) => (await call("/1.0/environment/control/rest/getcontainerenvvars", { envName, nodeId }, { signal })).object,
    gcTime: 0,
  });
  const all = variables.data ?? {};
  const names = Object.keys(all).toSorted();
  const asked = { place: { envName, nodeId }, close: () => setOpen((now) => (now === open ? undefined : now)), tell: setTold };
  return (
    <Stack gap="xs" component="section" aria-label="Variables">
      <Title order={2} size="h3">Variables</Title>
      <Text size="sm">They are in force from the node’s next launch on.</Text>
      {told !== undefined && <Told text={told} close={() => setTold(undefined)} />}
      <Unread query={variables} title="The variables cannot be read" />
      {variables.data && names.length === 0 && <Text>None were set.</Text>}
      {names.length > 0 && (
        <Table>
          <Table.Thead><Table.Tr><Table.Th scope="col">Name</Table.Th><Table.Th scope="col">Value</Table.Th><Table.Th scope="col"><span className="only-read">Actions</span></Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {names.map((name) => (
              <Table.Tr key={name}>
                <Table.Th scope="row" className="any-wrap">{name}</Table.Th>
                <Table.Td className="any-wrap">{visible ? <span className="as-written">{all[name]}</span> : <><span aria-hidden>••••••</span><span className="only-read">hidden</span></>}</Table.Td>
                <Table.Td>
                  <Group gap="xs" justify="flex-end">
                    <Button size="compact-sm" variant="default" aria-label={`Change ${name}`} onClick={() => setOpen({ dialog: "change", name })}>Change</Button>
                    <Button size="compact-sm" variant="default" aria-label={`Remove ${name}`} onClick={() => setOpen({ dialog: "remove", name })}>Remove</Button>
                  </Group>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {variables.data && (
        <Group>
          <Button size="compact-sm" variant="default" onClick={() => setOpen({ dialog: "add" })}>Add a variable</Button>
          {names.length > 0 && <Button size="compact-sm" variant="default" onClick={() => setVisible(!visible)}>{visible ? "Hide the values" : "Show the values"}</Button>}
        </Group>
      )}
      {open?.dialog === "add" && <Add {...asked} taken={names} />}
      {open?.dialog === "change" && <Change {...asked} name={open.name} before={all[open.name] ?? ""} />}
      {open?.dialog === "remove" && <Remove {...asked} name={open.name} />}
    </Stack>
  );
}

interface Asked {
  readonly place: Place;
  readonly close: () => void;
  readonly tell: (text: string) => void;
}

function Add({ place, close, tell, taken }: Asked & { taken: readonly string[] }) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const add = useChange(`Add “${name}”`, place, () => call("/1.0/environment/control/rest/addcontainerenvvars", { ...place, vars: { [name]: value } }), () => { tell(`“${name}” was added.`); close(); });
  const there = taken.includes(name) ? "There is one of this name already: change that one." : undefined;
  return (
    <Dialog title="Add a variable" close={close} held={add.isPending}>
      <Fields label="Add" change={add} submit={() => { if (there === undefined) add.mutate(); }} close={close}>
        <TextInput label="Name" required data-autofocus autoComplete="off" spellCheck={false} value={name} error={there ?? refusal(add.error)} onChange={(event) => { add.reset(); setName(event.currentTarget.value); }} />
        <Value value={value} set={setValue} />
      </Fields>
    </Dialog>
  );
}

function Change({ place, close, tell, name, before }: Asked & { name: string; before: string }) {
  const [value, setValue] = useState(before);
  const change = useChange(`Change “${name}”`, place, () => call("/1.0/environment/control/rest/addcontainerenvvars", { ...place, vars: { [name]: value } }), () => { tell(`“${name}” was changed.`); close(); });
  return (
    <Dialog title={`Change ${name}`} close={close} held={change.isPending}>
      <Fields label="Save" change={change} submit={() => change.mutate()} close={close}>
        <Value value={value} set={(value) => { change.reset(); setValue(value); }} error={refusal(change.error)} autofocus />
      </Fields>
    </Dialog>
  );
}

function Remove({ place, close, tell, name }: Asked & { name: string }) {
  const remove = useChange(`Remove “${name}”`, place, () => call("/1.0/environment/control/rest/removecontainerenvvars", { ...place, vars: [name] }), () => { tell(`“${name}” was removed.`); close(); });
  return (
    <Dialog title="Remove a variable?" close={close} held={remove.isPending}>
      <Fields label="Remove" change={remove} submit={() => remove.mutate()} close={close} autofocus>
        <Text>From its next launch on the node does without “{name}”.</Text>
        {refusal(remove.error) !== undefined && <Alert color="red" role="alert" title="It was not done">{refusal(remove.error)}</Alert>}
      </Fields>
    </Dialog>
  );
}

function Value({ value, set, error, autofocus }: { value: string; set: (value: string) => void; error?: string | undefined; autofocus?: boolean }) {
  return <Textarea label="Value" rows={3} autoComplete="off" spellCheck={false} value={value} error={error} onChange={(event) => set(event.currentTarget.value)} {...(autofocus && { "data-autofocus": true })} />;
}

interface Form {
  readonly label: string;
  readonly change: ReturnType<typeof useChange>;
  readonly submit: () => void;
  readonly close: () => void;
  readonly autofocus?: boolean;
  readonly children: React.ReactNode;
}

/** What the fields do not tell is told above them. */
function Fields({ label, change, submit, close, autofocus, children }: Form) {
  const here = useLeadBack<HTMLFormElement>(change.error);
  return (
    <form ref={here} onSubmit={submitting(submit)}>
      <Stack>
        {change.error && refusal(change.error) === undefined && <Alert color="red" role="alert" title="It was not done">{sentence(change.error.message)}</Alert>}
        {children}
        {change.isPending && <Text role="status">It is being done.</Text>}
        <Group justify="flex-end">
          <Button variant="default" onClick={close} disabled={change.isPending}>Cancel</Button>
          <Button type="submit" loading={change.isPending} {...(autofocus && { "data-autofocus": true })}>{label}</Button>
        </Group>
      </Stack>
    </form>
  );
}

/** What is wrong with the name or the value. */
function refusal(error: Error | null): string | undefined {
  return wrongWith("vars", error);
}

function useChange(what: string, { envName, nodeId }: Place, change: () => Promise<unknown>, done: () => void) {
  const queries = useQueryClient();
  const late = useLate();
  return useMutation({
    mutationFn: change,
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["variables", envName, nodeId] });
      done();
    },
    onError: (error) => late.failed(what, error),
  });
}
