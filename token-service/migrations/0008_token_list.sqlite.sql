-- Lists of an account's tokens are read from here alone, where they stand side by side: in the table each is on a page of its own.
drop index token_account;

create index token_account on token (
    account_id, id, description, template, api_list, environments, networks, created_at, expires_at, previous_expires_at,
    previous_leaked_at, leaked_at, last_used_at, last_used_address, last_used_method, use_count
);
