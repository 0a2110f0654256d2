#!/bin/sh
# Run once by PostgreSQL's image, on a new volume: a role and a database for each service that keeps something.
set -eu
for name in token environment; do
    name=$name psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set "name=$name" --username postgres <<'SQL'
\set password `cat "/run/secrets/portcullis/$name.password"`
create role :"name" login password :'password';
create database :"name" owner :"name";
revoke all on database :"name" from public;
SQL
done
