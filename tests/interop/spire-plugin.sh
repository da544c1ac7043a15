#!/usr/bin/env bash
# SPIRE's own upstream authority plugin "vault" mints a CA three times from a root and from an intermediate.
# The chain of a workload then verifies up to the root that SPIRE publishes.
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"
need go "go 1.26 or newer"

pki_with_root pki "SPIRE upstream root"
api POST sys/mounts/pki_int '{"type":"pki","config":{"max_lease_ttl":"43800h"}}' >/dev/null
api POST pki_int/intermediate/generate/internal \
    '{"common_name":"SPIRE upstream intermediate","key_type":"ec","key_bits":256}' | jq -r .data.csr >"$work/intermediate.csr"
api POST pki/root/sign-intermediate "$(jq -n --rawfile csr "$work/intermediate.csr" \
    '{csr: $csr, common_name: "SPIRE upstream intermediate", uri_sans: "spiffe://intermediate.example", format: "pem_bundle", ttl: "43800h"}')" |
    jq '{certificate: .data.certificate}' >"$work/intermediate.json"
api POST pki_int/intermediate/set-signed "$(cat "$work/intermediate.json")" >/dev/null

for mount in pki pki_int; do
    mkdir "$work/$mount"
    say "SPIRE's plugin against $mount (compiles once, 3 minutes)"
    (cd "$here/go-spire" && SIGNET_MOUNT=$mount SIGNET_OUTPUT=$work/$mount nice go test -count=1 ./... 2>&1) |
        tee "$work/go.log" | grep -vE '^time=' || true
    grep -q '^ok' "$work/go.log" || fail "the plugin's test failed on $mount"
    for round in 1 2 3; do
        cmp -s "$work/$mount/roots-$round.pem" "$work/$mount/roots-1.pem" || fail "the root changed between two CAs"
        openssl verify -x509_strict -CAfile "$work/$mount/roots-$round.pem" \
            -untrusted "$work/$mount/chain-$round.pem" "$work/$mount/leaf-$round.pem" >"$work/verify.log" 2>&1 ||
            fail "openssl refuses the chain of CA $round on $mount: $(tr '\n' ' ' <"$work/verify.log")"
    done
done
ok "SPIRE v1.15.3's plugin minted a CA 3 times from a root and 3 times from an intermediate; go-spiffe and $(openssl version | cut -d' ' -f1,2) verify an SVID below each"
