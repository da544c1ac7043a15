#!/usr/bin/env bash
# Kafka over mutual TLS with stores straight from `issue`: an ACL admits one SPIFFE ID, not its sibling.
# shellcheck source=SCRIPTDIR/support.sh
source "$(dirname "$0")/support.sh"
need javac "a JDK (openjdk-17-jdk-headless)"

library=$cache/kafka-$KAFKA_VERSION
if [[ ! -e $library/.complete ]]; then
    need mvn "maven"
    say "installs Kafka $KAFKA_VERSION (once, 43 MB)"
    mvn -B -q -f "$here/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$library/lib" >"$work/mvn.log" 2>&1 ||
        { tail -n 5 "$work/mvn.log"; skip "the Kafka $KAFKA_VERSION jars"; }
    touch "$library/.complete"
fi
jars="$library/lib/*"

# Kafka takes the principal of a client from the subject: the role writes the SPIFFE path there. The
# reference does not have this role field, so there the request sets the common name.
role='{"allowed_uri_sans":"spiffe://example.com/*","require_cn":false,"key_type":"ec","key_bits":256,"ttl":"60m","max_ttl":"60m"}'
if [[ -z $SIGNET_REFERENCE ]]; then
    role=$(jq -c '. + {cn_from_spiffe_path: true}' <<<"$role")
else
    role=$(jq -c '. + {allow_any_name: true, cn_validations: "disabled", exclude_cn_from_sans: true}' <<<"$role")
fi
store() { # MOUNT PATH FILE [TTL]
    local ask="{\"uri_sans\":\"spiffe://example.com/$2\",\"ttl\":\"${4:-30m}\"}"
    [[ -z $SIGNET_REFERENCE ]] || ask=$(jq -c ". + {common_name: \"$2\", exclude_cn_from_sans: true}" <<<"$ask")
    issue_key_store "$1" kafka "$ask" "$work/$3"
}
for mount in pki pki_other; do
    pki_with_root "$mount" "Root of $mount"
    api POST "$mount/roles/kafka" "$role" >/dev/null
    issue_trust_store "$mount" kafka "{\"uri_sans\":\"spiffe://example.com/trust\"$([[ -z $SIGNET_REFERENCE ]] || echo ',"common_name":"trust"')}" "$work/trust.$mount"
done
store pki kafka/broker broker
store pki payments/api admitted
store pki payments/api2 sibling
store pki payments/api expired 3s
store pki_other payments/api other_root
principal() { # FILE: the principal in Kafka's format
    openssl pkcs12 -in "$work/$1.p12" -passin pass:changeit -nokeys -clcerts 2>/dev/null |
        openssl x509 -noout -subject -nameopt RFC2253 | sed 's/^subject=/User:/'
}
[[ $(principal admitted) == "User:CN=payments/api" ]] || fail "the subject is $(principal admitted), not the SPIFFE path"

cat >"$work/server.properties.in" <<EOF
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=SSL
listener.security.protocol.map=SSL:SSL,CONTROLLER:SSL
log.dirs=$work/data
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
ssl.client.auth=required
ssl.keystore.type=PKCS12
ssl.keystore.location=$work/broker.p12
ssl.keystore.password=changeit
ssl.key.password=changeit
ssl.truststore.type=PKCS12
ssl.truststore.location=$work/trust.pki.p12
ssl.truststore.password=changeit
ssl.endpoint.identification.algorithm=
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=$(principal broker)
EOF
# Kafka needs fixed ports; another program may take one in between, so there are three attempts.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || ! kill -0 "${started[-1]}"; }
id=$(java -cp "$jars" kafka.tools.StorageTool random-uuid 2>/dev/null | tail -n 1)
for attempt in 1 2 3; do
    port=$(free_port) controller=$(free_port)
    {
        cat "$work/server.properties.in"
        echo "listeners=SSL://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller"
        echo "advertised.listeners=SSL://127.0.0.1:$port"
        echo "controller.quorum.voters=1@127.0.0.1:$controller"
    } >"$work/server.properties"
    rm -rf "$work/data"
    java -cp "$jars" kafka.tools.StorageTool format -t "$id" -c "$work/server.properties" >"$work/format.log" 2>&1 ||
        fail "the storage could not be formatted: $(tail -n 3 "$work/format.log")"
    say "starts Kafka $KAFKA_VERSION"
    start kafka java -Xmx512m -cp "$jars" kafka.Kafka "$work/server.properties"
    until_true 600 listens || fail "Kafka does not listen: $(tail -n 3 "$work/kafka.log")"
    kill -0 "${started[-1]}" 2>/dev/null && break
    say "Kafka exited during the start: $(tail -n 1 "$work/kafka.log")"
    ((attempt < 3)) || fail "Kafka did not start"
done

javac -cp "$jars" -d "$work/classes" "$here/kafka/KafkaPeer.java" || fail "KafkaPeer.java does not compile"
peer() { # EXPECTED-EXIT-CODE WHAT COMMAND KEYSTORE TRUSTSTORE [PRINCIPAL]
    local outcome=0
    timeout 120 java -cp "$work/classes:$jars" KafkaPeer "$3" "127.0.0.1:$port" "$4" "$work/$5.p12" payments payments-readers "${@:6}" \
        >"$work/peer.log" 2>&1 || outcome=$?
    [[ $outcome == "$1" ]] || {
        tail -n 20 "$work/peer.log"
        tail -n 20 "$work/kafka.log"
        fail "$2: exit code $outcome, not $1"
    }
    say "$2: $(grep -vE '^(SLF4J|ERROR StatusLogger|[0-9:. ]+main)' "$work/peer.log" | tail -n 1)"
}
peer 0 "the broker's own SVID sets the ACL" admit "$work/broker.p12" trust.pki "$(principal admitted)"
peer 0 "the admitted SVID" talk "$work/admitted.p12" trust.pki
peer 3 "its sibling" talk "$work/sibling.p12" trust.pki
peer 4 "no certificate" talk - trust.pki
peer 4 "the same SPIFFE ID under another root" talk "$work/other_root.p12" trust.pki
peer 4 "a client that trusts another root only" talk "$work/admitted.p12" trust.pki_other
expired() { # the certificate has expired
    ! openssl pkcs12 -in "$work/expired.p12" -passin pass:changeit -nokeys -clcerts 2>/dev/null | openssl x509 -noout -checkend 0
}
until_true 100 expired || fail "a certificate of 3 seconds is still valid"
peer 4 "the admitted SPIFFE ID, expired" talk "$work/expired.p12" trust.pki
ok "Kafka $KAFKA_VERSION produces and consumes over mutual TLS for $(principal admitted); clients with a sibling ID, another root, an expired certificate or none are refused"
