-- Which parameters a change was made with. It is hashed where it is not empty, so that entries of before keep their hashes.
alter table audit add column changes text not null default '';

-- Entries are appended. Whoever may change the schema can lift this; the chain of hashes is there for that.
create trigger audit_is_not_updated before update on audit begin
    select raise(abort, 'the audit log is appended to, never changed');
end;

create trigger audit_is_not_deleted before delete on audit begin
    select raise(abort, 'the audit log is appended to, never changed');
end;
