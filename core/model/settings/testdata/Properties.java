import java.io.*;
import java.nio.file.*;
import java.util.*;

/** Reads each file named with java.util.Properties, as Kafka does, and writes its pairs: one JSON line a file. Run in this folder. */
public class Properties {
  public static void main(String[] args) throws Exception {
    var json = new com.fasterxml.jackson.databind.ObjectMapper();
    for (String file : args) {
      var properties = new java.util.Properties();
      try (InputStream in = Files.newInputStream(Path.of(file))) { properties.load(in); }
      Map<String, Object> pairs = new TreeMap<>();
      for (String name : properties.stringPropertyNames()) pairs.put(name, properties.getProperty(name));
      System.out.println(json.writeValueAsString(Map.of("file", file, "pairs", pairs)));
    }
  }
}
