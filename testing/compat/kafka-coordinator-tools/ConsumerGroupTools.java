import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** kafka-consumer-groups over groups of every kind: with a member of either protocol, empty, and absent. */
final class ConsumerGroupTools {
    private static final String TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    private final Fixture fixture;
    private final Expected expected;
    private final String topic;
    private final String prefix;

    ConsumerGroupTools(Fixture fixture, Expected expected) {
        this.fixture = fixture;
        this.expected = expected;
        prefix = "cgtools-";
        topic = "cgtools-topic" + fixture.tag;
    }

    void run() throws Exception {
        try (Admin admin = fixture.admin(); Member classic = new Member("classic"); Member consumer = new Member("consumer")) {
            Checks.check("kafka-consumer-groups, prepare", () -> prepare(admin, classic, consumer));
            for (String filter : List.of("", "--state", "--type", "--state stable", "--state empty", "--type classic", "--type consumer", "--state stable --type consumer")) {
                String name = ("kafka-consumer-groups --list " + filter).strip();
                Checks.check(name, () -> expected.same(name, ours(tool(("--list " + filter).strip().split(" ")))));
            }
            for (String group : List.of("classic", "consumer", "empty", "absent")) {
                for (String view : List.of("", "--offsets --verbose", "--members", "--members --verbose", "--state", "--state --verbose")) {
                    String name = ("kafka-consumer-groups --describe " + view + " of " + group).replace("  ", " ");
                    Checks.check(name, () -> expected.same(name, tool(("--describe --group " + id(group) + " " + view).strip().split(" ")), "CONSUMER-ID"));
                }
            }
            for (String to : List.of("--to-earliest", "--to-latest", "--to-offset 4", "--shift-by -2", "--shift-by 100", "--to-current", "--by-duration PT0S", "--to-datetime 2020-01-01T00:00:00.000")) {
                String name = "kafka-consumer-groups --reset-offsets " + to;
                Checks.check(name, () -> expected.same(name, tool(("--reset-offsets --group " + id("empty") + " --topic " + topic + " " + to + " --dry-run").split(" "))));
            }
            Checks.check("kafka-consumer-groups --reset-offsets --export", () -> expected.same("kafka-consumer-groups --reset-offsets --export", tool(("--reset-offsets --group " + id("empty") + " --all-topics --to-earliest --export --dry-run").split(" "))));
            Checks.check("kafka-consumer-groups --reset-offsets --execute", () -> {
                expected.same("kafka-consumer-groups --reset-offsets --execute", tool(("--reset-offsets --group " + id("empty") + " --topic " + topic + ":1 --to-offset 7 --execute").split(" ")));
                expected.same("kafka-consumer-groups after the reset", tool("--describe", "--group", id("empty")));
            });
            for (String group : List.of("classic", "consumer", "absent")) {
                String reset = "kafka-consumer-groups --reset-offsets of " + group;
                Checks.check(reset, () -> expected.same(reset, tool(("--reset-offsets --group " + id(group) + " --topic " + topic + " --to-earliest --execute").split(" "))));
                String offsets = "kafka-consumer-groups --delete-offsets of " + group;
                Checks.check(offsets, () -> expected.same(offsets, tool(("--delete-offsets --group " + id(group) + " --topic " + topic).split(" "))));
                String delete = "kafka-consumer-groups --delete of " + group;
                Checks.check(delete, () -> expected.same(delete, tool("--delete", "--group", id(group))));
            }
            Checks.check("kafka-consumer-groups --delete-offsets", () -> {
                expected.same("kafka-consumer-groups --delete-offsets", tool(("--delete-offsets --group " + id("empty") + " --topic " + topic + ":0").split(" ")));
                expected.same("kafka-consumer-groups after offsets were deleted", tool("--describe", "--group", id("empty")));
            });
            Checks.check("kafka-consumer-groups --delete", () -> {
                expected.same("kafka-consumer-groups --delete", tool("--delete", "--group", id("empty")));
                expected.same("kafka-consumer-groups --list after the deletion", ours(tool("--list")));
            });
        }
    }

    private String id(String group) {
        return prefix + group + fixture.tag;
    }

    private Tools.Output tool(String... args) throws Exception {
        String[] all = new String[args.length + 2];
        all[0] = "--bootstrap-server";
        all[1] = fixture.bootstrap;
        System.arraycopy(args, 0, all, 2, args.length);
        return Tools.run(TOOL, all);
    }

    /** Without the groups of other programs. */
    private Tools.Output ours(Tools.Output output) {
        List<String> lines = output.out().lines().filter(line -> line.startsWith(prefix) || line.startsWith("GROUP")).sorted().toList();
        return new Tools.Output(output.code(), String.join("\n", lines), output.err());
    }

    private void prepare(Admin admin, Member... members) throws Exception {
        Fixture.create(admin, List.of(new NewTopic(topic, 2, (short) 1)));
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            for (int i = 0; i < 20; i++) producer.send(new ProducerRecord<>(topic, i % 2, null, Checks.bytes("" + i)));
        }
        Map<TopicPartition, OffsetAndMetadata> offsets = Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(3), new TopicPartition(topic, 1), new OffsetAndMetadata(5, "five"));
        for (String group : List.of("classic", "consumer", "empty")) admin.alterConsumerGroupOffsets(id(group), offsets).all().get();
        for (Member member : members) member.join();
    }

    /** Polls in a thread of its own, so that the group stays as it is. */
    private final class Member implements AutoCloseable {
        private final String protocol;
        private final AtomicBoolean over = new AtomicBoolean();
        private volatile int assigned;
        private Thread thread;

        Member(String protocol) {
            this.protocol = protocol;
        }

        void join() throws Exception {
            thread = new Thread(() -> {
                try (KafkaConsumer<byte[], byte[]> consumer = fixture.consumer("group.id", id(protocol), "group.protocol", protocol, "client.id", "cgtools-" + protocol, "max.poll.records", 1)) {
                    consumer.subscribe(List.of(topic));
                    while (!over.get()) {
                        consumer.poll(Duration.ofMillis(100));
                        assigned = consumer.assignment().size();
                    }
                }
            });
            thread.start();
            Checks.until("the assignment of " + protocol, 20_000, () -> assigned == 2);
        }

        @Override
        public void close() throws Exception {
            over.set(true);
            if (thread != null) thread.join(10_000);
        }
    }
}
