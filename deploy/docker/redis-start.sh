#!/bin/sh
# Starts Redis with two users: "default", for operators, and that of availability-worker. Arguments are
# further settings.
set -eu
secrets=${SECRETS:-/run/secrets}
rights=${RIGHTS:-/rights}
password=$(sed -n 's|^rediss*://[^:]*:\([^@]*\)@.*|\1|p' "$secrets/redis-url")
rules=$(grep -v '^#' "$rights/redis.acl" | tr '\n' ' ')

# Passwords go in by standard input, to be in no list of processes. Nothing is ever evicted: a version
# that is forgotten would let an older one in. Every write is on disk before it is answered, because
# the event is settled after that.
exec redis-server - "$@" <<CONFIG
requirepass $(cat "$secrets/redis-password")
user availability-worker on >$password $rules
dir ${DATA:-/data}
appendonly yes
appendfsync always
save ""
maxmemory 192mb
maxmemory-policy noeviction
CONFIG
