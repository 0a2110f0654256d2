-- The keys that grants are signed with, from the first time on that one is replaced by another. Before that there is only the one in the
-- operator's file.
create table signing_key (
    -- As grants name it.
    key_id text not null primary key,
    -- 32 bytes in base64.
    public_key text not null,
    -- The private key, sealed under one that is made from the operator's file, in base64. Of the one that is the file's own: empty.
    sealed text not null,
    created_at bigint not null,
    -- From when on it signs; until then whoever verifies grants is told of it.
    signs_from bigint not null,
    -- Until when a grant of it can be good. Not known before another one replaces it.
    verifies_until bigint
);
