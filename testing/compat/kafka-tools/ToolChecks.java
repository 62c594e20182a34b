import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.common.protocol.ApiKeys;

/** Kafka's command line tools against a running broker. */
final class ToolChecks {
    private static final String TOOLS = "org.apache.kafka.tools.";
    private final Fixture fixture;
    private final String topic;
    private final String filled;

    ToolChecks(Fixture fixture) {
        this.fixture = fixture;
        topic = "tools-topic" + fixture.tag;
        filled = "tools-filled" + fixture.tag;
    }

    void run() {
        Checks.check("kafka-topics", this::topics);
        Checks.check("kafka-topics refused", this::topicsRefused);
        Checks.check("kafka-configs topic", this::topicConfigs);
        Checks.check("kafka-configs broker", this::brokerConfigs);
        Checks.check("kafka-console-producer, kafka-console-consumer of a partition", this::console);
        Checks.check("kafka-console-producer with each codec", this::consoleCodecs);
        Checks.check("kafka-console-consumer of a group", this::consoleGroup);
        Checks.check("kafka-consumer-groups", this::consumerGroups);
        Checks.check("kafka-producer-perf-test", this::producerPerformance);
        Checks.check("kafka-consumer-perf-test", this::consumerPerformance);
        Checks.check("kafka-e2e-latency", this::endToEndLatency);
        Checks.check("kafka-verifiable-producer", this::verifiableProducer);
        Checks.check("kafka-get-offsets", this::getOffsets);
        Checks.check("kafka-delete-records", this::deleteRecords);
        Checks.check("kafka-log-dirs", this::logDirs);
        Checks.check("kafka-broker-api-versions", this::apiVersions);
        Checks.check("kafka-cluster", this::cluster);
        Checks.check("kafka-features", this::features);
        Checks.check("kafka-metadata-quorum", this::metadataQuorum);
        Checks.check("kafka-transactions describe-producers", this::describeProducers);
        Checks.check("kafka-leader-election", this::leaderElection);
        Checks.check("kafka-reassign-partitions", this::reassign);
        Checks.check("kafka-topics delete", this::topicsDelete);
    }

    /** Runs a tool with --bootstrap-server and the arguments. */
    private Tools.Output tool(String name, String... args) throws Exception {
        return toolWith("", name, args);
    }

    private Tools.Output toolWith(String input, String name, String... args) throws Exception {
        List<String> all = new ArrayList<>(List.of("--bootstrap-server", fixture.bootstrap));
        all.addAll(List.of(args));
        return Tools.runWith(input, name.contains(".") ? name : TOOLS + name, all.toArray(String[]::new));
    }

    private void topics() throws Exception {
        tool("TopicCommand", "--create", "--topic", topic, "--partitions", "3", "--replication-factor", "1", "--config", "retention.ms=7200000").ok().has("Created topic " + topic);
        Checks.until("the topic is listed", 5000, () -> tool("TopicCommand", "--list").ok().out().lines().anyMatch(topic::equals));
        tool("TopicCommand", "--describe", "--topic", topic).ok().has("PartitionCount: 3").has("ReplicationFactor: 1").has("retention.ms=7200000").has("Partition: 2");
        tool("TopicCommand", "--alter", "--topic", topic, "--partitions", "5").ok();
        Checks.until("five partitions", 5000, () -> tool("TopicCommand", "--describe", "--topic", topic).out().contains("PartitionCount: 5"));
        Checks.same("", tool("TopicCommand", "--describe", "--under-replicated-partitions").ok().out().strip(), "under-replicated partitions");
        Checks.same("", tool("TopicCommand", "--describe", "--unavailable-partitions").ok().out().strip(), "unavailable partitions");
        tool("TopicCommand", "--create", "--if-not-exists", "--topic", topic, "--partitions", "3").ok();
    }

    private void topicsRefused() throws Exception {
        tool("TopicCommand", "--create", "--topic", topic).failed("already exists");
        tool("TopicCommand", "--create", "--topic", topic + "-r", "--replication-factor", "3").failed("replica");
        tool("TopicCommand", "--describe", "--topic", "tools-no-such-topic").failed("does not exist");
    }

    private void topicConfigs() throws Exception {
        String[] entity = {"--entity-type", "topics", "--entity-name", topic};
        tool("kafka.admin.ConfigCommand", with(entity, "--alter", "--add-config", "max.message.bytes=2000000,cleanup.policy=[compact,delete]")).ok().has("Completed updating config for topic " + topic);
        Checks.until("the config", 5000, () -> tool("kafka.admin.ConfigCommand", with(entity, "--describe")).out().contains("max.message.bytes=2000000"));
        tool("kafka.admin.ConfigCommand", with(entity, "--describe")).ok().has("cleanup.policy=compact,delete").has("synonyms={");
        tool("kafka.admin.ConfigCommand", with(entity, "--alter", "--delete-config", "max.message.bytes,cleanup.policy")).ok();
        Checks.until("no config", 5000, () -> !tool("kafka.admin.ConfigCommand", with(entity, "--describe")).out().contains("max.message.bytes"));
        tool("kafka.admin.ConfigCommand", with(entity, "--alter", "--add-config", "retention.ms=soon")).failed("retention.ms");
    }

    private void brokerConfigs() throws Exception {
        tool("kafka.admin.ConfigCommand", "--entity-type", "brokers", "--entity-default", "--alter", "--add-config", "log.cleaner.delete.retention.ms=90000000").ok();
        Checks.until("the config", 5000, () -> tool("kafka.admin.ConfigCommand", "--entity-type", "brokers", "--entity-default", "--describe").out().contains("log.cleaner.delete.retention.ms=90000000"));
        tool("kafka.admin.ConfigCommand", "--entity-type", "brokers", "--entity-default", "--alter", "--delete-config", "log.cleaner.delete.retention.ms").ok();
        tool("kafka.admin.ConfigCommand", "--entity-type", "brokers", "--entity-name", "1", "--describe", "--all").ok().has("log.dirs=").has("num.io.threads=");
    }

    private static String[] with(String[] first, String... more) {
        List<String> all = new ArrayList<>(List.of(first));
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    private void create(String name, int partitions, String... configs) throws Exception {
        List<String> args = new ArrayList<>(List.of("--create", "--topic", name, "--partitions", "" + partitions, "--replication-factor", "1"));
        for (String config : configs) args.addAll(List.of("--config", config));
        tool("TopicCommand", args.toArray(String[]::new)).ok();
    }

    private void console() throws Exception {
        String name = "tools-console" + fixture.tag;
        create(name, 1);
        String input = "h1:a,h2:b\tkey one\tvalue one\nh1:c\tkey two\tvalue two\nNULL\tkey three\tNULL\n";
        toolWith(input, "ConsoleProducer", "--topic", name, "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true", "--reader-property", "null.marker=NULL").ok();
        Tools.Output read = tool(TOOLS + "consumer.ConsoleConsumer", "--topic", name, "--partition", "0", "--offset", "earliest", "--max-messages", "3", "--timeout-ms", "10000",
            "--formatter-property", "print.key=true", "--formatter-property", "print.headers=true", "--formatter-property", "print.offset=true", "--formatter-property", "print.partition=true").ok();
        Checks.same("Partition:0\tOffset:0\th1:a,h2:b\tkey one\tvalue one\nPartition:0\tOffset:1\th1:c\tkey two\tvalue two\nPartition:0\tOffset:2\tNO_HEADERS\tkey three\tnull\n", read.out(), "what was read");
        Tools.Output last = tool(TOOLS + "consumer.ConsoleConsumer", "--topic", name, "--partition", "0", "--offset", "1", "--max-messages", "1", "--timeout-ms", "10000", "--isolation-level", "read_committed").ok();
        Checks.same("value two\n", last.out(), "the record at offset 1");
    }

    private void consoleCodecs() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            String name = "tools-console-" + codec + fixture.tag;
            create(name, 1);
            String input = IntStream.range(0, 200).mapToObj(i -> codec + " line " + i + "\n").collect(Collectors.joining());
            toolWith(input, "ConsoleProducer", "--topic", name, "--compression-codec", codec, "--request-required-acks", "all", "--batch-size", "50").ok();
            Tools.Output read = tool(TOOLS + "consumer.ConsoleConsumer", "--topic", name, "--partition", "0", "--offset", "earliest", "--max-messages", "200", "--timeout-ms", "10000").ok();
            Checks.same(input, read.out(), "what was read");
        }
    }

    private void consoleGroup() throws Exception {
        String name = "tools-console-gzip" + fixture.tag;
        String group = "tools-group" + fixture.tag;
        Tools.Output first = tool(TOOLS + "consumer.ConsoleConsumer", "--topic", name, "--group", group, "--from-beginning", "--max-messages", "120", "--timeout-ms", "20000").ok();
        Checks.that(first.out().startsWith("gzip line 0\n") && first.out().endsWith("gzip line 119\n"), "the first 120 lines");
        Tools.Output rest = tool(TOOLS + "consumer.ConsoleConsumer", "--topic", name, "--group", group, "--max-messages", "80", "--timeout-ms", "20000").ok();
        Checks.that(rest.out().startsWith("gzip line 120\n") && rest.out().endsWith("gzip line 199\n"), "the rest");
    }

    private void consumerGroups() throws Exception {
        String command = TOOLS + "consumer.group.ConsumerGroupCommand";
        String group = "tools-group" + fixture.tag;
        Checks.that(tool(command, "--list").ok().out().lines().anyMatch(group::equals), "the group is listed");
        tool(command, "--describe", "--group", group).has("tools-console-gzip");
        tool(command, "--describe", "--group", group, "--state").ok().has("Empty");
        tool(command, "--reset-offsets", "--group", group, "--topic", "tools-console-gzip" + fixture.tag, "--to-offset", "5", "--execute").ok();
        Checks.that(Pattern.compile("tools-console-gzip\\S*\\s+0\\s+5\\s+200\\s+195").matcher(tool(command, "--describe", "--group", group).ok().out()).find(), "offset 5 and lag 195");
        tool(command, "--delete", "--group", group).ok();
        Checks.that(tool(command, "--list").ok().out().lines().noneMatch(group::equals), "the group is gone");
    }

    private void producerPerformance() throws Exception {
        create(filled, 1, "segment.bytes=1048576", "index.interval.bytes=1000");
        Tools.Output out = Tools.run(TOOLS + "ProducerPerformance", "--bootstrap-server", fixture.bootstrap, "--topic", filled, "--num-records", "40000", "--record-size", "110", "--throughput", "-1").ok();
        out.has("40000 records sent");
    }

    private void consumerPerformance() throws Exception {
        Tools.Output out = tool("ConsumerPerformance", "--topic", filled, "--num-records", "40000", "--timeout", "20000").ok();
        String[] fields = out.out().strip().lines().reduce((a, b) -> b).orElse("").split(", ");
        Checks.same("40000", fields.length > 4 ? fields[4] : out.out(), "records consumed");
    }

    private void endToEndLatency() throws Exception {
        create("tools-latency" + fixture.tag, 1);
        tool("EndToEndLatency", "--topic", "tools-latency" + fixture.tag, "--num-records", "100", "--producer-acks", "1", "--record-size", "20").ok().has("Percentiles");
    }

    private void verifiableProducer() throws Exception {
        Tools.Output out = Tools.runUntil(output -> sent(output) == 300, "", TOOLS + "VerifiableProducer", "--bootstrap-server", fixture.bootstrap, "--topic", filled, "--max-messages", "300", "--acks", "-1", "--repeating-keys", "7").ok();
        Checks.same(300L, sent(out.out()), "records sent");
    }

    private static long sent(String output) {
        return output.lines().filter(line -> line.contains("producer_send_success")).count();
    }

    private void getOffsets() throws Exception {
        Checks.same(filled + ":0:40300", tool("GetOffsetShell", "--topic", filled, "--time", "latest").ok().out().strip(), "latest");
        Checks.same(filled + ":0:0", tool("GetOffsetShell", "--topic", filled, "--time", "earliest").ok().out().strip(), "earliest");
        Checks.same(filled + ":0:0", tool("GetOffsetShell", "--topic", filled, "--time", "earliest-local").ok().out().strip(), "earliest local");
        Checks.same(filled + ":0:0", tool("GetOffsetShell", "--topic", filled, "--time", "1000").ok().out().strip(), "by timestamp");
        Matcher max = Pattern.compile(":0:(\\d+)").matcher(tool("GetOffsetShell", "--topic", filled, "--time", "max-timestamp").ok().out());
        Checks.that(max.find() && Long.parseLong(max.group(1)) >= 40000, "greatest timestamp");
        tool("GetOffsetShell", "--topic-partitions", "tools-.*:0", "--exclude-internal-topics").ok().has("tools-console-zstd" + fixture.tag + ":0:200");
    }

    private void deleteRecords() throws Exception {
        Path file = Files.createTempFile("compat-delete-records", ".json");
        try {
            String name = "tools-console-zstd" + fixture.tag;
            Files.writeString(file, "{\"version\":1,\"partitions\":[{\"topic\":\"" + name + "\",\"partition\":0,\"offset\":30}]}");
            tool("DeleteRecordsCommand", "--offset-json-file", file.toString()).ok().has("low_watermark: 30");
            Checks.same(name + ":0:30", tool("GetOffsetShell", "--topic", name, "--time", "earliest").ok().out().strip(), "earliest");
        } finally {
            Files.delete(file);
        }
    }

    private void logDirs() throws Exception {
        Tools.Output out = tool("LogDirsCommand", "--describe", "--topic-list", filled).ok();
        Matcher size = Pattern.compile("\"partition\":\"" + filled + "-0\".*?\"size\":(\\d+)|\"size\":(\\d+)").matcher(out.out());
        Checks.that(size.find(), "the partition's size: " + out.out());
        String found = size.group(1) == null ? size.group(2) : size.group(1);
        Checks.that(Long.parseLong(found) > 4_000_000, "size " + found);
    }

    private void apiVersions() throws Exception {
        String out = tool("BrokerApiVersionsCommand").ok().out();
        List<String> missing = new ArrayList<>();
        for (ApiKeys api : ApiKeys.clientApis()) {
            // A broker serves these only with a reporter that takes clients' metrics.
            if (api == ApiKeys.GET_TELEMETRY_SUBSCRIPTIONS || api == ApiKeys.PUSH_TELEMETRY) continue;
            Matcher row = Pattern.compile("\\b" + api.name + "\\(" + api.id + "\\): (\\d+)(?: to (\\d+))? \\[usable: (\\d+)\\]").matcher(out);
            if (!row.find()) missing.add(api.name);
            else if (Integer.parseInt(row.group(3)) != api.latestVersion(false)) missing.add(api.name + " only up to " + row.group(3));
        }
        Checks.same(List.of(), missing, "APIs that this version's clients use and the broker does not serve");
    }

    private void cluster() throws Exception {
        Tools.Output out = Tools.run(TOOLS + "ClusterTool", "cluster-id", "--bootstrap-server", fixture.bootstrap).ok();
        Checks.that(out.out().matches("(?s).*Cluster ID: \\S{22}\\s*"), out.out());
        Tools.run(TOOLS + "ClusterTool", "list-endpoints", "--bootstrap-server", fixture.bootstrap).ok().has("127.0.0.1");
    }

    private void features() throws Exception {
        Tools.run(TOOLS + "FeatureCommand", "--bootstrap-server", fixture.bootstrap, "describe").ok().has("Feature: metadata.version").has("FinalizedVersionLevel");
    }

    private void metadataQuorum() throws Exception {
        tool("MetadataQuorumCommand", "describe", "--status").ok().has("LeaderId:").has("HighWatermark:").has("CurrentVoters:");
        tool("MetadataQuorumCommand", "describe", "--replication").ok().has("Leader");
    }

    private void describeProducers() throws Exception {
        Tools.Output out = tool("TransactionsCommand", "describe-producers", "--topic", filled, "--partition", "0").ok();
        Checks.that(out.out().lines().count() >= 2, "a producer: " + out.out());
    }

    private void leaderElection() throws Exception {
        tool("LeaderElectionCommand", "--election-type", "preferred", "--topic", topic, "--partition", "0").ok().has("Valid replica already elected");
    }

    private void reassign() throws Exception {
        tool(TOOLS + "reassign.ReassignPartitionsCommand", "--list").ok().has("No partition reassignments found.");
        Path file = Files.createTempFile("compat-topics", ".json");
        try {
            Files.writeString(file, "{\"version\":1,\"topics\":[{\"topic\":\"" + topic + "\"}]}");
            tool(TOOLS + "reassign.ReassignPartitionsCommand", "--generate", "--topics-to-move-json-file", file.toString(), "--broker-list", "1").ok().has("Proposed partition reassignment configuration");
        } finally {
            Files.delete(file);
        }
    }

    private void topicsDelete() throws Exception {
        tool("TopicCommand", "--delete", "--topic", topic).ok();
        Checks.until("the topic is gone", 5000, () -> tool("TopicCommand", "--list").ok().out().lines().noneMatch(topic::equals));
        tool("TopicCommand", "--delete", "--topic", topic).failed("does not exist");
    }
}
