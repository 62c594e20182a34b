import org.apache.kafka.clients.admin.Admin;

/** CoordinatorsMain groups|transactions|share-groups check SPECIFICATION */
final class CoordinatorsMain {
    public static void main(String[] args) throws Exception {
        Fixture fixture = new Fixture(args[2]);
        try (Admin admin = fixture.admin()) {
            switch (args[0]) {
                case "groups" -> {
                    new GroupChecks(fixture, admin, "classic").run();
                    new GroupChecks(fixture, admin, "consumer").run();
                }
                case "transactions" -> new TransactionChecks(fixture, admin).run();
                case "share-groups" -> new ShareGroupChecks(fixture, admin).run();
                default -> throw new IllegalArgumentException(args[0]);
            }
        }
        Checks.done();
    }

    private CoordinatorsMain() {}
}
