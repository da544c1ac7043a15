#!/usr/bin/env bash
# Vault's Go client library with a token: server state, mounts, issue, sign, revoke, token renewal.
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"
need go "go 1.26 or newer"
say "the Go client's tests"
(cd "$here/go" && nice go test -count=1 -v ./... 2>&1) >"$work/go.log" || {
    grep -vE '^=== ' "$work/go.log" | tail -n 40
    fail "the Go client's tests failed"
}
ok "vault/api $(sed -n 's/.*vault\/api v//p' "$here/go/go.mod"): $(grep -c '^--- PASS' "$work/go.log") tests passed"
