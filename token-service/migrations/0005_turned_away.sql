-- How many guesses came too early since the last one that was looked at.
alter table attempt add column turned_away bigint not null default 0;
