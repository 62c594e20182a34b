import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What Apache Kafka's tools printed for the same state of Apache Kafka, section by section of a file; what varies from run to run is masked.
 * With COMPAT_RECORD set the file is written anew, which means something against Apache Kafka only.
 */
final class Expected {
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
        String actual = (output.code() == 0 ? "" : "exit code " + output.code() + "\n") + plain(output.out() + "\n" + output.err(), List.of(maskedColumns));
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

    /** Lines without what differs between two runs: blanks, ids, ports, times, rows' order below a header. */
    private String plain(String text, List<String> maskedColumns) {
        List<String> lines = new ArrayList<>();
        String[] header = null;
        List<String> rows = new ArrayList<>();
        for (String raw : text.split("\n")) {
            String line = raw.strip().replace("COORDINATOR (ID)", "COORDINATOR(ID)").replaceAll("\\s+", " ");
            line = line.replaceAll("(127\\.0\\.0\\.1|localhost):\\d+ \\((\\d+)\\)", "ADDRESS($2)").replaceAll("(127\\.0\\.0\\.1|localhost):\\d+", "ADDRESS");
            line = line.replaceAll("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID");
            if (!fixture.tag.isEmpty()) line = line.replace(fixture.tag, "");
            if (line.isEmpty()) continue;
            String[] cells = line.split(" ");
            boolean isHeader = cells.length > 1 && (cells[0].equals("GROUP") || cells[0].equals("TransactionalId") || cells[0].equals("CoordinatorId") || cells[0].equals("ProducerId") || cells[0].equals("Topic"));
            if (isHeader) {
                header = cells;
                lines.add(line);
                continue;
            }
            if (header == null) {
                lines.add(line);
                continue;
            }
            for (int i = 0; i < cells.length && i < header.length; i++) if (maskedColumns.contains(header[i]) && !cells[i].equals("-")) cells[i] = "*";
            rows.add(String.join(" ", cells));
        }
        rows.sort(null);
        lines.addAll(rows);
        return String.join("\n", lines);
    }
}
