-- How many guesses came too early since the last one that was looked at.
alter table attempt add column turned_away bigint not null default 0;

-- Reports of uses are counted one after the other.
insert into counter (name, value) values ('use_report', 0);
