import { Anchor, Code, Group, Loader, NativeSelect, Stack, Switch, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import type { Node, WatchedEnvironment } from "../api/schema.gen";
import { call } from "../api/client";
import { Lines, useRoom } from "../ui/room";
import { Unread } from "../ui/unread";
import { useEnvironments } from "./live";
import { StatusBadge, Trouble } from "./parts";
import { Variables } from "./variables";

/** How often a log is read on that is followed, in milliseconds. */
const FOLLOW = 1000;
/** How much of a log is shown, in bytes. */
const SHOWN = 65_536;

export function EnvironmentDetail({ name }: { name: string }) {
  const { environments, trouble } = useEnvironments();
  const environment = environments?.find(({ env }) => env?.envName === name);
  return (
    <Stack>
      <Anchor component={Link} href="/environments">All environments</Anchor>
      <Title order={1} size="h2">{environment?.env?.displayName ?? name}</Title>
      <Trouble trouble={trouble} />
      {!environments && !trouble && <Loader aria-label="Loading the environment" />}
      {environments && !environment && <Text>There is no such environment.</Text>}
      {environment && <Nodes environment={environment} />}
    </Stack>
  );
}

function Nodes({ environment: { env, nodes } }: { environment: WatchedEnvironment }) {
  const room = useRoom();
  const [chosen, setChosen] = useState<number>();
  const node = nodes.find(({ id }) => id === chosen) ?? nodes[0];
  if (!env) return null;
  return (
    <>
      <Group><StatusBadge number={env.status} /></Group>
      <Table verticalSpacing="sm" captionSide="top">
        <Table.Caption c="var(--mantine-color-text)" ta="left">Nodes</Table.Caption>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Node</Table.Th>
            <Table.Th scope="col" visibleFrom="sm">Group</Table.Th>
            <Table.Th scope="col">Status</Table.Th>
            <Table.Th scope="col" visibleFrom="sm">Version</Table.Th>
            <Table.Th scope="col" visibleFrom="md">Address</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {nodes.map(({ id, nodeType, nodeGroup, status, version, url }) => (
            <Table.Tr key={id}>
              <Table.Th scope="row" className="any-wrap">
                {nodeType} {id}
                <Lines room={room} of={[["Group", "sm", nodeGroup], ["Version", "sm", version], ["Address", "md", url]]} />
              </Table.Th>
              <Table.Td visibleFrom="sm">{nodeGroup}</Table.Td>
              <Table.Td><StatusBadge number={status} /></Table.Td>
              <Table.Td visibleFrom="sm">{version}</Table.Td>
              <Table.Td visibleFrom="md">{url}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {node && (
        <>
          <NativeSelect label="Look into" maw={320} value={String(node.id)} data={nodes.map(({ id, nodeType }) => ({ value: String(id), label: `${nodeType} ${id}` }))} onChange={(event) => setChosen(Number(event.currentTarget.value))} />
          <Log key={`log ${node.id}`} environment={env.envName} node={node} />
          <Variables key={`variables ${node.id}`} environment={env.envName} node={node} />
        </>
      )}
    </>
  );
}

function Log({ environment: envName, node: { id: nodeId } }: { environment: string; node: Node }) {
  const [path, setPath] = useState<string>();
  const [follow, setFollow] = useState(true);
  const logs = useQuery({
    queryKey: ["logs", envName, nodeId],
    queryFn: async ({ signal }) => (await call("/1.0/environment/control/rest/getlogs", { envName, nodeId }, { signal })).array,
  });
  const shown = path ?? (logs.data?.find(({ path }) => path.includes("stdout")) ?? logs.data?.[0])?.path;
  const text = useQuery({
    queryKey: ["log", envName, nodeId, shown],
    queryFn: async ({ signal }) => (await call("/1.0/environment/control/rest/readlog", { envName, nodeId, path: shown ?? "", count: SHOWN }, { signal })).body,
    enabled: shown !== undefined,
    refetchInterval: follow ? FOLLOW : false,
  });
  const end = useRef<HTMLElement>(null);
  useEffect(() => {
    if (follow && end.current) end.current.scrollTop = end.current.scrollHeight;
  }, [text.data, follow]);
  const failureReason = logs.failureReason ?? text.failureReason;
  return (
    <Stack gap="xs" component="section" aria-label="Log">
      <Title order={2} size="h3">Log</Title>
      <Unread query={{ failureReason }} title="The log cannot be read" />
      {logs.data?.length === 0 && <Text>There is none yet.</Text>}
      {shown !== undefined && (
        <Group align="flex-end">
          <NativeSelect label="File" value={shown} data={(logs.data ?? []).map(({ path }) => path)} onChange={(event) => setPath(event.currentTarget.value)} />
          <Switch label="Follow" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} mb={8} />
        </Group>
      )}
      {text.data !== undefined && <Code block ref={end} tabIndex={0} aria-label="The end of the log" mah={320} style={{ overflow: "auto" }}>{text.data === "" ? "(empty)" : text.data}</Code>}
    </Stack>
  );
}
