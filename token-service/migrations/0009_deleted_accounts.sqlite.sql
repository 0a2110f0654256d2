-- Accounts that are gone, in the order in which they were deleted: whoever keeps something for accounts learns it from here. It is kept
-- for ever, and no account is given the number of another.
create table deleted_account (
    number bigint not null primary key,
    account_id bigint not null unique,
    deleted_at bigint not null
);

-- Those of before are told by the audit log.
insert into deleted_account (number, account_id, deleted_at)
    select row_number() over (order by min(number)), account_id, min(at) from audit
    where action = 'account.delete' and outcome = 'SUCCESS' and account_id not in (select id from account)
    group by account_id;

insert into counter (name, value) select 'deleted_account', count(*) from deleted_account;

-- Which authority this is, wherever its database is moved to: another one's account 7 is another account.
create table identity (id text not null primary key);

insert into identity (id) values (lower(hex(randomblob(16))));
