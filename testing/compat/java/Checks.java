import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Objects;
import java.util.concurrent.ExecutionException;

/** Runs checks one by one and prints a line for each, as testing/compat/README.md says. */
final class Checks {
    interface Body {
        void run() throws Exception;
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    static void check(String name, Body body) {
        long started = System.nanoTime();
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable t) {
            Throwable cause = cause(t);
            StringBuilder why = new StringBuilder(cause.getClass().getSimpleName() + ": " + cause.getMessage());
            for (StackTraceElement frame : t.getStackTrace()) {
                if (frame.getFileName() != null && frame.getFileName().endsWith("Checks.java") && !frame.getClassName().equals("Checks")) {
                    why.append(" (").append(frame.getFileName()).append(':').append(frame.getLineNumber()).append(')');
                    break;
                }
            }
            System.out.println("FAIL " + name + ": " + why.toString().replaceAll("\\s*[\r\n]+\\s*", " "));
        }
        if (System.getenv("COMPAT_TIMES") != null) System.out.println("# " + (System.nanoTime() - started) / 1_000_000 + " ms " + name);
        System.out.flush();
    }

    static Throwable cause(Throwable t) {
        while ((t instanceof ExecutionException || t instanceof java.util.concurrent.CompletionException) && t.getCause() != null) t = t.getCause();
        return t;
    }

    static void done() {
        System.out.println("done");
        System.out.flush();
    }

    static void that(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static void same(Object expected, Object actual, String what) {
        if (!Objects.equals(expected, actual)) throw new AssertionError(what + ": expected " + expected + ", got " + actual);
    }

    static void sameBytes(byte[] expected, byte[] actual, String what) {
        if (!Arrays.equals(expected, actual)) throw new AssertionError(what + ": expected " + shown(expected) + ", got " + shown(actual));
    }

    private static String shown(byte[] bytes) {
        if (bytes == null) return "null";
        String hex = HexFormat.of().formatHex(bytes, 0, Math.min(bytes.length, 24));
        return bytes.length + " bytes " + hex + (bytes.length > 24 ? "…" : "");
    }

    /** The exception that the body throws, which must be of this type. */
    static <T extends Throwable> T fails(Class<T> type, Body body) {
        try {
            body.run();
        } catch (Throwable t) {
            Throwable cause = cause(t);
            if (type.isInstance(cause)) return type.cast(cause);
            throw new AssertionError("expected " + type.getSimpleName() + ", got " + cause, cause);
        }
        throw new AssertionError("expected " + type.getSimpleName() + ", but it succeeded");
    }

    static void until(String what, long msMax, Condition condition) throws Exception {
        long end = System.currentTimeMillis() + msMax;
        while (!condition.holds()) {
            if (System.currentTimeMillis() > end) throw new AssertionError(what + ": not within " + msMax + " ms");
            Thread.sleep(20);
        }
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    private Checks() {}
}
