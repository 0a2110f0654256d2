-- Numbers that are given out in the order in which transactions commit: whoever takes one holds its row until then.
create table counter (
    name text not null primary key,
    value bigint not null
);

insert into counter (name, value) values ('node', 0);

create table environment (
    id bytea not null primary key check (length(id) = 16),
    name text not null constraint environment_name unique check (length(name) between 1 and 32),
    account bigint not null,
    display_name text not null check (length(display_name) between 1 and 128),
    highly_available bigint not null check (highly_available in (0, 1)),
    tls bigint not null check (tls in (0, 1)),
    -- What it is meant to be while no operation is under way.
    desired text not null check (desired in ('running', 'stopped')),
    -- The operation that is under way. Written before it begins and cleared at its end; one that is found at a start of the
    -- service was torn off and is finished then.
    operation text check (operation in ('create', 'start', 'stop', 'delete')),
    -- Moments are microseconds since 1970, UTC.
    created_at bigint not null
);

create index environment_account on environment (account, name);

create table node (
    id bigint not null primary key,
    environment_id bytea not null references environment (id),
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
    constraint node_instance_of_launch check (instance is null or launch_id is not null)
);

create index node_environment on node (environment_id, id);
