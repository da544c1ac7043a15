#!/usr/bin/env bash
# hvac's own integration tests of its PKI methods, from its source distribution.
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"

# Tests of endpoints that Signet has.
selected=(
    read_ca_certificate_0 read_ca_certificate_chain read_certificate list_certificates
    read_urls set_urls
    generate_intermediate set_signed_intermediate generate_certificate revoke_certificate
    create_or_update_role read_role list_roles delete_role generate_root
    test_sign_intermediate sign_certificate
    read_issuer list_issuers update_issuer
)
# Other tests, each with the reason why it is left out.
declare -A left_out=(
    [submit_ca_information]="config/ca comes with the import of issuers"
    [read_crl_configuration]="config/crl comes with the full CRL settings"
    [set_crl_configuration]="config/crl comes with the full CRL settings"
    [read_crl]="it writes config/crl first; hvac's read_crl is called below instead"
    [rotate_crl]="crl/rotate comes with the full CRL settings; the CRL of Signet is always current"
    [delete_root]="DELETE root comes with the rotation of roots"
    [sign_self_issued]="root/sign-self-issued comes with cross-signing"
    [sign_verbatim]="sign-verbatim comes later"
    [tidy]="tidy comes later"
    [revoke_issuer]="issuer/:ref/revoke comes with the rotation of roots"
    [delete_issuer]="it expects 500 for an unknown issuer; Signet deliberately answers 4xx"
)

folder=hvac-$HVAC_VERSION
install_python "$folder" "hvac==$HVAC_VERSION" pytest pyhcl requests-mock parameterized \
    semantic-version 'packaging<24' jwcrypto Authlib Flask Flask-SQLAlchemy Werkzeug \
    python-ldap-test greenlet pytest-mock
sources=$cache/$folder/sources
if [[ ! -d $sources ]]; then
    "$cache/$folder/bin/pip" download -q --disable-pip-version-check --no-binary :all: --no-deps \
        "hvac==$HVAC_VERSION" -d "$work" || skip "hvac's source distribution"
    tar -xzf "$work/hvac-$HVAC_VERSION.tar.gz" -C "$work"
    mv "$work/hvac-$HVAC_VERSION" "$sources"
fi

# The tests read the version of `vault` on the PATH.
mkdir "$work/bin"
printf '#!/bin/sh\necho "Signet v2.1.0"\n' >"$work/bin/vault"
chmod +x "$work/bin/vault"

tests=tests/integration_tests/api/secrets_engines/test_pki.py
expression=$(printf ' or %s' "${selected[@]}")
run_pytest() {
    (cd "$sources" && PATH=$work/bin:$PATH PYTHONPATH=$here/hvac:$sources PYTHONDONTWRITEBYTECODE=1 \
        "$cache/$folder/bin/python" -m pytest -p running_server -o addopts="" -p no:cacheprovider "$@" "$tests")
}
everything=$(run_pytest --collect-only -q | grep -c '::')
unnamed=$(run_pytest --collect-only -q -k "not (${expression# or })" | sed -n 's/.*::test_//p')
while read -r name; do
    [[ -n ${left_out[${name%_[0-9]*}]:-} ]] || fail "test_$name is neither selected nor left out with a reason"
done <<<"$unnamed"
for name in "${!left_out[@]}"; do say "left out: test_$name (${left_out[$name]})"; done | sort

run_pytest -q -k "${expression# or }" >"$work/pytest.log" 2>&1 || {
    tail -n 60 "$work/pytest.log"
    fail "$(tail -n 1 "$work/pytest.log")"
}
pki_with_root hvac_crl "Example Root"
"$cache/$folder/bin/python" - >"$work/hvac.crl" <<'EOF' || fail "hvac's read_crl failed"
import os, hvac
client = hvac.Client(url=os.environ["SIGNET_ADDR"], token=os.environ["SIGNET_TOKEN"])
print(client.secrets.pki.read_crl(mount_point="hvac_crl"))
EOF
openssl crl -in "$work/hvac.crl" -noout -CAfile "$work/hvac_crl.root.pem" >"$work/crl.log" 2>&1 || true
grep -q 'verify OK' "$work/crl.log" || fail "hvac's read_crl returned no CRL of the root: $(tail -n 1 "$work/crl.log")"

grep -q ' skipped' "$work/pytest.log" && fail "hvac skipped tests: $(tail -n 1 "$work/pytest.log")"
ok "hvac $HVAC_VERSION: $(grep -oE '[0-9]+ passed' "$work/pytest.log") of its $everything PKI tests, ${#left_out[@]} left out by name, and its read_crl"
