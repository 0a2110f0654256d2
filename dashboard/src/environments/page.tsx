import { ActionIcon, Alert, Anchor, Button, Center, Group, Loader, Menu, Stack, Table, Text, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { IconDots } from "@tabler/icons-react";
import { useRef, useState } from "react";
import { Link } from "wouter";
import type { WatchedEnvironment } from "../api/schema.gen";
import { Dialog } from "../ui/dialog";
import { useLate } from "../ui/notices";
import { Lines, type Room, useRoom } from "../ui/room";
import { sentence } from "../ui/sentence";
import { ACTIONS, type Action } from "./actions";
import { useEnvironments } from "./live";
import { StatusBadge, Trouble } from "./parts";
import { status } from "./status";

interface Asked {
  readonly action: Action;
  readonly environment: string;
  /** Gives the focus back: what the question was asked from is gone with its menu. */
  readonly back: () => void;
}

export function Environments() {
  const { environments, trouble } = useEnvironments();
  const [asked, setAsked] = useState<Asked>();
  // What ends late ends no question but its own.
  const close = () => setAsked((now) => (now === asked ? undefined : now));
  return (
    <Stack>
      <Title order={1} size="h2">Environments</Title>
      <Trouble trouble={trouble} />
      {environments ? <List environments={environments} ask={setAsked} /> : !trouble && <Center p="xl"><Loader aria-label="Loading environments" /></Center>}
      {asked && <Confirmation {...asked} close={close} />}
    </Stack>
  );
}

function List({ environments, ask }: { environments: readonly WatchedEnvironment[]; ask: (asked: Asked) => void }) {
  const room = useRoom();
  if (environments.length === 0) return <Text>There are none yet. They are made by the API or by `portcullis env create`.</Text>;
  return (
    <Table verticalSpacing="sm" highlightOnHover>
      <Table.Caption c="var(--mantine-color-text)">{environments.length === 1 ? "1 environment" : `${environments.length} environments`}</Table.Caption>
      <Table.Thead>
        <Table.Tr>
          <Table.Th scope="col">Name</Table.Th>
          <Table.Th scope="col">Status</Table.Th>
          <Table.Th scope="col" visibleFrom="sm">Nodes</Table.Th>
          <Table.Th scope="col"><span className="only-read">Actions</span></Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {environments.map((environment) => <Row key={environment.env?.appid} environment={environment} room={room} ask={ask} />)}
      </Table.Tbody>
    </Table>
  );
}

function Row({ environment: { env, nodes }, room, ask }: { environment: WatchedEnvironment; room: Room; ask: (asked: Asked) => void }) {
  const button = useRef<HTMLButtonElement>(null);
  if (!env) return null;
  const actions = ACTIONS.filter(({ from }) => from.includes(env.status));
  const running = `${nodes.filter((node) => node.status === 1).length} of ${nodes.length} running`;
  return (
    <Table.Tr>
      <Table.Th scope="row">
        <Anchor component={Link} href={`/environments/${env.envName}`} fw={600}>{env.displayName}</Anchor>
        {env.displayName !== env.envName && <Text size="sm" fw={400}>{env.envName}</Text>}
        <Lines room={room} of={[["Nodes", "sm", running]]} />
      </Table.Th>
      <Table.Td>
        <StatusBadge number={env.status} />
      </Table.Td>
      <Table.Td visibleFrom="sm">{running}</Table.Td>
      <Table.Td ta="right">
        <Menu position="bottom-end" withinPortal={false} withInitialFocusPlaceholder={false}>
          <Menu.Target>
            <ActionIcon ref={button} variant="subtle" size="lg" aria-label={`Actions for ${env.envName}`}><IconDots size={18} aria-hidden /></ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            {actions.length === 0 && <Menu.Item onClick={() => button.current?.focus()}>Nothing, while it is {status(env.status).word}</Menu.Item>}
            {actions.map((action) => (
              <Menu.Item key={action.name} onClick={() => ask({ action, environment: env.envName, back: () => button.current?.focus() })}>
                {action.label}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      </Table.Td>
    </Table.Tr>
  );
}

function Confirmation({ action, environment, back, close: closed }: Asked & { close: () => void }) {
  const late = useLate();
  const close = () => {
    closed();
    requestAnimationFrame(back);
  };
  const run = useMutation({
    mutationFn: () => action.run(environment),
    onSuccess: () => { if (!late.is()) close(); },
    onError: (error) => late.failed(`${action.label} “${environment}”`, error),
  });
  return (
    <Dialog title={`${action.label}?`} close={close}>
      <Stack>
        <Text>{action.question(environment)}</Text>
        {run.isPending && <Text role="status">It is being done. You can close this: it goes on.</Text>}
        {run.isError && <Alert color="red" role="alert" title="It was not done">{sentence(run.error.message)}</Alert>}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>{run.isPending ? "Close" : "Cancel"}</Button>
          <Button onClick={() => run.mutate()} loading={run.isPending} data-autofocus>{action.label}</Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
