import java.io.*;
import java.util.*;

/**
 * Asks Kafka's own KafkaConfig which combinations of settings it takes. Reads one combination a line (`name=value` parted by tabs, laid
 * over a combined node; `name=` alone removes the name), writes one JSON line each: the combination, whether it is taken, Kafka's words.
 * Run: java -cp "KAFKA/libs/*" NodeRules.java < node-rules.txt > node-rules.golden.jsonl
 */
public class NodeRules {
  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    PrintStream answers = System.out;
    System.setOut(System.err);
    var json = new com.fasterxml.jackson.databind.ObjectMapper();
    for (String line; (line = in.readLine()) != null; ) {
      if (line.isBlank() || line.startsWith("#")) continue;
      Map<String, String> pairs = new LinkedHashMap<>();
      pairs.put("process.roles", "broker,controller");
      pairs.put("node.id", "1");
      pairs.put("controller.quorum.voters", "1@127.0.0.1:9093");
      pairs.put("controller.listener.names", "CONTROLLER");
      pairs.put("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093");
      for (String pair : line.split("\t")) {
        int at = pair.indexOf('=');
        if (at == pair.length() - 1 && !pair.endsWith("==")) pairs.remove(pair.substring(0, at));
        else pairs.put(pair.substring(0, at), pair.substring(at + 1));
      }
      Map<String, Object> out = new LinkedHashMap<>();
      out.put("set", pairs);
      try {
        Properties properties = new Properties();
        properties.putAll(pairs);
        new kafka.server.KafkaConfig(properties, false);
        out.put("taken", true);
      } catch (Throwable e) {
        out.put("taken", false);
        out.put("kafka", String.valueOf(e.getMessage()));
      }
      answers.println(json.writeValueAsString(out));
    }
  }
}
