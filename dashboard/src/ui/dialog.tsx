import { Group, Modal } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";

interface Asked {
  readonly title: string;
  readonly close: () => void;
  /** Something is going on, or is shown this once: neither Escape nor a cross ends it, but what it says itself. */
  readonly held?: boolean;
  readonly children: ReactNode;
}

let last: Element | null = null;

/** What had the focus before any dialog: one that takes another's place is opened by what has opened that one. */
function opener(): Element | null {
  const active = document.activeElement;
  if (active && active !== document.body && !active.closest('[role="dialog"]')) last = active;
  return last;
}

/**
 * A dialog over the page, which it keeps the focus from. A click beside it ends nothing: what was written, or is shown
 * this once, would be lost. The library's own has a second banner in it.
 */
export function Dialog({ title, close, held = false, children }: Asked) {
  const [before] = useState(opener);
  // The library gives the focus back only where a dialog stays and is closed, not where it is gone.
  useEffect(() => () => {
    requestAnimationFrame(() => { if (before instanceof HTMLElement && before.isConnected) before.focus(); });
  }, [before]);
  return (
    <Modal.Root opened onClose={close} closeOnClickOutside={false} closeOnEscape={!held}>
      <Modal.Overlay />
      <Modal.Content>
        <Group justify="space-between" wrap="nowrap" p="md" pb={0}>
          <Modal.Title fw={600}>{title}</Modal.Title>
          {!held && <Modal.CloseButton aria-label="Close" />}
        </Group>
        <Modal.Body pt="sm">{children}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
