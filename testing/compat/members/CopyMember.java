import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Copies a topic to another in transactions, partition by partition and with the offsets in the transaction. Ends with 3 when it is fenced. */
final class CopyMember {
    static final int FENCED = 3;
    private final Map<String, String> options;
    private volatile boolean leaving;

    CopyMember(Map<String, String> options) {
        this.options = options;
    }

    void run() throws Exception {
        Thread main = Thread.currentThread();
        Thread hook = new Thread(() -> {
            leaving = true;
            try {
                main.join(8000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        Runtime.getRuntime().addShutdownHook(hook);
        Properties consumerProperties = ConsumerMember.properties(options);
        consumerProperties.remove("transactional.id");
        consumerProperties.put("isolation.level", "read_committed");
        Properties producerProperties = new Properties();
        producerProperties.put("bootstrap.servers", options.get("bootstrap"));
        producerProperties.put("transactional.id", options.get("transactional.id"));
        producerProperties.put("transaction.timeout.ms", "15000");
        producerProperties.put("max.block.ms", "20000");
        producerProperties.put("linger.ms", "5");
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(producerProperties, new ByteArraySerializer(), new ByteArraySerializer());
            KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(consumerProperties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            producer.initTransactions();
            Event.say("started", "pid", ProcessHandle.current().pid());
            consumer.subscribe(List.of(options.get("topic")));
            while (!leaving) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
                if (records.isEmpty()) continue;
                try {
                    transform(consumer, producer, records);
                    Event.say("copied", "count", records.count());
                } catch (ProducerFencedException | InvalidProducerEpochException e) {
                    throw e;
                } catch (KafkaException e) {
                    Event.say("aborted", "why", Event.why(e));
                    producer.abortTransaction();
                    rewind(consumer);
                }
            }
            Event.say("left");
        } catch (ProducerFencedException | InvalidProducerEpochException e) {
            Event.say("fenced", "why", Event.why(e));
            Runtime.getRuntime().halt(FENCED);
        } catch (Exception e) {
            Event.say("failed", "why", Event.why(e));
            Runtime.getRuntime().halt(1);
        }
    }

    private void transform(KafkaConsumer<byte[], byte[]> consumer, KafkaProducer<byte[], byte[]> producer, ConsumerRecords<byte[], byte[]> records) {
        producer.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (TopicPartition tp : records.partitions()) {
            List<ConsumerRecord<byte[], byte[]>> some = records.records(tp);
            for (ConsumerRecord<byte[], byte[]> record : some) producer.send(new ProducerRecord<>(options.get("output"), tp.partition(), record.key(), record.value()));
            offsets.put(tp, new OffsetAndMetadata(some.get(some.size() - 1).offset() + 1));
        }
        producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
        producer.commitTransaction();
    }

    /** Back to what is committed, after an abort. */
    private static void rewind(KafkaConsumer<byte[], byte[]> consumer) {
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
        for (TopicPartition tp : consumer.assignment()) {
            OffsetAndMetadata offset = committed.get(tp);
            if (offset == null) consumer.seekToBeginning(List.of(tp));
            else consumer.seek(tp, offset.offset());
        }
    }
}
