import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** kafka-share-groups over a group with a member, the same group when it is empty, and one that is not there. */
final class ShareGroupTools {
    private static final String TOOL = "org.apache.kafka.tools.consumer.group.ShareGroupCommand";
    private final Fixture fixture;
    private final Expected expected;
    private final String topic;
    private final String group;
    private final AtomicBoolean over = new AtomicBoolean();
    private volatile int records;

    ShareGroupTools(Fixture fixture, Expected expected) {
        this.fixture = fixture;
        this.expected = expected;
        topic = "sgtools-topic" + fixture.tag;
        group = "sgtools-share" + fixture.tag;
    }

    void run() throws Exception {
        Thread member = new Thread(this::consume);
        try (Admin admin = fixture.admin()) {
            Checks.check("kafka-share-groups, prepare", () -> prepare(admin, member));
            describe("active", "sgtools-share");
            describe("absent", "sgtools-absent");
            same("--list", "--list");
            same("--list --state", "--list", "--state");
            same("--list --state stable", "--list", "--state", "stable");
            same("--reset-offsets of active", "--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute");
            same("--delete-offsets of active", "--delete-offsets", "--group", group, "--topic", topic);
            same("--delete of active", "--delete", "--group", group);
            over.set(true);
            member.join(10_000);
            Checks.check("kafka-share-groups, the member leaves", () -> Checks.until("empty", 10_000, () -> admin.describeShareGroups(List.of(group)).all().get().get(group).groupState() == GroupState.EMPTY));
            describe("empty", "sgtools-share");
            same("--reset-offsets --to-earliest", "--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--dry-run");
            same("--reset-offsets --to-latest", "--reset-offsets", "--group", group, "--topic", topic, "--to-latest", "--dry-run");
            same("--reset-offsets --execute", "--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute");
            same("--describe after the reset", "--describe", "--group", group);
            same("--delete-offsets", "--delete-offsets", "--group", group, "--topic", topic);
            same("--describe after offsets were deleted", "--describe", "--group", group);
            same("--delete", "--delete", "--group", group);
            same("--delete of absent", "--delete", "--group", "sgtools-absent" + fixture.tag);
            same("--list after the deletion", "--list");
        } finally {
            over.set(true);
        }
    }

    private void describe(String state, String name) {
        for (String view : List.of("", "--offsets --verbose", "--members", "--members --verbose", "--state", "--state --verbose"))
            same(("--describe " + view + " of " + state).replace("  ", " "), ("--describe --group " + name + fixture.tag + " " + view).strip().split(" "));
    }

    private void same(String what, String... args) {
        String name = "kafka-share-groups " + what;
        Checks.check(name, () -> {
            String[] all = new String[args.length + 2];
            all[0] = "--bootstrap-server";
            all[1] = fixture.bootstrap;
            System.arraycopy(args, 0, all, 2, args.length);
            Tools.Output output = Tools.run(TOOL, all);
            if (args[0].equals("--list")) output = new Tools.Output(output.code(), String.join("\n", output.out().lines().filter(line -> line.startsWith("sgtools-") || line.startsWith("GROUP")).toList()), output.err());
            expected.same(name, output, "CONSUMER-ID");
        });
    }

    private void prepare(Admin admin, Thread member) throws Exception {
        Fixture.create(admin, List.of(new NewTopic(topic, 2, (short) 1)));
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET)))).all().get();
        member.start();
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            for (int i = 0; i < 20; i++) producer.send(new ProducerRecord<>(topic, i % 2, null, Checks.bytes("" + i)));
        }
        Checks.until("all records", 30_000, () -> records == 20);
        // The acknowledgements of the last records go out with the next fetches.
        Thread.sleep(1500);
    }

    private void consume() {
        try (KafkaShareConsumer<byte[], byte[]> consumer = new KafkaShareConsumer<>(fixture.properties("group.id", group, "client.id", "sgtools-member"), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic));
            while (!over.get()) {
                records += consumer.poll(Duration.ofMillis(100)).count();
                consumer.commitSync();
            }
        }
    }
}
