import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/** kafka-streams-groups over an application that runs, the same when it has stopped, and one that is not there. */
final class StreamsGroupTools {
    private static final String TOOL = "org.apache.kafka.tools.streams.StreamsGroupCommand";
    private final Fixture fixture;
    private final Expected expected;
    private final String input;
    private final String output;
    private final String group;

    StreamsGroupTools(Fixture fixture, Expected expected) {
        this.fixture = fixture;
        this.expected = expected;
        input = "stools-in" + fixture.tag;
        output = "stools-out" + fixture.tag;
        group = "stools-app" + fixture.tag;
    }

    void run() throws Exception {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(input, Consumed.with(Serdes.String(), Serdes.String())).mapValues(value -> value.toUpperCase()).to(output, Produced.with(Serdes.String(), Serdes.String()));
        Properties p = fixture.properties("application.id", group, "group.protocol", "streams", "client.id", "stools-client", "num.stream.threads", 1, "commit.interval.ms", 100,
            "state.dir", System.getProperty("java.io.tmpdir") + "/stools-" + ProcessHandle.current().pid(), "replication.factor", 1);
        p.put("consumer.auto.offset.reset", "earliest");
        try (Admin admin = fixture.admin()) {
            Fixture.create(admin, List.of(new NewTopic(input, 2, (short) 1), new NewTopic(output, 2, (short) 1)));
            KafkaStreams streams = new KafkaStreams(builder.build(), p);
            try {
                Checks.check("kafka-streams-groups, prepare", () -> prepare(admin, streams));
                describe("active", "stools-app");
                describe("absent", "stools-absent");
                same("--list", "--list");
                same("--list --state", "--list", "--state");
                same("--list --state stable", "--list", "--state", "stable");
                same("--delete of active", "--delete", "--group", group);
            } finally {
                streams.close(Duration.ofSeconds(10));
            }
            // Its member has left the group when the application is closed; a group of no members is empty.
            Checks.check("kafka-streams-groups, the application stops", () -> Checks.until("empty", 60_000, () -> Tools.run(TOOL, "--bootstrap-server", fixture.bootstrap, "--list", "--state", "empty").out().contains(group)));
            describe("empty", "stools-app");
            same("--reset-offsets --to-earliest", "--reset-offsets", "--group", group, "--input-topic", input, "--to-earliest", "--dry-run");
            same("--reset-offsets --execute", "--reset-offsets", "--group", group, "--input-topic", input, "--to-offset", "2", "--execute");
            same("--describe after the reset", "--describe", "--group", group);
            same("--delete-offsets", "--delete-offsets", "--group", group, "--input-topic", input);
            same("--delete", "--delete", "--group", group);
            same("--list after the deletion", "--list");
        }
    }

    private void describe(String state, String name) {
        for (String view : List.of("", "--offsets --verbose", "--members", "--members --verbose", "--state", "--state --verbose"))
            same(("--describe " + view + " of " + state).replace("  ", " "), ("--describe --group " + name + fixture.tag + " " + view).strip().split(" "));
    }

    private void same(String what, String... args) {
        String name = "kafka-streams-groups " + what;
        Checks.check(name, () -> {
            String[] all = new String[args.length + 2];
            all[0] = "--bootstrap-server";
            all[1] = fixture.bootstrap;
            System.arraycopy(args, 0, all, 2, args.length);
            Tools.Output output = Tools.run(TOOL, all);
            if (args[0].equals("--list")) output = new Tools.Output(output.code(), String.join("\n", output.out().lines().filter(line -> line.startsWith("stools-") || line.startsWith("GROUP")).toList()), output.err());
            expected.same(name, output, "MEMBER", "PROCESS", "MEMBER-ID", "PROCESS-ID", "CLIENT-ID");
        });
    }

    private void prepare(Admin admin, KafkaStreams streams) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            for (int i = 0; i < 20; i++) producer.send(new ProducerRecord<>(input, i % 2, null, Checks.bytes("v" + i)));
        }
        streams.start();
        Checks.until("the offsets are committed", 60_000, () -> admin.listStreamsGroupOffsets(java.util.Map.of(group, new org.apache.kafka.clients.admin.ListStreamsGroupOffsetsSpec())).partitionsToOffsetAndMetadata(group).get().values().stream().mapToLong(offset -> offset == null ? 0 : offset.offset()).sum() == 20);
    }
}
