# What you can do here: `just --list`.

# Run natsd with a configuration file.
run config="configs/minimal.conf":
    cargo run --release --locked -- -c {{config}}

# The lab: an emulated SCION network, two servers, and a load that goes on when links are cut.
lab *args:
    cargo run --release --locked -- lab {{args}}

# All tests. They need what `.ci/tools` installs.
test:
    .ci/test

# Fuzzes what strangers can send, each target for so many seconds.
fuzz seconds="120" *targets:
    .ci/fuzz {{seconds}} {{targets}}

# What must be clean before a commit.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo deny --locked check licenses bans sources

# All that is checked before a change lands.
ci:
    .ci/run
