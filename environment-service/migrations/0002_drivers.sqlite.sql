-- SQLite cannot change a check: the tables are made anew.
create table environment_2 (
    id bytea not null primary key check (length(id) = 16),
    name text not null constraint environment_name unique check (length(name) between 1 and 32),
    account bigint not null,
    display_name text not null check (length(display_name) between 1 and 128),
    highly_available bigint not null check (highly_available in (0, 1)),
    tls bigint not null check (tls in (0, 1)),
    -- What it is meant to be while no operation is under way.
    desired text not null check (desired in ('running', 'stopped', 'sleeping')),
    -- The operation that is under way. Written before it begins and cleared at its end; one that is found at a start of the
    -- service was torn off and is finished then.
    operation text check (
        operation in ('create', 'start', 'stop', 'sleep', 'delete', 'clone', 'restart', 'redeploy', 'update')
    ),
    -- Moments are microseconds since 1970, UTC.
    created_at bigint not null,
    -- What runs it.
    driver text not null default 'process' check (driver in ('process', 'docker', 'kubernetes')),
    -- What the driver calls it, where it was there before.
    adopted text
);

create table node_2 (
    id bigint not null primary key,
    environment_id bytea not null references environment_2 (id),
    node_group text not null check (length(node_group) between 1 and 32),
    node_type text not null check (length(node_type) between 1 and 64),
    display_name text not null check (length(display_name) between 1 and 128),
    fixed_cloudlets bigint not null check (fixed_cloudlets between 0 and 512),
    flexible_cloudlets bigint not null check (flexible_cloudlets between 1 and 512),
    -- The port that it was last given.
    port bigint check (port between 1 and 65535),
    -- The mark of the last launch that has not been ended. Written before anything is launched.
    launch_id bytea constraint node_launch unique check (length(launch_id) = 16),
    -- What was launched, in the driver's words. Written after it.
    instance text,
    -- The image that its owner chose, without its version.
    image text,
    tag text not null default 'latest' check (length(tag) between 1 and 128),
    -- The version that it had before the redeployment that is under way.
    former_tag text,
    -- The owner's variables: a JSON object of texts.
    variables text,
    -- Its place in the order of starts.
    rank bigint not null default 1,
    -- What the driver calls it, where it was there before.
    adopted text,
    constraint node_instance_of_launch check (instance is null or launch_id is not null)
);

insert into environment_2 (id, name, account, display_name, highly_available, tls, desired, operation, created_at)
select id, name, account, display_name, highly_available, tls, desired, operation, created_at from environment;

insert into node_2 (
    id, environment_id, node_group, node_type, display_name, fixed_cloudlets, flexible_cloudlets, port, launch_id, instance
)
select id, environment_id, node_group, node_type, display_name, fixed_cloudlets, flexible_cloudlets, port, launch_id, instance
from node;

drop table node;
drop table environment;
alter table environment_2 rename to environment;
alter table node_2 rename to node;

create index environment_account on environment (account, name);
create unique index environment_adopted on environment (driver, adopted);
create index node_environment on node (environment_id, id);

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
