import { useEffect, useRef } from "react";

/** Gives the focus to what wants it of a form or a step of a dialog, when that comes. */
export function useAutofocus<E extends HTMLElement>() {
  const here = useRef<E>(null);
  useEffect(() => here.current?.querySelector<HTMLElement>("[data-autofocus]")?.focus(), []);
  return here;
}
