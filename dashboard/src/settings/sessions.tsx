import { Alert, Badge, Button, Group, Loader, Stack, Table, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { call } from "../api/client";
import { moment } from "../tokens/data";
import { useLate } from "../ui/notices";
import { Lines, useRoom } from "../ui/room";
import { Unread } from "../ui/unread";

export function Sessions() {
  const queries = useQueryClient();
  const room = useRoom();
  const late = useLate();
  const sessions = useQuery({
    queryKey: ["sessions"],
    queryFn: async ({ signal }) => (await call("/1.0/users/authentication/rest/getsessions", {}, { signal })).sessions,
  });
  const end = useMutation({
    mutationFn: (id: number | undefined) => call("/1.0/users/authentication/rest/signoutsessions", { ids: [id ?? "*"] }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["sessions"] }),
    onError: (error) => late.failed("Sign out sessions", error),
  });
  const others = sessions.data?.filter(({ current }) => !current) ?? [];
  return (
    <Stack>
      <Title order={2} size="h3">Sessions</Title>
      <Text>Everywhere that you are signed in: browsers, and programs that have signed in with your password.</Text>
      <Unread query={sessions} title="The sessions cannot be listed" />
      {end.isError && <Alert color="red" role="alert" title="It was not done">{end.error.message}</Alert>}
      {end.isSuccess && <Alert color="green" role="status">Signed out: confirmed everywhere.</Alert>}
      {sessions.isPending && !sessions.failureReason && <Loader aria-label="Loading sessions" />}
      {sessions.data && (
        <Table verticalSpacing="sm">
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">From</Table.Th>
              <Table.Th scope="col" visibleFrom="sm">Program</Table.Th>
              <Table.Th scope="col" visibleFrom="sm">Signed in</Table.Th>
              <Table.Th scope="col">Last use</Table.Th>
              <Table.Th scope="col"><span className="only-read">Actions</span></Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sessions.data.map(({ id, host, userAgent, createdOn, lastAccess, current }) => (
              <Table.Tr key={id}>
                <Table.Th scope="row" className="any-wrap">
                  {host || "unknown"} {current && <Badge variant="dot" tt="none">this one</Badge>}
                  <Lines room={room} of={[["Program", "sm", userAgent || "unknown"], ["Signed in", "sm", moment(createdOn, "unknown")]]} />
                </Table.Th>
                <Table.Td visibleFrom="sm" maw={320}><Text truncate size="sm" title={userAgent}>{userAgent || "unknown"}</Text></Table.Td>
                <Table.Td visibleFrom="sm">{moment(createdOn, "unknown")}</Table.Td>
                <Table.Td>{moment(lastAccess, "never")}</Table.Td>
                <Table.Td ta="right">{!current && <Button size="compact-sm" variant="default" aria-label={`Sign out session ${id}`} onClick={() => end.mutate(id)}>Sign out</Button>}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      <Group><Button variant="default" disabled={others.length === 0} loading={end.isPending} onClick={() => end.mutate(undefined)}>Sign out all others</Button></Group>
    </Stack>
  );
}
