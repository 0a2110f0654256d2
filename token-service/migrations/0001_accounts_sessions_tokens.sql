-- Numbers that are given out in the order in which transactions commit: whoever takes one holds its row until then.
create table counter (
    name text not null primary key,
    value bigint not null
);

insert into counter (name, value) values ('revision', 0), ('account', 0), ('session', 0), ('token', 0);

create table account (
    id bigint not null primary key,
    -- In lower case.
    login text not null unique,
    name text not null,
    email text not null,
    -- PHC string of argon2id.
    password_hash text not null,
    role text not null check (role in ('member', 'administrator')),
    state text not null check (state in ('active', 'disabled')),
    -- Moments are microseconds since 1970, UTC.
    created_at bigint not null
);

create table session (
    id bigint not null primary key,
    account_id bigint not null references account (id),
    -- SHA-256 of the value.
    hash bytea not null unique check (length(hash) = 32),
    created_at bigint not null,
    expires_at bigint not null
);

create index session_account on session (account_id, id);

create table token (
    id bigint not null primary key,
    account_id bigint not null references account (id),
    description text not null check (length(description) between 1 and 255),
    -- SHA-256 of the value.
    hash bytea not null unique check (length(hash) = 32),
    template text not null check (template in ('extended_access', 'ide_plugins', 'marketplace', 'maven_plugin', 'custom')),
    -- Full names of methods, parted by spaces. Empty unless the template is 'custom'.
    api_list text not null,
    created_at bigint not null,
    expires_at bigint,
    last_used_at bigint
);

create index token_account on token (account_id, id);

-- Every change to what a credential may do, in the order in which they were committed.
create table change (
    revision bigint not null primary key,
    account_id bigint not null,
    credential_kind text not null check (credential_kind in ('session', 'token', 'account')),
    -- The session's or token's number; the account's, where all of its credentials are changed.
    credential_id bigint not null,
    changed_at bigint not null
);
