import { Button, Group, Loader, Stack, Table, Text, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { call } from "../api/client";
import { moment } from "../tokens/data";
import { Lines, useRoom } from "../ui/room";
import { Unread } from "../ui/unread";

export function AuditLog() {
  const room = useRoom();
  const log = useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: ({ pageParam, signal }) => call("/1.0/users/account/rest/getauditlog", { limit: 50, ...(pageParam !== undefined && { before: pageParam }) }, { signal }),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: ({ next }) => next,
  });
  const entries = log.data?.pages.flatMap(({ entries }) => entries);
  return (
    <Stack>
      <Title order={2} size="h3">Audit log</Title>
      <Text>What was done to your account, and what was tried.</Text>
      <Unread query={log} title="The log cannot be read" />
      {log.isPending && !log.failureReason && <Loader aria-label="Loading the log" />}
      {entries && (
        <Table verticalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">When</Table.Th>
              <Table.Th scope="col">What</Table.Th>
              <Table.Th scope="col" visibleFrom="sm">By</Table.Th>
              <Table.Th scope="col" visibleFrom="md">From</Table.Th>
              <Table.Th scope="col" visibleFrom="sm">Outcome</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {entries.map(({ id, at, action, object, changes, actor, address, outcome }) => (
              <Table.Tr key={id}>
                <Table.Td>{moment(at, "unknown")}</Table.Td>
                <Table.Td className="any-wrap">
                  {action} {object}
                  {changes !== "" && <Text size="sm">{changes}</Text>}
                  <Lines room={room} of={[["By", "sm", actor], ["From", "md", address], ["Outcome", "sm", inWords(outcome)]]} />
                </Table.Td>
                <Table.Td visibleFrom="sm">{actor}</Table.Td>
                <Table.Td visibleFrom="md">{address}</Table.Td>
                <Table.Td visibleFrom="sm">{inWords(outcome)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      <Group>{log.hasNextPage && <Button variant="default" loading={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>Earlier</Button>}</Group>
    </Stack>
  );
}

function inWords(outcome: string): string {
  return outcome === "SUCCESS" ? "done" : outcome;
}
