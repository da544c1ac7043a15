#!/usr/bin/env bash
# zlint, pkilint, OpenSSL, GnuTLS and Java check the root, intermediate, leaf and CRL of each key type. Only
# the rules of RFCs apply, not those of the public web PKI.
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"
need javac "a JDK (openjdk-17-jdk-headless)"
need certtool "certtool (gnutls-bin)"

zlint=$cache/zlint-$ZLINT_VERSION/zlint
if [[ ! -x $zlint ]]; then
    need go "go 1.26 or newer"
    say "builds zlint $ZLINT_VERSION (once)"
    GOBIN=$cache/zlint-$ZLINT_VERSION nice go install "github.com/zmap/zlint/v3/cmd/zlint@$ZLINT_VERSION" || skip "zlint $ZLINT_VERSION"
fi
# Selects the lints by name, because zlint cannot filter by RFC 8813.
lints=$("$zlint" -list-lints-json | jq -rs 'map(select(.source | IN("RFC5280", "RFC5480", "RFC5891", "RFC8813")) | .name) | unique | join(",")')
[[ $lints == *,* ]] || fail "zlint lists no lints"
install_python "pkilint-$PKILINT_VERSION" "pkilint==$PKILINT_VERSION"

# The reference sets keyEncipherment on every leaf, which RFC 5480 forbids for EC keys.
usage=
[[ -z $SIGNET_REFERENCE ]] || usage=',"key_usage":"DigitalSignature"'
fetch() { curl --silent --show-error --fail "$SIGNET_ADDR/v1/$1"; }
make_chain() { # KEY-TYPE KEY-BITS: into the folder of that name
    local folder=$work/made/$1-$2 key="\"key_type\":\"$1\",\"key_bits\":$2" upper=pki_$1_$2 lower=int_$1_$2 mount
    mkdir -p "$folder"
    pki_with_root "$upper" "Example Root $1 $2" "$1" "$2"
    api POST "sys/mounts/$lower" '{"type":"pki","config":{"max_lease_ttl":"8760h"}}' >/dev/null
    for mount in "$upper" "$lower"; do
        api POST "$mount/config/urls" "{\"issuing_certificates\":\"http://pki.example/$mount/ca\",\"crl_distribution_points\":\"http://pki.example/$mount/crl\"}" >/dev/null
    done
    api POST "$lower/intermediate/generate/internal" "{\"common_name\":\"Example Intermediate $1 $2\",$key}" | jq -r .data.csr >"$folder/csr.pem"
    api POST "$upper/root/sign-intermediate" "$(jq -n --rawfile csr "$folder/csr.pem" \
        '{csr: $csr, common_name: "Example Intermediate", ttl: "4000h", max_path_length: 0}')" |
        jq -r .data.certificate >"$folder/intermediate.pem"
    cp "$work/$upper.root.pem" "$folder/root.pem"
    api POST "$lower/intermediate/set-signed" "$(jq -n --rawfile pem "$folder/intermediate.pem" --rawfile root "$folder/root.pem" \
        '{certificate: ($pem + "\n" + $root)}')" >/dev/null
    api POST "$lower/roles/spiffe" "{\"allowed_uri_sans\":\"spiffe://example.org/*\",\"allowed_domains\":\"example.org\",\"allow_subdomains\":true,\"require_cn\":false,$key,\"ttl\":\"60m\"$usage}" >/dev/null
    issue_pem "$lower" spiffe '{"uri_sans":"spiffe://example.org/payments/api"}' "$folder/leaf"
    issue_pem "$lower" spiffe '{"common_name":"api.example.org"}' "$folder/named"
    issue_pem "$lower" spiffe '{"uri_sans":"spiffe://example.org/revoked"}' "$folder/revoked"
    api POST "$lower/revoke" "$(jq '{serial_number: .data.serial_number}' "$folder/revoked.json")" >/dev/null
    fetch "$upper/crl/pem" >"$folder/root.crl"
    fetch "$lower/crl/pem" >"$folder/intermediate.crl"
}
names=()
for kind in "ec 256" "ec 384" "ec 521" "rsa 2048" "rsa 3072" "rsa 4096" "ed25519 0"; do
    # shellcheck disable=SC2086 # splits into two words
    make_chain $kind
    name=${kind/ /-}
    names+=("$name")
done

wrong=()
for name in "${names[@]}"; do
    folder=$work/made/$name
    for file in leaf.pem named.pem intermediate.pem root.pem intermediate.crl root.crl; do
        "$zlint" -includeNames "$lints" "$folder/$file" >"$work/zlint.json" 2>"$work/zlint.log" ||
            { wrong+=("zlint cannot read $name/$file: $(head -n 1 "$work/zlint.log")"); continue; }
        checked=$(jq '[.[] | select(.result != "NA" and .result != "NE")] | length' "$work/zlint.json")
        ((checked > 0)) || wrong+=("zlint checked nothing of $name/$file")
        while read -r finding; do
            case $finding in
            *error | *fatal) wrong+=("zlint $name/$file: $finding") ;;
            *) say "zlint $name/$file: $finding" ;;
            esac
        done < <(jq -r 'to_entries[] | select(.value.result | IN("pass", "NA", "NE", "info") | not) | "\(.key) \(.value.result)"' "$work/zlint.json")
    done

    { cat "$folder/root.crl"; echo; cat "$folder/intermediate.crl"; } >"$folder/all.crl"
    by_openssl=(openssl verify -x509_strict -crl_check_all -CAfile "$folder/root.pem" -untrusted "$folder/intermediate.pem" -CRLfile "$folder/all.crl")
    for purpose in sslclient sslserver; do
        "${by_openssl[@]}" -purpose $purpose "$folder/leaf.pem" "$folder/named.pem" >"$work/verify.log" 2>&1 ||
            wrong+=("openssl refuses $name as $purpose: $(tr '\n' ' ' <"$work/verify.log")")
    done
    "${by_openssl[@]}" "$folder/revoked.pem" >"$work/verify.log" 2>&1 && wrong+=("openssl accepts the revoked leaf of $name")
    grep -q 'certificate revoked' "$work/verify.log" || wrong+=("openssl refuses the revoked leaf of $name for another reason")
    cat "$folder/leaf.pem" "$folder/intermediate.pem" >"$folder/chain.pem"
    certtool --verify --load-ca-certificate "$folder/root.pem" --infile "$folder/chain.pem" >"$work/certtool.log" 2>&1 ||
        wrong+=("certtool refuses $name: $(grep -i 'chain verification' "$work/certtool.log")")
done

files=()
for name in "${names[@]}"; do
    for file in leaf.pem named.pem intermediate.pem root.pem intermediate.crl root.crl; do files+=("$name/$file"); done
done
(cd "$work/made" && "$cache/pkilint-$PKILINT_VERSION/bin/python" "$here/zlint/pkilint_all.py" "${files[@]}") \
    >"$work/pkilint.out" 2>"$work/pkilint.log" || wrong+=("pkilint cannot read a file: $(tail -n 1 "$work/pkilint.log")")
unknown_scheme='pkix.invalid_uri_syntax Invalid URI syntax: "spiffe://example.org/payments/api"'
while read -r file severity finding; do
    case $severity/$finding in
    # The list of URI schemes in pkilint does not contain spiffe.
    "ERROR/$unknown_scheme") ;;
    # Vault's default key usages contain keyAgreement, which RFC 3279, 2.3.1 and RFC 8410, 5 forbid for
    # RSA and Ed25519 keys. A role that sets its usages does not have this finding.
    "ERROR/pkix.key_usage_value_prohibited_for_"*" present: keyAgreement") say "pkilint $file: $finding (Vault's default)" ;;
    ERROR/* | FATAL/*) wrong+=("pkilint $file: $severity $finding") ;;
    *) say "pkilint $file: $severity $finding" ;;
    esac
done <"$work/pkilint.out"
say "pkilint does not know the scheme spiffe: $(grep -cF "$unknown_scheme" "$work/pkilint.out" || true) such findings ignored"

javac -d "$work/classes" "$here/zlint/ChainVerifier.java" || fail "ChainVerifier.java does not compile"
java -cp "$work/classes" ChainVerifier "${names[@]/#/$work/made/}" >"$work/java.log" 2>&1 || wrong+=("Java: $(grep -v '^ok' "$work/java.log" | head -n 3 | tr '\n' ' ')")

if ((${#wrong[@]})); then
    printf '   %.300s\n' "${wrong[@]}"
    fail "${#wrong[@]} findings"
fi
ok "${#names[@]} key types (${names[*]}), each root, intermediate, two leaves and two CRLs: no error from zlint $ZLINT_VERSION, and only the findings above from pkilint $PKILINT_VERSION; OpenSSL, GnuTLS and Java accept the leaf, and OpenSSL and Java refuse the revoked one"
