import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.LinkedHashMap;
import java.util.Map;

/** A line of JSON on standard output: what happened and when by the machine's clock, which all processes of a run share. */
final class Event {
    private static final ObjectMapper JSON = new ObjectMapper();

    static void say(String event, Object... pairs) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("event", event);
        line.put("ms", System.currentTimeMillis());
        for (int i = 0; i < pairs.length; i += 2) line.put((String) pairs[i], pairs[i + 1]);
        try {
            synchronized (Event.class) {
                System.out.println(JSON.writeValueAsString(line));
                System.out.flush();
            }
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    static String why(Throwable t) {
        while ((t instanceof java.util.concurrent.ExecutionException || t instanceof java.util.concurrent.CompletionException) && t.getCause() != null) t = t.getCause();
        return t.getClass().getSimpleName() + ": " + t.getMessage();
    }

    private Event() {}
}
