import { Group, Modal } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";

/** A dialog over the page, which it keeps the focus from. The library's own has a second banner in it. */
export function Dialog({ title, close, children }: { title: string; close: () => void; children: ReactNode }) {
  const [before] = useState(() => document.activeElement);
  // The library gives the focus back only where a dialog stays and is closed, not where it is gone.
  useEffect(() => () => {
    requestAnimationFrame(() => { if (before instanceof HTMLElement && before.isConnected) before.focus(); });
  }, [before]);
  return (
    <Modal.Root opened onClose={close}>
      <Modal.Overlay />
      <Modal.Content>
        <Group justify="space-between" wrap="nowrap" p="md" pb={0}>
          <Modal.Title fw={600}>{title}</Modal.Title>
          <Modal.CloseButton aria-label="Close" />
        </Group>
        <Modal.Body pt="sm">{children}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
