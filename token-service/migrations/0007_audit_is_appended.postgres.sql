-- Which parameters a change was made with. It is hashed where it is not empty, so that entries of before keep their hashes.
alter table audit add column changes text not null default '';

-- Entries are appended. Whoever may change the schema can lift this; the chain of hashes is there for that.
create function audit_is_appended() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is appended to, never changed';
end
$$;

create trigger audit_is_appended before update or delete or truncate on audit
    for each statement execute function audit_is_appended();
