import { Anchor, Group, Stack, Title } from "@mantine/core";
import { Link, Redirect, Route, Switch, useLocation } from "wouter";
import { Tokens } from "../tokens/page";
import { AuditLog } from "./audit";
import { Password } from "./password";
import { Sessions } from "./sessions";
import { TwoFactor } from "./two-factor";

const TABS = [
  { to: "/settings/tokens", label: "Access Tokens", page: Tokens },
  { to: "/settings/sessions", label: "Sessions", page: Sessions },
  { to: "/settings/password", label: "Password", page: Password },
  { to: "/settings/two-factor", label: "Two-factor authentication", page: TwoFactor },
  { to: "/settings/audit-log", label: "Audit log", page: AuditLog },
] as const;

export function Settings() {
  const [location] = useLocation();
  return (
    <Stack>
      <Title order={1} size="h2">Settings</Title>
      <Group component="nav" aria-label="Settings" gap="md">
        {TABS.map(({ to, label }) => (
          <Anchor key={to} component={Link} href={to} c="var(--mantine-color-text)" {...(location === to && { "aria-current": "page" as const })} underline={location === to ? "always" : "hover"} fw={location === to ? 600 : 400}>
            {label}
          </Anchor>
        ))}
      </Group>
      <Switch>
        {TABS.map(({ to, page: Page }) => <Route key={to} path={to}><Page /></Route>)}
        <Route><Redirect to="/settings/tokens" /></Route>
      </Switch>
    </Stack>
  );
}
