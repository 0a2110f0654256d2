import { Alert } from "@mantine/core";

/** What was done. */
export function Told({ text, close }: { text: string; close: () => void }) {
  return <Alert color="green" role="status" withCloseButton closeButtonLabel="Close" onClose={close}>{text}</Alert>;
}
