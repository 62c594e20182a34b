import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a consumer group that processes (prints) what it polls and then commits it; SIGTERM makes it leave. */
final class ConsumerMember implements ConsumerRebalanceListener {
    private final Map<String, String> options;
    private final KafkaConsumer<byte[], byte[]> consumer;
    private volatile boolean leaving;

    ConsumerMember(Map<String, String> options) {
        this.options = options;
        consumer = new KafkaConsumer<>(properties(options), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** The client's own settings are the options that have a dot in their names. */
    static Properties properties(Map<String, String> options) {
        Properties p = new Properties();
        p.put("bootstrap.servers", options.get("bootstrap"));
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.put("fetch.max.wait.ms", "100");
        p.put("metadata.max.age.ms", "2000");
        p.put("reconnect.backoff.ms", "50");
        p.put("reconnect.backoff.max.ms", "200");
        options.forEach((name, value) -> {
            if (name.contains(".")) p.put(name, value);
        });
        return p;
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
        consumer.subscribe(List.of(options.get("topic")), this);
        Event.say("started", "pid", ProcessHandle.current().pid());
        try {
            while (!leaving) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
                for (TopicPartition tp : records.partitions()) {
                    List<Long> offsets = new ArrayList<>();
                    for (ConsumerRecord<byte[], byte[]> record : records.records(tp)) offsets.add(record.offset());
                    Event.say("records", "partition", tp.partition(), "offsets", offsets);
                }
                if (!records.isEmpty()) commit();
            }
        } catch (WakeupException e) {
            // It leaves.
        } finally {
            consumer.close();
            Event.say("left");
        }
    }

    private void commit() {
        try {
            consumer.commitSync();
        } catch (CommitFailedException | RebalanceInProgressException e) {
            Event.say("uncommitted", "why", Event.why(e));
        } catch (RetriableException e) {
            Event.say("uncommitted", "why", Event.why(e));
        }
    }

    private static List<Integer> numbers(Collection<TopicPartition> partitions) {
        return partitions.stream().map(TopicPartition::partition).sorted().toList();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        Event.say("assigned", "generation", consumer.groupMetadata().generationId(), "partitions", numbers(consumer.assignment()));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        Event.say("revoked", "partitions", numbers(partitions));
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        Event.say("lost", "partitions", numbers(partitions));
    }
}
