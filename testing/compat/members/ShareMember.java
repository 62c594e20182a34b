import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a share group: prints what it got, accepts each record, and prints what the broker says became of that. */
final class ShareMember implements org.apache.kafka.clients.consumer.AcknowledgementCommitCallback {
    private final Map<String, String> options;
    private final KafkaShareConsumer<byte[], byte[]> consumer;
    private volatile boolean leaving;

    ShareMember(Map<String, String> options) {
        this.options = options;
        Properties p = new Properties();
        p.put("bootstrap.servers", options.get("bootstrap"));
        p.put("share.acknowledgement.mode", "explicit");
        p.put("fetch.max.wait.ms", "100");
        p.put("max.poll.records", "40");
        options.forEach((name, value) -> {
            if (name.contains(".")) p.put(name, value);
        });
        consumer = new KafkaShareConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        consumer.setAcknowledgementCommitCallback(this);
    }

    void run() throws Exception {
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            leaving = true;
            consumer.wakeup();
            try {
                main.join(8000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        int workMs = Integer.parseInt(options.getOrDefault("work", "0"));
        consumer.subscribe(List.of(options.get("topic")));
        Event.say("started", "pid", ProcessHandle.current().pid());
        try {
            while (!leaving) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
                if (records.isEmpty()) continue;
                for (var tp : records.partitions()) {
                    List<Long> offsets = new ArrayList<>();
                    for (ConsumerRecord<byte[], byte[]> record : records.records(tp)) offsets.add(record.offset());
                    Event.say("records", "partition", tp.partition(), "offsets", offsets);
                }
                // So that a pause or a kill meets records that are delivered and not yet acknowledged.
                Thread.sleep(workMs);
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    try {
                        consumer.acknowledge(record, AcknowledgeType.ACCEPT);
                    } catch (IllegalStateException e) {
                        Event.say("unacknowledged", "why", Event.why(e));
                    }
                }
                Map<TopicIdPartition, Optional<KafkaException>> results = consumer.commitSync();
                results.forEach((tp, failure) -> failure.ifPresent(e -> Event.say("refused", "partition", tp.partition(), "why", Event.why(e))));
            }
        } catch (WakeupException e) {
            // It leaves.
        } finally {
            consumer.close();
            Event.say("left");
        }
    }

    @Override
    public void onComplete(Map<TopicIdPartition, Set<Long>> offsets, Exception failure) {
        offsets.forEach((tp, set) -> {
            if (failure == null) Event.say("acknowledged", "partition", tp.partition(), "offsets", set);
            else Event.say("refused", "partition", tp.partition(), "offsets", set, "why", Event.why(failure));
        });
    }
}
