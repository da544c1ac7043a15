#!/usr/bin/env bash
# The unmodified OpenBao agent with a token file renders PEM by both template functions, and a Java key store.
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"
need keytool "keytool of a JDK"
install_bao

pki_with_root pki "Example Root"
api POST pki/roles/spiffe '{"allowed_uri_sans":"spiffe://example.org/*","require_cn":false,"key_type":"ec","key_bits":256,"ttl":"60m","max_ttl":"60m"}' >/dev/null

printf '%s' "$SIGNET_TOKEN" >"$work/token"
mkdir "$work/out" "$work/home"
arguments='"uri_sans=spiffe://example.org/payments/api" "ttl=30m"'
template() { # FILE CONTENTS
    printf 'template {\n  destination = "%s"\n  perms = "0600"\n  error_on_missing_key = true\n  contents = <<EOT\n%s\nEOT\n}\n' "$work/out/$1" "$2"
}
{
    cat <<EOF
vault {
  address = "$SIGNET_ADDR"
  retry { num_retries = 2 }
}
auto_auth {
  method "token_file" {
    config = { token_file_path = "$work/token" }
  }
}
EOF
    template secret.pem "{{ with secret \"pki/issue/spiffe\" $arguments }}{{ .Data.certificate }}
{{ .Data.private_key }}
{{ .Data.issuing_ca }}{{ end }}"
    template pkicert.pem "{{ with pkiCert \"pki/issue/spiffe\" $arguments }}{{ .Cert }}{{ .Key }}{{ .CA }}{{ end }}"
    [[ -n $SIGNET_REFERENCE ]] ||
        template store.p12 "{{ with secret \"pki/issue/spiffe\" $arguments \"format=pkcs12_bundle\" }}{{ .Data.certificate | base64Decode }}{{ end }}"
} >"$work/agent.hcl"

outcome=0
timeout 60 env -u VAULT_TOKEN -u BAO_TOKEN HOME="$work/home" \
    "$bao" agent -config="$work/agent.hcl" -exit-after-auth >"$work/agent.log" 2>&1 || outcome=$?
((outcome == 0)) || {
    tail -n 30 "$work/agent.log"
    fail "the agent exited with code $outcome"
}

for name in secret pkicert; do
    file=$work/out/$name.pem
    [[ $(grep -c 'BEGIN CERTIFICATE' "$file") == 2 && $(grep -c 'BEGIN .*PRIVATE KEY' "$file") == 1 ]] ||
        fail "$name.pem holds $(grep BEGIN "$file" | tr '\n' ' ')"
    openssl verify -x509_strict -CAfile "$work/pki.root.pem" "$file" >/dev/null || fail "openssl refuses $name.pem"
    cmp -s <(openssl x509 -in "$file" -noout -pubkey) <(openssl pkey -in "$file" -pubout) || fail "$name.pem: the key does not match the certificate"
    openssl x509 -in "$file" -noout -ext subjectAltName | grep -q 'URI:spiffe://example.org/payments/api' ||
        fail "$name.pem lacks the SPIFFE ID"
done
if [[ -n $SIGNET_REFERENCE ]]; then
    answered=$(status POST pki/issue/spiffe '{"uri_sans":"spiffe://example.org/payments/api","format":"pkcs12_bundle"}')
    ok "the agent renders PEM by secret and pkiCert; the key store is left out: the reference does not support the format ($answered)"
fi
keytool -list -v -keystore "$work/out/store.p12" -storepass changeit >"$work/keytool.log" 2>&1 || {
    cat "$work/keytool.log"
    fail "keytool refuses the key store that the agent wrote"
}
grep -q 'PrivateKeyEntry' "$work/keytool.log" || fail "the key store lacks the key"
grep -q 'spiffe://example.org/payments/api' "$work/keytool.log" || fail "the key store lacks the SPIFFE ID"
ok "bao agent $BAO_VERSION renders PEM by secret and pkiCert, and a key store that Java $(java -version 2>&1 | sed -n '1s/.*"\(.*\)".*/\1/p') loads"
