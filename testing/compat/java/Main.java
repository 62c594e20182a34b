import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/** Main check|read SPECIFICATION */
final class Main {
    public static void main(String[] args) throws Exception {
        Fixture fixture = new Fixture(args[1]);
        try (Admin admin = fixture.admin()) {
            if (args[0].equals("check")) {
                Checks.check("create fixture topics", () -> fixture.create(admin));
                for (Fixture.Topic topic : fixture.topics) Checks.check("write " + topic.name(), () -> fixture.write(topic));
            }
            try (KafkaConsumer<byte[], byte[]> consumer = fixture.consumer()) {
                for (Fixture.Topic topic : fixture.topics) Checks.check("read " + topic.name(), () -> fixture.read(topic, consumer));
            }
            if (args[0].equals("check")) {
                new AdminChecks(fixture, admin).run();
                new ProducerChecks(fixture, admin).run();
                new ConsumerChecks(fixture, admin).run();
            }
        }
        Checks.done();
    }

    private Main() {}
}
