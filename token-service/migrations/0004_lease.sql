-- Processes that remember introspections or execute under grants. A change is confirmed when each of them has acknowledged it
-- or has no lease any more.
create table lease (
    -- A UUID that the process took when it started.
    holder text not null primary key,
    -- The service whose key it shows, where it listens, and the authority's replica that it is connected to.
    name text not null,
    place text not null,
    replica text not null,
    -- Microseconds since 1970 by this database's own clock.
    expires_at bigint not null,
    -- The newest change that it has applied, as far as was noted here.
    acknowledged bigint not null
);

-- Where a holder begins that knows nothing yet.
create index change_changed_at on change (changed_at);
