import org.apache.kafka.clients.admin.Admin;

/** CoordinatorsMain check SPECIFICATION */
final class CoordinatorsMain {
    public static void main(String[] args) throws Exception {
        Fixture fixture = new Fixture(args[1]);
        try (Admin admin = fixture.admin()) {
            new GroupChecks(fixture, admin, "classic").run();
            new GroupChecks(fixture, admin, "consumer").run();
            new TransactionChecks(fixture, admin).run();
            new ShareGroupChecks(fixture, admin).run();
        }
        Checks.done();
    }

    private CoordinatorsMain() {}
}
