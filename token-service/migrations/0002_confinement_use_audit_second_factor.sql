insert into counter (name, value) values ('audit', 0);

-- Where a session was opened, and when it was last used. A session that waits for its second factor opens nothing else.
alter table session add column address text not null default '';
alter table session add column user_agent text not null default '';
alter table session add column last_access_at bigint not null default 0;
alter table session add column state text not null default 'active' check (state in ('active', 'pending'));
update session set last_access_at = created_at;

-- Patterns of environments' names and source networks that a token is confined to, parted by spaces. Empty: to none.
alter table token add column environments text not null default '';
alter table token add column networks text not null default '';
-- The value of before a regeneration, as long as it lives on.
alter table token add column previous_hash bytea check (previous_hash is null or length(previous_hash) = 32);
alter table token add column previous_expires_at bigint;
alter table token add column last_used_address text not null default '';
alter table token add column last_used_method text not null default '';
alter table token add column use_count bigint not null default 0;
-- When its value was reported to be known to others. It is dead from then on, until the token is regenerated.
alter table token add column leaked_at bigint;

create unique index token_previous_hash on token (previous_hash);
create index token_expires_at on token (expires_at);

-- How often a token was used on a day: days since 1970, UTC.
create table token_use (
    token_id bigint not null references token (id) on delete cascade,
    day bigint not null,
    uses bigint not null check (uses > 0),
    primary key (token_id, day)
);

create index token_use_day on token_use (day);

-- The last report of uses that was counted of each process that reports them: one that is sent again is not counted again.
create table use_report (
    reporter text not null primary key,
    sequence bigint not null,
    reported_at bigint not null
);

-- The second factor of an account: a secret of RFC 6238, sealed, and the last time step whose code was used.
create table second_factor (
    account_id bigint not null primary key references account (id),
    secret bytea not null,
    state text not null check (state in ('pending', 'active')),
    last_step bigint not null,
    created_at bigint not null
);

-- Recovery codes that are left, by their SHA-256.
create table recovery_code (
    account_id bigint not null references account (id),
    hash bytea not null check (length(hash) = 32),
    primary key (account_id, hash)
);

-- Guesses: of a login, from an address, at an account's password or code.
create table attempt (
    subject text not null primary key,
    failures bigint not null,
    last_at bigint not null,
    blocked_until bigint not null
);

-- What a webhook is told, until it has taken it.
create table notice (
    -- The message's id: a UUID.
    id text not null primary key,
    account_id bigint not null,
    token_id bigint not null,
    kind text not null check (kind in ('token.expiring', 'token.leaked')),
    -- The moment that it is about.
    about bigint not null,
    attempts bigint not null default 0,
    next_attempt_at bigint not null,
    delivered_at bigint,
    unique (token_id, kind, about)
);

create index notice_next_attempt on notice (next_attempt_at);

-- What was done to accounts, sessions and tokens: appended, never changed. Each hash covers its row and the hash before.
create table audit (
    number bigint not null primary key,
    at bigint not null,
    -- The account that it concerns; 0 where none is known.
    account_id bigint not null,
    actor text not null,
    action text not null,
    object text not null,
    outcome text not null,
    address text not null,
    user_agent text not null,
    request_id text not null,
    hash bytea not null check (length(hash) = 32)
);

create index audit_account on audit (account_id, number);
