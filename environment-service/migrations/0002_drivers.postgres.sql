alter table environment drop constraint environment_desired_check;
alter table environment drop constraint environment_operation_check;
alter table environment add constraint environment_desired_check check (desired in ('running', 'stopped', 'sleeping'));
alter table environment add constraint environment_operation_check check (
    operation in ('create', 'start', 'stop', 'sleep', 'delete', 'clone', 'restart', 'redeploy', 'update')
);
-- What runs it.
alter table environment add column driver text not null default 'process'
    check (driver in ('process', 'docker', 'kubernetes'));
-- What the driver calls it, where it was there before.
alter table environment add column adopted text;

-- The image that its owner chose, without its version.
alter table node add column image text;
alter table node add column tag text not null default 'latest' check (length(tag) between 1 and 128);
-- The version that it had before the redeployment that is under way.
alter table node add column former_tag text;
-- The owner's variables: a JSON object of texts.
alter table node add column variables text;
-- Its place in the order of starts.
alter table node add column rank bigint not null default 1;
-- What the driver calls it, where it was there before.
alter table node add column adopted text;

create unique index environment_adopted on environment (driver, adopted);

-- Groups under which an account puts its environments together.
create table env_group (
    account bigint not null,
    name text not null check (length(name) between 1 and 64),
    primary key (account, name)
);

create table environment_group (
    environment_id bytea not null,
    account bigint not null,
    name text not null,
    primary key (environment_id, name)
);

create index environment_group_account on environment_group (account, name);

-- What was done to which environment, when, and how it ended. It outlives the environment.
create table operation (
    id bigint not null primary key,
    environment_id bytea not null check (length(environment_id) = 16),
    environment text not null,
    account bigint not null,
    operation text not null,
    begun_at bigint not null,
    ended_at bigint,
    outcome text check (outcome in ('done', 'failed')),
    -- What the caller was told of a failure.
    message text
);

create index operation_environment on operation (environment_id, id);
create index operation_account on operation (account, begun_at);

insert into counter (name, value) values ('operation', 0);
