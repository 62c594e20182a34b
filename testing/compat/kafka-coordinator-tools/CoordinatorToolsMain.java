import java.nio.file.Path;

/** CoordinatorToolsMain groups|transactions EXPECTED check SPECIFICATION */
final class CoordinatorToolsMain {
    public static void main(String[] args) throws Exception {
        Fixture fixture = new Fixture(args[3]);
        Expected expected = new Expected(Path.of(args[1]), fixture);
        if (args[0].equals("groups")) {
            new ConsumerGroupTools(fixture, expected).run();
            new ShareGroupTools(fixture, expected).run();
            new StreamsGroupTools(fixture, expected).run();
        } else {
            new TransactionTools(fixture, expected).run();
        }
        expected.write();
        Checks.done();
        // Threads of tools that did not end must not keep the JVM.
        Runtime.getRuntime().halt(0);
    }

    private CoordinatorToolsMain() {}
}
