# Starts everything; Ctrl-C ends it.
up *arguments:
    ./deploy/up {{arguments}}

# Formats the code.
fmt:
    cargo fmt --all

# What must be clean before a commit.
lint:
    cargo fmt --all --check
    SQLX_OFFLINE=true cargo clippy --workspace --all-targets --all-features -- -D warnings

# The tests, or those that the arguments choose: just test -p notifier
test *arguments:
    SQLX_OFFLINE=true cargo build --workspace --bins
    SQLX_OFFLINE=true cargo run --quiet -p stack -- exec -- cargo nextest run {{ if arguments == "" { "--workspace" } else { arguments } }}

# The tests of the whole system.
system *arguments:
    just test -p system-tests {{arguments}}

# The event stream with clients that people use, which it downloads (Python and Node packages).
real-clients:
    SQLX_OFFLINE=true cargo run --quiet -p stack -- exec -- cargo nextest run -p notifier --run-ignored only real_clients

# How soon the board is there and how smoothly it scrolls with a thousand contractors; on a machine that does nothing else.
board-frames:
    SQLX_OFFLINE=true cargo build --release --package schedule-service --package availability-worker --package notifier --package demo
    SQLX_OFFLINE=true STACK_BIN_DIR={{ justfile_directory() }}/target/release cargo run --quiet -p stack -- exec -- cargo nextest run -p system-tests --run-ignored only --no-capture scroll_at_fifty_frames

# Requests that Schemathesis, which it downloads, makes of the OpenAPI descriptions.
schemathesis:
    SQLX_OFFLINE=true cargo build --workspace --bins
    SQLX_OFFLINE=true cargo run --quiet -p stack -- exec -- cargo nextest run -p system-tests --run-ignored only schemathesis

# Breaks every part of the system under load and checks that nothing is lost: just soak --minutes 30 --seed 7
soak *arguments:
    SQLX_OFFLINE=true cargo build --workspace --bins
    SQLX_OFFLINE=true cargo run --quiet -p system-tests --bin soak -- {{arguments}}

# The memory of each service while the worker has a hundred thousand events to make good.
backlog:
    SQLX_OFFLINE=true cargo build --release --package schedule-service --package availability-worker --package notifier
    SQLX_OFFLINE=true STACK_BIN_DIR={{ justfile_directory() }}/target/release cargo run --quiet -p stack -- exec -- cargo nextest run -p system-tests --run-ignored only --no-capture backlog

# Measures the whole system.
bench *arguments:
    SQLX_OFFLINE=true cargo build --release --workspace --bins
    SQLX_OFFLINE=true cargo run --release -p benches -- {{arguments}}

# Dependencies: unused ones, licences, sources, advisories (not with --offline).
audit *arguments:
    ./deploy/audit {{arguments}}

# Bills of materials (CycloneDX) of all that is shipped, in target/sbom.
sbom:
    ./deploy/sbom

# All that the checks before a merge run.
verify:
    ./deploy/test
