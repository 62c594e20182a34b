/** ToolsMain check|dump SPECIFICATION */
final class ToolsMain {
    public static void main(String[] args) throws Exception {
        Fixture fixture = new Fixture(args[1]);
        if (args[0].equals("check")) new ToolChecks(fixture).run();
        if (args[0].equals("dump")) new DumpChecks(fixture.dataDir).run();
        Checks.done();
        // Threads of tools that did not end must not keep the JVM.
        Runtime.getRuntime().halt(0);
    }

    private ToolsMain() {}
}
