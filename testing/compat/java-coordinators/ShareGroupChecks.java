import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ShareGroupDescription;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** What members of a share group do. */
final class ShareGroupChecks {
    private static final int RECORDS = 100;
    private final Fixture fixture;
    private final Admin admin;
    private final String topic;

    ShareGroupChecks(Fixture fixture, Admin admin) {
        this.fixture = fixture;
        this.admin = admin;
        topic = "java-share" + fixture.tag;
    }

    void run() {
        Checks.check("share group, prepare", this::prepare);
        Checks.check("share group, two members take every record once", this::twoMembers);
        Checks.check("share group, released records come again, rejected do not", this::acknowledgements);
        Checks.check("share group, described", this::described);
    }

    private KafkaShareConsumer<byte[], byte[]> member(String group, String acknowledgement) {
        Properties p = fixture.properties("group.id", group, "share.acknowledgement.mode", acknowledgement, "default.api.timeout.ms", 15_000);
        return new KafkaShareConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private String group(String suffix) throws Exception {
        String name = "java-share-" + suffix + fixture.tag;
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, name);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET)))).all().get();
        return name;
    }

    private void prepare() throws Exception {
        Fixture.create(admin, List.of(new NewTopic(topic, 2, (short) 1)));
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            for (int i = 0; i < RECORDS; i++) producer.send(new ProducerRecord<>(topic, i % 2, null, Checks.bytes("" + i)));
        }
    }

    private void twoMembers() throws Exception {
        String group = group("two");
        try (KafkaShareConsumer<byte[], byte[]> first = member(group, "implicit"); KafkaShareConsumer<byte[], byte[]> second = member(group, "implicit")) {
            Set<String> seen = new HashSet<>();
            for (KafkaShareConsumer<byte[], byte[]> member : List.of(first, second)) member.subscribe(List.of(topic));
            Checks.until("all records", 25_000, () -> {
                for (KafkaShareConsumer<byte[], byte[]> member : List.of(first, second)) {
                    for (ConsumerRecord<byte[], byte[]> record : member.poll(Duration.ofMillis(100))) Checks.that(seen.add(Checks.text(record.value())), "no record twice");
                }
                return seen.size() == RECORDS;
            });
        }
    }

    private void acknowledgements() throws Exception {
        String group = group("acknowledgements");
        try (KafkaShareConsumer<byte[], byte[]> member = member(group, "explicit")) {
            member.subscribe(List.of(topic));
            Set<String> accepted = new HashSet<>(), rejected = new HashSet<>(), released = new HashSet<>();
            Checks.until("every record is accepted or rejected", 25_000, () -> {
                for (ConsumerRecord<byte[], byte[]> record : member.poll(Duration.ofMillis(100))) {
                    String value = Checks.text(record.value());
                    int number = Integer.parseInt(value);
                    Checks.that(!accepted.contains(value) && !rejected.contains(value), "a finished record does not return: " + value);
                    if (number % 10 == 0) {
                        rejected.add(value);
                        member.acknowledge(record, AcknowledgeType.REJECT);
                    } else if (number % 7 == 0 && released.add(value)) {
                        Checks.same((short) 1, record.deliveryCount().orElse((short) -1), "first delivery count");
                        member.acknowledge(record, AcknowledgeType.RELEASE);
                    } else {
                        if (released.contains(value)) Checks.same((short) 2, record.deliveryCount().orElse((short) -1), "second delivery count");
                        accepted.add(value);
                        member.acknowledge(record, AcknowledgeType.ACCEPT);
                    }
                }
                member.commitSync();
                return accepted.size() + rejected.size() == RECORDS;
            });
            Checks.that(!released.isEmpty(), "some were released");
        }
    }

    private void described() throws Exception {
        String group = "java-share-two" + fixture.tag;
        Checks.that(admin.listGroups().all().get().stream().anyMatch(listing -> listing.groupId().equals(group)), "the group is listed");
        ShareGroupDescription description = admin.describeShareGroups(List.of(group)).all().get().get(group);
        Checks.same(0, description.members().size(), "members");
        Checks.until("empty", 5000, () -> admin.describeShareGroups(List.of(group)).all().get().get(group).groupState().toString().equals("Empty"));
        admin.deleteShareGroups(List.of(group)).all().get();
    }
}
