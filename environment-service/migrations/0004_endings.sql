-- Whether the last launch was told to end. Written before it is told: it may end then at any time, whatever becomes of the service.
alter table node add column ending bigint not null default 0 check (ending in (0, 1));
