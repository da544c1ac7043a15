#!/usr/bin/env bash
# Runs a session of about 400 commands of the unmodified OpenBao command line against the server under test
# and against a reference server of the same OpenBao version, and compares the exit codes.
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"
session=${SIGNET_JUDGES:-}/cli_session.py
[[ -n ${SIGNET_JUDGES:-} && -f $session ]] || skip "SIGNET_JUDGES=<folder with cli_session.py>"
install_bao
python=$cache/bao-$BAO_VERSION/bin/python
least=95.0

# Only commands for endpoints that Signet has. Excluded by pattern: endpoints that are not implemented yet,
# and the few commands that the session repeats with a token of a policy.
later=(
    -method= -namespace= wrap kv1 leased auth/ 'secrets move' sign-verbatim
    'config/(crl|keys|cluster|ca |auto-tidy)' crl/rotate delta-crl tidy revoke-with-key certs/revoked
    import/bundle cross-sign issuers/generate 'root/(rotate|replace|sign-self-issued)' keys/generate
    '(delete|write) pki/key/' key/spare issuer/next 'delete pki/root$'
    'sys/(polic|leases|capabilities|ha-status|key-status|host-info)'
    'common_name=t\.example\.org' 'svid uri_sans=spiffe://example\.org/x$' '(read|delete) pki/roles/web$'
)
only="^(?!.*($(IFS='|'; echo "${later[*]}"))).*\bbao (status|login|secrets|read|write|list|patch|delete|token lookup -format)\b"

expected=$cache/bao-$BAO_VERSION-session-$(sha256sum "$session" | cut -c1-12).jsonl
if [[ ! -f $expected ]]; then
    say "runs the session against a reference server (once, 2 minutes)"
    port=$(free_pair)
    mkdir "$work/home"
    HOME=$work/home start reference "$bao" server -dev -dev-root-token-id=root -dev-no-store-token \
        -dev-listen-address="127.0.0.1:$port"
    until_true 300 curl --silent --fail "http://127.0.0.1:$port/v1/sys/health" || fail "the reference server did not start"
    "$python" "$session" run --bao "$bao" --addr "http://127.0.0.1:$port" --out "$work/expected.jsonl"
    mv "$work/expected.jsonl" "$expected"
fi
say "runs the session against the server (2 minutes)"
"$python" "$session" run --bao "$bao" --addr "$SIGNET_ADDR" --token "$SIGNET_TOKEN" --out "$work/actual.jsonl"
"$python" "$session" compare "$expected" "$work/actual.jsonl" --only "$only" -v >"$work/compare.log"
# Shows the commands whose exit codes differ, and their output.
awk '/^--- /{head=$0; getline; show=($2 != $4); if (show) print "   " head} show{print "   " $0}' "$work/compare.log" | cut -c1-300 | head -n 200
rate=$(tail -n 1 "$work/compare.log")
say "$rate"
awk -v least=$least 'END { match($0, /exit code same [0-9.]+/); exit !(substr($0, RSTART + 15, RLENGTH - 15) + 0 >= least) }' \
    "$work/compare.log" || fail "bao $BAO_VERSION: $rate; at least $least % of the exit codes must be the same"
ok "bao $BAO_VERSION: $rate"
