#!/usr/bin/env bash
# A public validator accepts the OpenAPI document of a server, and the requests that schemathesis generates
# from it cause no 5xx. It runs for $SIGNET_OPENAPI_SECONDS (default 60; nightly 600).
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"

need python3
[[ -z $SIGNET_REFERENCE ]] || skip "a server with few paths; the reference has four hundred"
seconds=${SIGNET_OPENAPI_SECONDS:-60}
folder=schemathesis-$SCHEMATHESIS_VERSION
install_python "$folder" "schemathesis==$SCHEMATHESIS_VERSION" "openapi-spec-validator==$VALIDATOR_VERSION"

pki_with_root pki "Example Root"
api POST pki/roles/web '{"allow_any_name":true,"key_type":"ec"}' >/dev/null
api GET sys/internal/specs/openapi >"$work/openapi.json"
"$cache/$folder/bin/python" -m openapi_spec_validator "$work/openapi.json" >"$work/validator.log" 2>&1 ||
    { tail -n 20 "$work/validator.log"; fail "openapi-spec-validator $VALIDATOR_VERSION refuses the document"; }

say "schemathesis sends requests for $seconds s"
cd "$work"
# The time limit covers all phases: ending before the last phase is not an error.
"$cache/$folder/bin/schemathesis" run "$work/openapi.json" --url "$SIGNET_ADDR/v1" \
    --header "X-Vault-Token: $SIGNET_TOKEN" --checks not_a_server_error --phases fuzzing,stateful \
    --max-time "$seconds" --request-timeout 60 --workers 2 >"$work/schemathesis.log" 2>&1 ||
    { tail -n 60 "$work/schemathesis.log"; fail "schemathesis $SCHEMATHESIS_VERSION found something"; }
paths=$(jq '.paths | length' "$work/openapi.json")
cases=$(sed -n 's/^ *\([0-9]* generated\), .*/\1/p' "$work/schemathesis.log")
[[ -n $cases ]] || fail "schemathesis sent no request: $(tail -n 3 "$work/schemathesis.log")"
ok "openapi-spec-validator $VALIDATOR_VERSION accepts $paths paths; schemathesis $SCHEMATHESIS_VERSION: $cases requests, no 5xx"
