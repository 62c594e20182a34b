import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Kafka's own readers over the data directory of a broker that has stopped. */
final class DumpChecks {
    private static final String DUMP = "org.apache.kafka.tools.DumpLogSegments";
    private static final Pattern BATCH = Pattern.compile("^baseOffset: (\\d+) lastOffset: (\\d+) count: (-?\\d+) .*isvalid: (\\w+)$", Pattern.MULTILINE);
    private static final Pattern GAP = Pattern.compile("(-?\\d+) is followed by (\\d+)");
    private static final String METADATA = "__cluster_metadata-0";
    private final Path root;

    DumpChecks(String dataDir) {
        root = Path.of(dataDir);
    }

    void run() throws Exception {
        List<Path> partitions;
        try (Stream<Path> found = Files.list(root)) {
            partitions = found.filter(Files::isDirectory).filter(dir -> dir.getFileName().toString().matches(".+-\\d+")).sorted().toList();
        }
        Checks.check("partitions in the data directory", () -> Checks.that(partitions.size() > 3, "only " + partitions.size() + " partitions in " + root));
        Checks.check("a segment in every partition", () -> {
            for (Path partition : partitions) Checks.that(!files(List.of(partition), ".log").isEmpty(), "no segment in " + partition);
        });
        Checks.check("segments, deep iteration", () -> {
            for (Path partition : partitions) segments(partition);
        });
        Checks.check("offset indexes", () -> indexes(partitions, ".index", "--verify-index-only"));
        Checks.check("offset indexes, sanity", () -> indexes(partitions, ".index", "--index-sanity-check"));
        Checks.check("time indexes", () -> indexes(partitions, ".timeindex", "--verify-index-only"));
        Checks.check("transaction indexes", () -> {
            if (!files(partitions, ".txnindex").isEmpty()) dump(files(partitions, ".txnindex")).ok();
        });
        Checks.check("producer snapshots", () -> producerSnapshots(partitions));
        Checks.check("segments of tools-filled", this::filledSegments);
        Checks.check("cluster metadata", this::clusterMetadata);
        Checks.check("cluster metadata snapshots", this::metadataSnapshots);
        Checks.check("metadata shell", this::metadataShell);
        Checks.check("consumer offsets", () -> consumerOffsets(partitions));
        Checks.check("partition.metadata and checkpoints", () -> plainFiles(partitions));
    }

    private static List<Path> files(List<Path> partitions, String suffix) throws Exception {
        List<Path> out = new ArrayList<>();
        for (Path partition : partitions) {
            try (Stream<Path> found = Files.list(partition)) {
                found.filter(file -> file.toString().endsWith(suffix)).sorted().forEach(out::add);
            }
        }
        return out;
    }

    private static Tools.Output dump(List<Path> files, String... options) throws Exception {
        List<String> args = new ArrayList<>(Arrays.asList(options));
        args.addAll(List.of("--files", String.join(",", files.stream().map(Path::toString).toList())));
        Tools.Output out = Tools.run(DUMP, args.toArray(String[]::new));
        for (String complaint : List.of("Mismatches in :", "Found timestamp mismatch in", "Found out of order timestamp in", "Index position", "Error")) out.hasNot(complaint);
        return out;
    }

    /** Every batch is valid, and the batches of a partition follow each other. */
    private void segments(Path partition) throws Exception {
        List<Path> logs = files(List.of(partition), ".log");
        boolean internal = partition.getFileName().toString().startsWith("__");
        long next = -1;
        for (Path log : logs) {
            long base = Long.parseLong(log.getFileName().toString().replace(".log", ""));
            if (!internal) Checks.that(next < 0 || next == base, log + " starts at " + base + ", the segment before ends before " + next);
            Tools.Output out = dump(List.of(log), "--deep-iteration").ok();
            out.has("Log starting offset: " + base);
            // The tool compares the first offset of every file with -1.
            Matcher gap = GAP.matcher(out.out());
            while (!internal && gap.find()) Checks.same("-1", gap.group(1), "offset before " + gap.group(2) + " in " + log);
            Matcher batch = BATCH.matcher(out.out());
            next = base;
            while (batch.find()) {
                Checks.same("true", batch.group(4), "validity of the batch at " + batch.group(1) + " of " + log);
                Checks.that(Long.parseLong(batch.group(1)) >= next, "offset " + batch.group(1) + " of " + log + " after " + next);
                if (!internal) Checks.same(next, Long.parseLong(batch.group(1)), "base offset in " + log);
                next = Long.parseLong(batch.group(2)) + 1;
            }
        }
    }

    private void indexes(List<Path> partitions, String suffix, String option) throws Exception {
        List<Path> found = files(partitions, suffix);
        Checks.that(!found.isEmpty(), "no " + suffix + " files");
        dump(found, option).ok();
    }

    private void producerSnapshots(List<Path> partitions) throws Exception {
        List<Path> found = files(partitions, ".snapshot");
        Checks.that(!found.isEmpty(), "no producer snapshots");
        dump(found).ok().has("producerId: ").has("lastSequence: ").hasNot("corrupt");
    }

    private void filledSegments() throws Exception {
        Path partition;
        try (Stream<Path> found = Files.list(root)) {
            partition = found.filter(dir -> dir.getFileName().toString().matches("tools-filled.*-0")).findFirst().orElseThrow();
        }
        Checks.that(files(List.of(partition), ".log").size() >= 4, "segments: " + files(List.of(partition), ".log"));
        Tools.Output index = dump(files(List.of(partition), ".index").subList(0, 1)).ok();
        long entries = index.out().lines().filter(line -> line.startsWith("offset: ")).count();
        Checks.that(entries > 20, "entries of the first offset index: " + entries);
        Checks.that(index.out().lines().filter(line -> line.startsWith("offset: ")).count() == Files.size(files(List.of(partition), ".index").get(0)) / 8, "the index of a rolled segment is cut to its entries");
        Tools.Output times = dump(files(List.of(partition), ".timeindex").subList(0, 1)).ok();
        Checks.that(times.out().lines().anyMatch(line -> line.startsWith("timestamp: ")), "entries of the first time index");
    }

    private void clusterMetadata() throws Exception {
        List<Path> logs = files(List.of(root.resolve(METADATA)), ".log");
        Tools.Output out = dump(logs, "--cluster-metadata-decoder").ok();
        for (String type : List.of("REGISTER_BROKER_RECORD", "TOPIC_RECORD", "PARTITION_RECORD", "FEATURE_LEVEL_RECORD")) out.has("\"type\":\"" + type + "\"");
        out.has("LeaderChange").hasNot("Could not decode").hasNot("Error");
    }

    private void metadataSnapshots() throws Exception {
        List<Path> found = files(List.of(root.resolve(METADATA)), ".checkpoint");
        if (found.isEmpty()) return;
        for (Path file : found) dump(List.of(file), "--cluster-metadata-decoder").ok().has("SnapshotHeader").has("SnapshotFooter");
    }

    private void metadataShell() throws Exception {
        List<Path> logs = files(List.of(root.resolve(METADATA)), ".log");
        // The shell answers a command while it still loads the log, so that one answer may come too early.
        String[] command = {"--snapshot", logs.get(0).toString(), "ls", "/image/topics/byName"};
        Checks.until("tools-filled among the topics", 15_000, () -> Tools.run("org.apache.kafka.shell.MetadataShell", command).ok().out().contains("tools-filled"));
    }

    private void consumerOffsets(List<Path> partitions) throws Exception {
        List<Path> offsets = partitions.stream().filter(dir -> dir.getFileName().toString().startsWith("__consumer_offsets-")).toList();
        Checks.that(!offsets.isEmpty(), "no __consumer_offsets");
        dump(files(offsets, ".log"), "--offsets-decoder").ok().has("\"type\":").hasNot("Could not decode");
    }

    private void plainFiles(List<Path> partitions) throws Exception {
        for (Path partition : partitions) {
            if (partition.endsWith(METADATA)) continue;
            String metadata = Files.readString(partition.resolve("partition.metadata"));
            Checks.that(metadata.matches("version: 0\ntopic_id: \\S{22}\n?"), partition + "/partition.metadata: " + metadata);
            List<String> epochs = Files.readAllLines(partition.resolve("leader-epoch-checkpoint"));
            Checks.that(epochs.size() >= 2 && epochs.get(0).equals("0") && epochs.size() == 2 + Integer.parseInt(epochs.get(1)), partition + "/leader-epoch-checkpoint: " + epochs);
        }
        for (String name : List.of("recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "replication-offset-checkpoint")) {
            List<String> lines = Files.readAllLines(root.resolve(name));
            Checks.that(lines.size() >= 2 && lines.get(0).equals("0") && lines.size() == 2 + Integer.parseInt(lines.get(1)), name + ": " + lines);
        }
        String properties = Files.readString(root.resolve("meta.properties"));
        for (String key : List.of("version=1", "node.id=1", "cluster.id=", "directory.id=")) Checks.that(properties.contains(key), "meta.properties has no " + key);
        Checks.that(new File(root.toFile(), ".kafka_cleanshutdown").exists(), "no mark of a clean shutdown");
    }
}
