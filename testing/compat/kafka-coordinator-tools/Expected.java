import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What Apache Kafka's tools printed for the same state of Apache Kafka, section by section of a file; what varies from run to run is masked.
 * With COMPAT_RECORD set the file is written anew, which means something against Apache Kafka only.
 */
final class Expected {
    /** First words of the lines that head a table. */
    private static final Set<String> HEADERS = Set.of("GROUP", "TransactionalId", "CoordinatorId", "ProducerId", "Topic", "TOPIC");
    private final Path file;
    private final Fixture fixture;
    private final boolean recording = System.getenv("COMPAT_RECORD") != null;
    private final Map<String, String> sections = new LinkedHashMap<>();

    Expected(Path file, Fixture fixture) throws Exception {
        this.file = file;
        this.fixture = fixture;
        if (recording || !Files.exists(file)) return;
        String name = null;
        StringBuilder text = new StringBuilder();
        for (String line : Files.readAllLines(file)) {
            if (line.startsWith("== ")) {
                if (name != null) sections.put(name, text.toString().strip());
                name = line.substring(3);
                text.setLength(0);
            } else {
                text.append(line).append('\n');
            }
        }
        if (name != null) sections.put(name, text.toString().strip());
    }

    /** The tool's exit code and output must be the section's, blanks and order of rows aside. */
    void same(String name, Tools.Output output, String... maskedColumns) {
        String actual = (output.code() == 0 ? "" : "exit code " + output.code() + "\n") + plain(output, List.of(maskedColumns));
        if (recording) {
            sections.put(name, actual);
            return;
        }
        String wanted = sections.get(name);
        Checks.that(wanted != null, "no section \"" + name + "\" in " + file.getFileName());
        if (!wanted.equals(actual)) throw new AssertionError("Apache Kafka: [" + wanted.replace("\n", " | ") + "], here: [" + actual.replace("\n", " | ") + "]");
    }

    void write() throws Exception {
        if (!recording) return;
        StringBuilder all = new StringBuilder();
        sections.forEach((name, text) -> all.append("== ").append(name).append('\n').append(text).append("\n\n"));
        Files.writeString(file, all.toString().strip() + "\n");
    }

    private String plain(Tools.Output output, List<String> maskedColumns) {
        List<String> lines = table(output.out(), maskedColumns);
        for (String line : output.err().split("\n")) {
            String told = masked(line);
            // Where in the tool it was thrown says nothing of a broker.
            if (!told.isEmpty() && !told.startsWith("at ") && !told.startsWith("...")) lines.add(told);
        }
        return String.join("\n", lines);
    }

    /** Without what differs between two runs: blanks, ids, ports. */
    private String masked(String raw) {
        String line = raw.strip().replace("COORDINATOR (ID)", "COORDINATOR(ID)").replaceAll("\\s+", " ");
        line = line.replaceAll("(127\\.0\\.0\\.1|localhost):\\d+ \\((\\d+)\\)", "ADDRESS($2)").replaceAll("(127\\.0\\.0\\.1|localhost):\\d+", "ADDRESS");
        line = line.replaceAll("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID");
        return fixture.tag.isEmpty() ? line : line.replace(fixture.tag, "");
    }

    /** The lines; rows below a header in order (the last cell may be empty) and with the masked columns' cells as stars. */
    private List<String> table(String text, List<String> maskedColumns) {
        List<String> lines = new ArrayList<>(), rows = new ArrayList<>();
        String[] header = null;
        for (String raw : text.split("\n")) {
            String line = masked(raw);
            if (line.isEmpty() || line.startsWith("at ")) continue;
            String[] cells = line.split(" ");
            if (HEADERS.contains(cells[0])) {
                header = cells;
                lines.add(line);
            } else if (header == null || cells.length < header.length - 1 || line.endsWith(".")) {
                lines.add(line);
            } else {
                for (int i = 0; i < Math.min(cells.length, header.length); i++) if (maskedColumns.contains(header[i]) && !cells[i].equals("-")) cells[i] = "*";
                rows.add(String.join(" ", cells));
            }
        }
        rows.sort(null);
        lines.addAll(rows);
        return lines;
    }
}
