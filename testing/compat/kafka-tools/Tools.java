import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.apache.kafka.common.utils.Exit;

/** Runs the main method of a Kafka tool inside this JVM: its exit becomes a result, its output a string. */
final class Tools {
    private static final long MS_MAX = 45_000;

    record Output(int code, String out, String err) {
        Output ok() {
            Checks.that(code == 0, "exit code " + code + ": " + tail(err.isBlank() ? out : err));
            return this;
        }

        Output failed(String text) {
            Checks.that(code != 0, "it succeeded: " + tail(out));
            return has(text);
        }

        Output has(String text) {
            Checks.that((out + err).contains(text), "\"" + text + "\" is not in: " + tail(out + err));
            return this;
        }

        Output hasNot(String text) {
            Checks.that(!(out + err).contains(text), "\"" + text + "\" is in: " + tail(out + err));
            return this;
        }

        private static String tail(String text) {
            String plain = text.strip();
            return plain.length() < 700 ? plain : "…" + plain.substring(plain.length() - 700);
        }
    }

    private static final class Ended extends Error {
        final int code;

        Ended(int code) {
            super(null, null, false, false);
            this.code = code;
        }
    }

    static Output run(String mainClass, String... args) throws Exception {
        return runWith("", mainClass, args);
    }

    /** As `run`, with this standard input. */
    static Output runWith(String input, String mainClass, String... args) throws Exception {
        return runUntil(output -> true, input, mainClass, args);
    }

    /** As `runWith`; a tool that prints from threads of its own has the time until its output is enough. */
    static synchronized Output runUntil(Predicate<String> enough, String input, String mainClass, String... args) throws Exception {
        PrintStream out = System.out, err = System.err;
        InputStream in = System.in;
        ByteArrayOutputStream outBytes = new ByteArrayOutputStream(), errBytes = new ByteArrayOutputStream();
        List<Runnable> hooks = new ArrayList<>();
        int[] code = {-1};
        System.setOut(new PrintStream(outBytes, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(errBytes, true, StandardCharsets.UTF_8));
        System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
        Exit.setExitProcedure((status, message) -> {
            if (code[0] < 0) code[0] = status;
            throw new Ended(status);
        });
        Exit.setHaltProcedure((status, message) -> {
            if (code[0] < 0) code[0] = status;
            throw new Ended(status);
        });
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        try {
            Thread thread = new Thread(() -> {
                int end = 0;
                try {
                    Class.forName(mainClass).getMethod("main", String[].class).invoke(null, (Object) args);
                } catch (InvocationTargetException e) {
                    if (!(e.getCause() instanceof Ended)) {
                        end = 1;
                        e.getCause().printStackTrace(System.err);
                    }
                } catch (ReflectiveOperationException e) {
                    end = 1;
                    e.printStackTrace(System.err);
                }
                if (code[0] < 0) code[0] = end;
                for (Runnable hook : hooks) hook.run();
            }, mainClass);
            thread.setDaemon(true);
            thread.start();
            thread.join(MS_MAX);
            long end = System.currentTimeMillis() + 5000;
            while (!enough.test(outBytes.toString(StandardCharsets.UTF_8)) && System.currentTimeMillis() < end) Thread.sleep(20);
            if (thread.isAlive()) {
                code[0] = 124;
                thread.interrupt();
                thread.join(2000);
                errBytes.writeBytes((mainClass + " still ran after " + MS_MAX / 1000 + " s").getBytes(StandardCharsets.UTF_8));
            }
        } finally {
            System.setOut(out);
            System.setErr(err);
            System.setIn(in);
            Exit.resetExitProcedure();
            Exit.resetHaltProcedure();
            Exit.resetShutdownHookAdder();
        }
        return new Output(code[0], outBytes.toString(StandardCharsets.UTF_8), errBytes.toString(StandardCharsets.UTF_8));
    }

    private Tools() {}
}
