#!/usr/bin/env bash
# vaultrs, the Rust client: a test of this package against a running server (tests/vaultrs.rs).
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"
need cargo "cargo"
cd "$repository"
say "builds the test (once)"
cargo test --quiet --test vaultrs --no-run || fail "the test does not build"
leave_out=()
# vaultrs requires `performance_standby` in the health response; the reference omits it.
[[ -z $SIGNET_REFERENCE ]] || leave_out=(--skip reads_health)
outcome=0
RUST_BACKTRACE=0 cargo test --test vaultrs -- --ignored "${leave_out[@]}" >"$work/cargo.log" 2>&1 || outcome=$?
if ((outcome)); then
    tail -n 60 "$work/cargo.log"
    fail "vaultrs: $(grep '^test result' "$work/cargo.log" || echo "exit code $outcome")"
fi
version=$(sed -n '/^name = "vaultrs"/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
ok "vaultrs $version: $(grep -oE '[0-9]+ passed' "$work/cargo.log") (tests/vaultrs.rs)"
