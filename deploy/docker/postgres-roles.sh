#!/bin/sh
# Makes the roles of schedule-service with the passwords that are in their URLs. The image of PostgreSQL
# runs it when it makes the data; again, it sets the passwords anew.
set -eu
secrets=${SECRETS:-/run/secrets}
rights=${RIGHTS:-/rights}

password() {
    sed -n 's|^postgres://[^:]*:\([^@]*\)@.*|\1|p' "$secrets/$1"
}

run() {
    psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 \
        --username="${POSTGRES_USER:-postgres}" --dbname="$POSTGRES_DB" "$@"
}

run --file="$rights/postgres.sql"
# By standard input, to be in no list of processes.
run <<SQL
ALTER ROLE rosterwire PASSWORD '$(password migration-database-url)';
ALTER ROLE schedule_service PASSWORD '$(password database-url)';
SQL
