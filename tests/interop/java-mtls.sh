#!/usr/bin/env bash
# Mutual TLS between two SVIDs, stock Java and OpenSSL: each side accepts exactly the other's SPIFFE ID.
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"
need javac "a JDK (openjdk-17-jdk-headless)"
need keytool "a JDK (openjdk-17-jdk-headless)"

pki_with_root pki "Example Root"
api POST pki/roles/spiffe '{"allowed_uri_sans":"spiffe://example.org/*","require_cn":false,"key_type":"ec","key_bits":256,"ttl":"60m","max_ttl":"60m"}' >/dev/null
api_id=spiffe://example.org/payments/api
web_id=spiffe://example.org/shop/web
sibling_id=spiffe://example.org/shop/web2
for name in api web sibling; do
    id=${name}_id
    issue_key_store pki spiffe "{\"uri_sans\":\"${!id}\"}" "$work/$name"
    openssl pkcs12 -in "$work/$name.p12" -passin pass:changeit -nodes -out "$work/$name.all.pem" 2>"$work/openssl.log" ||
        fail "openssl cannot read the key store of ${!id}: $(cat "$work/openssl.log")"
done
issue_trust_store pki spiffe "{\"uri_sans\":\"$api_id\"}" "$work/trust"
keytool -list -keystore "$work/trust.p12" -storepass changeit >"$work/trust.log" 2>&1 || fail "keytool refuses the trust store"
[[ $(grep -c trustedCertEntry "$work/trust.log") == 1 ]] || fail "the trust store shows $(grep -c Entry "$work/trust.log") entries, not the one root"

javac -d "$work/classes" "$repository/testdata/java/SpiffePeer.java" || fail "SpiffePeer.java does not compile"
peer() { timeout 60 java -cp "$work/classes" SpiffePeer "$@"; }
connect() { # EXPECTED-EXIT-CODE WHAT HOST:PORT KEYSTORE ACCEPTED-ID
    local outcome=0
    peer connect "$3" "$4" "$work/trust.p12" changeit "$5" >"$work/connect.log" 2>&1 || outcome=$?
    [[ $outcome == "$1" ]] || { cat "$work/connect.log"; fail "$2: exit code $outcome, not $1"; }
    say "$2: $(tail -n 1 "$work/connect.log")"
}

start server java -cp "$work/classes" SpiffePeer serve "$work/api.p12" "$work/trust.p12" changeit "$web_id"
until_true 200 grep -q '^listening' "$work/server.log" || fail "the Java server did not start: $(cat "$work/server.log")"
address=$(sed -n 's/^listening //p' "$work/server.log")
connect 0 "Java to Java, each accepts the other's ID" "$address" "$work/web.p12" "$api_id"
grep -q "^you are $web_id" "$work/connect.log" || fail "the server saw another SPIFFE ID"
# The client sees a refusal, sometimes only a closed connection; the server logs the reason.
refusals() { [[ $(grep -cE "$1" "$work/server.log") -ge $2 ]]; }
logged() { until_true 50 refusals "$@" || fail "the Java server does not log the refusal: $1; $(cat "$work/server.log")"; }
connect 4 "a sibling of the same CA" "$address" "$work/sibling.p12" "$api_id"
logged "^refused: $sibling_id is not $web_id" 1
connect 3 "a client that expects another ID" "$address" "$work/web.p12" "$sibling_id"
connect 4 "a client without a certificate" "$address" - "$api_id"
logged "^refused: Empty .*certificate chain" 1

s_client() { # NAME: says hello, prints what comes back
    { echo hello; until_true 50 grep -qE 'you are|alert' "$work/s_client.log" || true; } |
        timeout 20 openssl s_client -connect "$address" -cert "$work/$1.all.pem" -key "$work/$1.all.pem" \
            -CAfile "$work/pki.root.pem" -verify_return_error -quiet >"$work/s_client.log" 2>&1 || true
}
s_client web
grep -q "^you are $web_id" "$work/s_client.log" || fail "OpenSSL to Java: $(tail -n 3 "$work/s_client.log")"
say "OpenSSL to Java: $(grep '^you are' "$work/s_client.log")"
s_client sibling
grep -q 'you are' "$work/s_client.log" && fail "OpenSSL to Java: the sibling was accepted"
logged "^refused: $sibling_id is not $web_id" 2
say "OpenSSL to Java, a sibling: $(grep -o 'alert.*' "$work/s_client.log" | head -n 1)"

# The OpenSSL server returns each line reversed, which shows that the connection works.
start s_server openssl s_server -accept 127.0.0.1:0 -cert "$work/api.all.pem" -key "$work/api.all.pem" \
    -cert_chain "$work/api.all.pem" -CAfile "$work/pki.root.pem" -Verify 2 -verify_return_error -rev
until_true 100 grep -q '^ACCEPT' "$work/s_server.log" || fail "openssl s_server did not start: $(cat "$work/s_server.log")"
address=$(sed -n 's/^ACCEPT //p' "$work/s_server.log" | head -n 1)
connect 0 "Java to OpenSSL" "$address" "$work/web.p12" "$api_id"
connect 3 "Java to OpenSSL, expecting another ID" "$address" "$work/web.p12" "$sibling_id"
connect 4 "Java to OpenSSL, without a certificate" "$address" - "$api_id"
ok "$(java -version 2>&1 | sed -n '1s/.*"\(.*\)".*/Java \1/p') and $(openssl version | cut -d' ' -f1,2): each accepts exactly the other's SPIFFE ID, a sibling and a client without a certificate are refused"
