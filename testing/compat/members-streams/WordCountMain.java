import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/** WordCountMain wordcount name=value ...: Kafka Streams counts words exactly once, and writes a word's count after each change. */
final class WordCountMain {
    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 1; i < args.length; i++) {
            int equals = args[i].indexOf('=');
            options.put(args[i].substring(0, equals), args[i].substring(equals + 1));
        }
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(options.get("topic"), Consumed.with(Serdes.String(), Serdes.String()))
            .flatMapValues(line -> List.of(line.split(" ")))
            .selectKey((key, word) -> word)
            .groupByKey(Grouped.with("by-word", Serdes.String(), Serdes.String()))
            .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")).withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
            .toStream()
            .mapValues(count -> "" + count)
            .to(options.get("output"), Produced.with(Serdes.String(), Serdes.String()));
        KafkaStreams streams = new KafkaStreams(builder.build(), properties(options));
        streams.setUncaughtExceptionHandler(e -> {
            Event.say("failed", "why", Event.why(e));
            return StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.setStateListener((now, before) -> {
            Event.say("state", "why", before + " to " + now);
            if (now == KafkaStreams.State.RUNNING) Event.say("running");
        });
        CountDownLatch over = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(8));
            over.countDown();
        }));
        streams.start();
        Event.say("started", "pid", ProcessHandle.current().pid());
        over.await();
    }

    private static Properties properties(Map<String, String> options) {
        Properties p = new Properties();
        p.put("bootstrap.servers", options.get("bootstrap"));
        p.put("processing.guarantee", "exactly_once_v2");
        p.put("commit.interval.ms", "100");
        p.put("statestore.cache.max.bytes", "0");
        p.put("num.stream.threads", "1");
        p.put("replication.factor", "1");
        p.put("consumer.auto.offset.reset", "earliest");
        p.put("producer.transaction.timeout.ms", "10000");
        if (!options.get("session").equals("0")) {
            p.put("consumer.session.timeout.ms", options.get("session"));
            p.put("consumer.heartbeat.interval.ms", "500");
        }
        options.forEach((name, value) -> {
            if (name.contains(".") && !name.equals("bootstrap.servers")) p.put(name, value);
        });
        return p;
    }

    private WordCountMain() {}
}
