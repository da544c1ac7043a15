#!/usr/bin/env bash
# nginx with ssl_verify_client and ssl_crl accepts an SVID, and refuses it after its revocation.
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"
PATH=$PATH:/usr/sbin:/sbin need nginx "nginx (nginx-light)"
nginx=$(PATH=$PATH:/usr/sbin:/sbin command -v nginx)

pki_with_root pki "Example Root"
api POST pki/roles/spiffe '{"allowed_uri_sans":"spiffe://example.org/*","require_cn":false,"key_type":"ec","key_bits":256,"ttl":"60m","max_ttl":"60m"}' >/dev/null
api POST pki/roles/web '{"allowed_domains":"localhost","allow_bare_domains":true,"key_type":"ec","key_bits":256,"ttl":"60m"}' >/dev/null
issue_pem pki web '{"common_name":"localhost"}' "$work/server"
for name in good bad; do issue_pem pki spiffe "{\"uri_sans\":\"spiffe://example.org/$name\"}" "$work/$name"; done
fetch_crl() { curl --silent --show-error --fail "$SIGNET_ADDR/v1/pki/crl/pem" >"$work/crl.pem"; }
fetch_crl

# A Unix socket, so that no port is needed.
cat >"$work/nginx.conf" <<EOF
daemon off;
pid $work/nginx.pid;
error_log $work/error.log info;
events {}
http {
    access_log off;
    client_body_temp_path $work/body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
    server {
        listen unix:$work/socket ssl;
        ssl_certificate $work/server.chain.pem;
        ssl_certificate_key $work/server.key;
        ssl_client_certificate $work/pki.root.pem;
        ssl_crl $work/crl.pem;
        ssl_verify_client on;
        ssl_session_cache off;
        ssl_session_tickets off;
        location / { return 200 "\$ssl_client_verify\n"; }
    }
}
EOF
# A worker that root starts runs as another user, which must be able to read the files.
chmod 755 "$work"
ask() { # NAME: prints the status
    curl --silent --max-time 10 --unix-socket "$work/socket" --cacert "$work/pki.root.pem" \
        --cert "$work/$1.chain.pem" --key "$work/$1.key" --output "$work/answer" --write-out '%{http_code}' https://localhost/ || true
}
answers() { [[ $(ask "$1") == "$2" ]]; }

"$nginx" -t -c "$work/nginx.conf" >"$work/test.log" 2>&1 || fail "nginx refuses the configuration: $(cat "$work/test.log")"
start nginx "$nginx" -c "$work/nginx.conf"
until_true 100 test -S "$work/socket" || fail "nginx did not start: $(cat "$work/nginx.log")"
for name in good bad; do
    until_true 20 answers $name 200 || fail "an SVID that is not revoked got $(ask $name): $(tail -n 2 "$work/error.log")"
done
without=$(curl --silent --max-time 10 --unix-socket "$work/socket" --cacert "$work/pki.root.pem" \
    --output /dev/null --write-out '%{http_code}' https://localhost/ || true)
[[ $without == 400 ]] || fail "a client without a certificate got $without"

api POST pki/revoke "$(jq '{serial_number: .data.serial_number}' "$work/bad.json")" >/dev/null
fetch_crl
kill -HUP "$(cat "$work/nginx.pid")"
until_true 100 answers bad 400 || fail "the revoked SVID still gets $(ask bad)"
grep -q 'certificate revoked' "$work/error.log" || fail "refused, but not as revoked: $(tail -n 2 "$work/error.log")"
answers good 200 || fail "the other SVID now gets $(ask good)"
openssl verify -crl_check -CAfile "$work/pki.root.pem" -CRLfile "$work/crl.pem" "$work/good.pem" >/dev/null ||
    fail "openssl refuses the good SVID with the new CRL"
ok "$("$nginx" -v 2>&1 | sed 's/.*: //') answers 200 to an SVID, and 400 to the same SVID after its revocation, the new CRL and a reload"
