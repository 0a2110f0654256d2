import { Accordion, Alert, Badge, Button, Code, Group, List, Loader, PasswordInput, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { contract } from "../api/client";
import { Prose } from "../ui/prose";
import { Lines, useRoom } from "../ui/room";
import { submitting } from "../ui/submit";
import { Unread } from "../ui/unread";

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly items?: Schema;
  readonly format?: string;
  readonly $ref?: string;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly string[];
}

interface Operation {
  readonly description: string;
  readonly tags: readonly string[];
  readonly security: readonly object[];
  readonly requestBody?: { content: Record<string, { schema: { properties: Record<string, Schema>; required: readonly string[] } }> };
  readonly responses: Record<string, { content?: Record<string, object> }>;
  readonly "x-portcullis": { method: string; access: string; permission?: number; safe: boolean; sets?: readonly string[] };
}

interface Document {
  readonly info: { readonly description: string };
  readonly tags: readonly { name: string; description: string }[];
  readonly paths: Record<string, { get?: Operation; post: Operation }>;
  readonly components: { schemas: { Failure: { properties: { result: { oneOf: readonly { const: number; title: string; description: string }[] } } } } };
}

interface Method {
  readonly path: string;
  readonly name: string;
  readonly operation: Operation;
  readonly byGet: boolean;
}

export function Reference() {
  const document = useQuery({
    queryKey: ["openapi"],
    queryFn: ({ signal }) => contract<Document>(signal),
    staleTime: Infinity,
  });
  return (
    <Stack>
      <Title order={1} size="h2">API reference</Title>
      <Unread query={document} title="The reference cannot be read" />
      {document.isPending && !document.failureReason && <Loader aria-label="Loading the reference" />}
      {document.data && <Methods document={document.data} />}
    </Stack>
  );
}

function Methods({ document: { info, tags, paths, components } }: { document: Document }) {
  const room = useRoom();
  const [search, setSearch] = useState("");
  const [first] = useState(() => decodeURIComponent(window.location.hash.slice(1)));
  const [open, setOpen] = useState(first === "" ? null : first);
  /** A token to try methods with: in the page's memory alone. */
  const [token, setToken] = useState("");
  const methods = useMemo(
    () => Object.entries(paths).map(([path, { get, post }]): Method => ({ path, name: post["x-portcullis"].method, operation: post, byGet: get !== undefined })),
    [paths],
  );
  useEffect(() => {
    if (first !== "") document.getElementById(first)?.scrollIntoView();
  }, [first]);
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const found = methods.filter(({ name, operation }) => words.every((word) => `${name} ${operation.description}`.toLowerCase().includes(word)));
  return (
    <>
      <Text maw="70ch"><Prose text={info.description} /></Text>
      <Group align="flex-end">
        <TextInput label="Search" value={search} onChange={(event) => setSearch(event.currentTarget.value)} miw={220} />
        <PasswordInput label="A token to try methods with" autoComplete="off" value={token} onChange={(event) => setToken(event.currentTarget.value)} miw={260} />
      </Group>
      {found.length === 0 && <Text>No method fits.</Text>}
      {tags.map(({ name, description }) => {
        const of = found.filter(({ operation }) => operation.tags[0] === name);
        if (of.length === 0) return null;
        return (
          <Stack key={name} component="section" aria-label={name} gap="xs">
            <Title order={2} size="h3">{name}</Title>
            <Text>{description}</Text>
            <Accordion order={3} variant="contained" value={open} onChange={setOpen}>
              {of.map((method) => (
                <Accordion.Item key={method.name} value={method.name} id={method.name}>
                  <Accordion.Control>
                    <Group gap="xs">{method.name.slice(name.length + 1)} <Badge size="xs" variant="dot" tt="none" color={method.operation["x-portcullis"].safe ? "gray" : "orange"}>{method.operation["x-portcullis"].safe ? "reads" : "changes"}</Badge></Group>
                  </Accordion.Control>
                  <Accordion.Panel>{open === method.name && <About method={method} token={token} />}</Accordion.Panel>
                </Accordion.Item>
              ))}
            </Accordion>
          </Stack>
        );
      })}
      <Stack component="section" aria-label="Result codes" gap="xs">
        <Title order={2} size="h3">Result codes</Title>
        <Table>
          <Table.Thead><Table.Tr><Table.Th scope="col">result</Table.Th><Table.Th scope="col" visibleFrom="sm">reason</Table.Th><Table.Th scope="col">Meaning</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {components.schemas.Failure.properties.result.oneOf.map(({ const: result, title, description }) => (
              <Table.Tr key={result}><Table.Th scope="row">{result}</Table.Th><Table.Td visibleFrom="sm">{title}</Table.Td><Table.Td><Prose text={description} /><Lines room={room} of={[["reason", "sm", title]]} /></Table.Td></Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Stack>
    </>
  );
}

const FORM = "application/x-www-form-urlencoded";

function About({ method, token }: { method: Method; token: string }) {
  const { operation, path, byGet } = method;
  const rule = operation["x-portcullis"];
  const form = operation.requestBody?.content[FORM]?.schema;
  const parameters = Object.entries(form?.properties ?? {});
  const streams = "text/event-stream" in (operation.responses["200"]?.content ?? {});
  const example = parameters.filter(([name]) => form?.required.includes(name)).map(([name]) => ` --data-urlencode ${name}=…`).join("");
  return (
    <Stack gap="sm">
      <Text><Prose text={operation.description} /></Text>
      <Text size="sm">
        {byGet ? "GET or POST" : "POST only"}; access: {rule.access}
        {rule.permission !== undefined && ` ${rule.permission}`}{rule.sets !== undefined && ` (in ${rule.sets.join(", ")})`}
      </Text>
      <Code block tabIndex={0} aria-label="An example">{`curl -H 'Authorization: Bearer …'${example} '${window.location.origin}${path}'`}</Code>
      {parameters.length > 0 && (
        <List spacing="xs" aria-label="Parameters">
          {parameters.map(([name, schema]) => (
            <List.Item key={name}><b>{name}</b> {kind(schema)}{form?.required.includes(name) ? ", required" : ""}. <Prose text={schema.description ?? ""} /></List.Item>
          ))}
        </List>
      )}
      {streams ? <Text size="sm">It answers with server-sent events.</Text> : <Try method={method} token={token} names={parameters.map(([name]) => name)} />}
    </Stack>
  );
}

function kind(schema: Schema): string {
  if (schema.type === "array") return `list of ${kind(schema.items ?? {})}`;
  if (schema.anyOf) return schema.anyOf.map(kind).filter((word) => word !== "").join(" or ");
  return schema.$ref !== undefined || schema.type === "object" ? "JSON" : (schema.type ?? "");
}

/** Calls the method with the token, and with nothing of the page's own session. */
function Try({ method: { path }, token, names }: { method: Method; token: string; names: readonly string[] }) {
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const run = useMutation({
    mutationFn: async () => {
      const given = Object.entries(values).filter(([, value]) => value !== "");
      const init = { method: "POST", credentials: "omit" as const, headers: { authorization: `Bearer ${token}` }, body: new URLSearchParams(given) };
      return JSON.stringify(await (await fetch(path, init)).json(), null, 2);
    },
  });
  return (
    <form onSubmit={submitting(() => run.mutate())}>
      <Stack gap="xs">
        {names.map((name) => (
          <TextInput key={name} label={name} size="xs" value={values[name] ?? ""} autoComplete="off" type={/password|code|session/i.test(name) ? "password" : "text"} onChange={(event) => setValues({ ...values, [name]: event.currentTarget.value })} />
        ))}
        <Group><Button type="submit" size="compact-sm" loading={run.isPending} disabled={token === ""}>Try it</Button>{token === "" && <Text size="sm">Give a token at the top of the page.</Text>}</Group>
        {run.isError && <Alert color="red" role="alert" title="It was not called">The service does not answer.</Alert>}
        {run.data !== undefined && <Code block tabIndex={0} aria-label="The answer" mah={320} style={{ overflow: "auto" }}>{run.data}</Code>}
      </Stack>
    </form>
  );
}
