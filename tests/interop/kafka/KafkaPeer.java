import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A Kafka client over mutual TLS, with PKCS#12 stores whose password is "changeit".
 *
 * <pre>
 *   KafkaPeer admit BROKER KEYSTORE TRUSTSTORE TOPIC GROUP PRINCIPAL   as a super user: topic and ACLs
 *   KafkaPeer talk  BROKER KEYSTORE TRUSTSTORE TOPIC GROUP             produces and consumes one record
 * </pre>
 *
 * KEYSTORE may be "-" for a client without a certificate. Exit codes: 0 success, 3 authenticated but not
 * authorized, 4 not connected because one side refused the other's certificate, 1 any other error.
 */
public final class KafkaPeer {
    private static final int NOT_ALLOWED = 3;
    private static final int NOT_AUTHENTICATED = 4;
    private static final String TIMEOUT_MILLISECONDS = "20000";

    private KafkaPeer() {}

    public static void main(String[] arguments) throws Exception {
        String broker = arguments[1];
        Properties settings = settings(broker, arguments[2], arguments[3]);
        String topic = arguments[4];
        String group = arguments[5];
        try {
            if (arguments[0].equals("admit")) {
                admit(settings, topic, group, arguments[6]);
            } else {
                talk(settings, topic, group);
            }
        } catch (Exception fault) {
            Throwable cause = fault instanceof ExecutionException ? fault.getCause() : fault;
            System.out.println(cause.getClass().getSimpleName() + ": " + rootOf(cause).getMessage());
            if (cause instanceof AuthorizationException) {
                System.exit(NOT_ALLOWED);
            }
            System.exit(cause instanceof AuthenticationException ? NOT_AUTHENTICATED : 1);
        }
        System.exit(0);
    }

    private static Properties settings(String broker, String keyStore, String trustStore) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", broker);
        settings.put("security.protocol", "SSL");
        // An SVID has no DNS name: the chain and the ACL decide.
        settings.put("ssl.endpoint.identification.algorithm", "");
        settings.put("ssl.truststore.type", "PKCS12");
        settings.put("ssl.truststore.location", trustStore);
        settings.put("ssl.truststore.password", "changeit");
        if (!keyStore.equals("-")) {
            settings.put("ssl.keystore.type", "PKCS12");
            settings.put("ssl.keystore.location", keyStore);
            settings.put("ssl.keystore.password", "changeit");
            settings.put("ssl.key.password", "changeit");
        }
        settings.put("request.timeout.ms", "10000");
        settings.put("default.api.timeout.ms", TIMEOUT_MILLISECONDS);
        return settings;
    }

    private static void admit(Properties settings, String topic, String group, String principal) throws Exception {
        settings.put("default.api.timeout.ms", "60000");
        try (Admin admin = Admin.create(settings)) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
            admin.createAcls(List.of(
                            allow(ResourceType.TOPIC, topic, principal, AclOperation.READ),
                            allow(ResourceType.TOPIC, topic, principal, AclOperation.WRITE),
                            allow(ResourceType.GROUP, group, principal, AclOperation.READ)))
                    .all()
                    .get();
        }
        System.out.println("admitted " + principal);
    }

    private static AclBinding allow(ResourceType type, String name, String principal, AclOperation operation) {
        return new AclBinding(
                new ResourcePattern(type, name, PatternType.LITERAL),
                new AccessControlEntry(principal, "*", operation, AclPermissionType.ALLOW));
    }

    private static void talk(Properties settings, String topic, String group) throws Exception {
        try (Admin admin = Admin.create(settings)) {
            admin.describeTopics(List.of(topic)).allTopicNames().get();
        }
        Properties producing = new Properties();
        producing.putAll(settings);
        producing.remove("default.api.timeout.ms");
        producing.put("max.block.ms", TIMEOUT_MILLISECONDS);
        producing.put("delivery.timeout.ms", TIMEOUT_MILLISECONDS);
        String said = "hello " + System.nanoTime();
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(producing, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>(topic, said)).get(20, TimeUnit.SECONDS);
        }
        Properties consuming = new Properties();
        consuming.putAll(settings);
        consuming.put("group.id", group);
        consuming.put("auto.offset.reset", "earliest");
        try (KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(consuming, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic));
            for (int attempt = 0; attempt < 60; attempt++) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    if (record.value().equals(said)) {
                        consumer.commitSync();
                        System.out.println("produced and consumed: " + said.substring(0, 5));
                        return;
                    }
                }
            }
        }
        throw new IllegalStateException("the record did not come back");
    }

    private static Throwable rootOf(Throwable fault) {
        Throwable cause = fault;
        while (cause.getCause() != null && cause.getCause() != cause) {
            cause = cause.getCause();
        }
        return cause;
    }
}
