-- Which authority the accounts here are of. Numbers of accounts mean nothing without it.
create table authority (id text not null primary key);

-- Accounts that the authority has told to be gone. What is theirs is ended and deleted, now or when it turns up.
create table departed_account (
    account bigint not null primary key,
    learned_at bigint not null
);
