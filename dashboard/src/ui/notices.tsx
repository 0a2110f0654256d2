import { Alert, Stack } from "@mantine/core";
import { createContext, type ReactNode, use, useCallback, useEffect, useRef, useState } from "react";
import { sentence } from "./sentence";

interface Notice {
  readonly id: number;
  /** The number of the account that it is for. */
  readonly account: number | undefined;
  readonly text: string;
}

const Notify = createContext<(text: string) => void>(() => undefined);

/** Around all pages: what has failed when what it was asked from was gone already is told on whichever page one is. */
export function Notices({ account, children }: { account: number | undefined; children: ReactNode }) {
  const [notices, setNotices] = useState<readonly Notice[]>([]);
  const notify = useCallback((text: string) => setNotices((before) => [...before, { id: (before.at(-1)?.id ?? 0) + 1, account, text }]), [account]);
  const close = (id: number) => setNotices((before) => before.filter((notice) => notice.id !== id));
  const shown = notices.filter((notice) => notice.account === account);
  return (
    <Notify value={notify}>
      {shown.length > 0 && (
        <Stack component="section" aria-label="Notices" gap="xs" mb="md">
          {shown.map(({ id, text }) => <Alert key={id} color="red" role="alert" title="It was not done" withCloseButton closeButtonLabel="Close" onClose={() => close(id)}>{text}</Alert>)}
        </Stack>
      )}
      {children}
    </Notify>
  );
}

/** What ends after the component that has begun it is gone. */
export interface Late {
  /** Whether the component is gone. */
  readonly is: () => boolean;
  /** Tells what was to be done and why it was not, where that is told nowhere else. */
  readonly failed: (what: string, error: Error) => void;
}

export function useLate(): Late {
  const notify = use(Notify);
  const isThere = useRef(false);
  useEffect(() => {
    isThere.current = true;
    return () => { isThere.current = false; };
  }, []);
  const is = () => !isThere.current;
  return { is, failed: (what, error) => { if (is()) notify(`${what}: ${sentence(error.message)}`); } };
}
