import "@mantine/core/styles.css";
import "@mantine/dates/styles.css";
import "./page.css";
import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { keepToAccount } from "./account";
import { App } from "./app";
import { newQueries } from "./queries";
import { theme } from "./ui/theme";

const queries = newQueries();
keepToAccount(queries, () => window.location.reload());

/** What the page's policy knows its own styles by; the gateway makes a new one for each request of the page. */
const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";

// For what keeps the page from being scrolled behind a dialog.
setNonce(nonce);

const root = document.getElementById("root");
if (!root) throw new Error("the page has no root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
        <App />
      </MantineProvider>
    </QueryClientProvider>
  </StrictMode>,
);
