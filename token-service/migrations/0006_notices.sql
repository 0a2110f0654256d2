-- Notices are about sessions as well, and about the value of before a token's regeneration. SQLite cannot change a check:
-- the table is made anew.
create table notice_before as select * from notice;
drop table notice;

create table notice (
    -- The message's id: a UUID.
    id text not null primary key,
    account_id bigint not null,
    -- The token's number, or the session's.
    credential_id bigint not null,
    kind text not null check (kind in ('token.expiring', 'token.leaked', 'token.previous_leaked', 'session.leaked')),
    -- The moment that it is about.
    about bigint not null,
    attempts bigint not null default 0,
    next_attempt_at bigint not null,
    delivered_at bigint,
    unique (credential_id, kind, about)
);

insert into notice (id, account_id, credential_id, kind, about, attempts, next_attempt_at, delivered_at)
    select id, account_id, token_id, kind, about, attempts, next_attempt_at, delivered_at from notice_before;
drop table notice_before;

-- Only what is still to be told is looked for.
create index notice_next_attempt on notice (next_attempt_at) where delivered_at is null;
create index notice_about on notice (about);

-- When the value of before the last regeneration was reported to be known to others.
alter table token add column previous_leaked_at bigint;
