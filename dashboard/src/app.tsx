import { Alert, Anchor, AppShell, Button, Center, Group, Loader, Menu, Stack, Text, Title, UnstyledButton } from "@mantine/core";
import { IconChevronDown, IconLogout } from "@tabler/icons-react";
import { Link, Redirect, Route, Switch, useLocation } from "wouter";
import { isOutage } from "./api/client";
import { Reference } from "./docs/page";
import { EnvironmentDetail } from "./environments/detail";
import { Environments } from "./environments/page";
import { Settings } from "./settings/page";
import { type User, useAskAgain, useSignOut, useUser } from "./session";
import { SignIn } from "./signin";
import { Notices } from "./ui/notices";

/** The place of the API reference, which needs no account. */
const REFERENCE = "/docs";

export function App() {
  const user = useUser();
  const [location] = useLocation();
  // What the API is like is for everybody to read.
  const isPublic = location === REFERENCE || location.startsWith(`${REFERENCE}/`);
  if (user.data || isPublic) return <Shell user={user.data} />;
  if (user.data === null) return <SignIn />;
  if (user.failureReason) return <Outage error={user.failureReason} />;
  return <Center component="main" mih="100vh"><Loader aria-label="Loading" /></Center>;
}

/** Nobody has said yet who is signed in. It is asked again until somebody does. */
function Outage({ error }: { error: Error }) {
  const again = useAskAgain();
  return (
    <Center component="main" mih="100vh" p="md">
      <Stack>
        <Title order={1} size="h2">Portcullis</Title>
        <Alert color="red" role="alert" title={isOutage(error) ? "The service does not answer" : "Something is wrong"}>
          <Text mb="md">{isOutage(error) ? "Nothing is lost. This page tries again by itself." : error.message}</Text>
          <Button onClick={again}>Try now</Button>
        </Alert>
      </Stack>
    </Center>
  );
}

/** The page around all pages. Whose it is: nobody’s, or not known yet. */
function Shell({ user }: { user: User | null | undefined }) {
  const signOut = useSignOut();
  return (
    <AppShell header={{ height: 56 }} padding="md">
      <a className="skip" href="#content">Skip to the content</a>
      <AppShell.Header px="md">
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="lg" wrap="nowrap" component="nav" aria-label="Pages">
            <Text fw={700} visibleFrom="xs">Portcullis</Text>
            {user && <PageLink to="/environments">Environments</PageLink>}
            {user && <PageLink to="/settings">Settings</PageLink>}
            <PageLink to={REFERENCE}>API</PageLink>
          </Group>
          {user && <Account user={user} signOut={() => signOut.mutate()} />}
          {user === null && <Anchor component={Link} href="/environments">Sign in</Anchor>}
        </Group>
      </AppShell.Header>
      <AppShell.Main id="content" tabIndex={-1}>
        {signOut.isError && <Alert color="red" role="alert" mb="md" title="Still signed in">{signOut.error.message}</Alert>}
        <Notices account={user?.uid}>
          <Switch>
            <Route path="/environments"><Environments /></Route>
            <Route path="/environments/:name">{({ name }) => <EnvironmentDetail name={name} />}</Route>
            <Route path={`${REFERENCE}/*?`}><Reference /></Route>
            <Route path="/settings/*?"><Settings /></Route>
            <Route><Redirect to="/environments" /></Route>
          </Switch>
        </Notices>
      </AppShell.Main>
    </AppShell>
  );
}

function Account({ user, signOut }: { user: User; signOut: () => void }) {
  return (
    <Menu position="bottom-end" withinPortal={false} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <UnstyledButton aria-label={`Account of ${user.name}`}>
          <Group gap={4} wrap="nowrap">
            <Text truncate maw={140}>{user.name}</Text>
            <IconChevronDown size={16} aria-hidden />
          </Group>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={signOut}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function PageLink({ to, children }: { to: string; children: string }) {
  const [location] = useLocation();
  const here = location.startsWith(to);
  return (
    <Anchor component={Link} href={to} {...(here && { "aria-current": "page" as const })} fw={here ? 600 : 400} c="var(--mantine-color-text)" underline={here ? "always" : "hover"}>
      {children}
    </Anchor>
  );
}
