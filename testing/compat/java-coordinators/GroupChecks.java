import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.UnreleasedInstanceIdException;

/** What members of a consumer group and administrators of groups do, by one of the two group protocols. */
final class GroupChecks {
    private static final int PARTITIONS = 4;
    private static final int RECORDS = 400;
    private final Fixture fixture;
    private final Admin admin;
    private final String protocol;
    private final String topic;

    GroupChecks(Fixture fixture, Admin admin, String protocol) {
        this.fixture = fixture;
        this.admin = admin;
        this.protocol = protocol;
        topic = "java-group-" + protocol + fixture.tag;
    }

    void run() {
        Checks.check(protocol + " group, prepare", this::prepare);
        Checks.check(protocol + " group, one member reads all, commits and returns", this::commitAndReturn);
        Checks.check(protocol + " group, two members share, one leaves", this::twoMembers);
        Checks.check(protocol + " group, a pattern subscription", this::pattern);
        Checks.check(protocol + " group, static member", this::staticMember);
        Checks.check(protocol + " group, auto commit on close", this::autoCommit);
        Checks.check(protocol + " group, offsets with metadata and leader epoch", this::offsetMetadata);
        Checks.check(protocol + " group, listed and described", this::described);
        Checks.check(protocol + " group, offsets altered and deleted by the admin client", this::adminOffsets);
        Checks.check(protocol + " group, deleted", this::deleted);
        if (protocol.equals("classic")) Checks.check("classic group, cooperative members", this::cooperative);
    }

    private String group(String suffix) {
        return "java-" + protocol + "-" + suffix + fixture.tag;
    }

    private KafkaConsumer<byte[], byte[]> member(String group, Object... pairs) {
        List<Object> all = new ArrayList<>(List.of("group.id", group, "group.protocol", protocol, "max.poll.interval.ms", 20_000));
        if (protocol.equals("classic")) all.addAll(List.of("session.timeout.ms", 10_000, "heartbeat.interval.ms", 500));
        all.addAll(List.of(pairs));
        return fixture.consumer(all.toArray());
    }

    private void prepare() throws Exception {
        Fixture.create(admin, List.of(new NewTopic(topic, PARTITIONS, (short) 1)));
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            for (int i = 0; i < RECORDS; i++) producer.send(new ProducerRecord<>(topic, i % PARTITIONS, null, Checks.bytes("" + i)));
        }
    }

    /** Polls until so many records were read in all. */
    private static Set<String> read(int count, List<KafkaConsumer<byte[], byte[]>> members) {
        Set<String> seen = new HashSet<>();
        long deadline = System.currentTimeMillis() + 20_000;
        while (seen.size() < count) {
            if (System.currentTimeMillis() > deadline) throw new AssertionError("only " + seen.size() + " of " + count + " records within 20 s");
            for (KafkaConsumer<byte[], byte[]> member : members) {
                for (ConsumerRecord<byte[], byte[]> record : member.poll(Duration.ofMillis(50))) seen.add(Checks.text(record.value()));
            }
        }
        return seen;
    }

    private void commitAndReturn() throws Exception {
        String group = group("returns");
        for (int round = 0; round < 2; round++) {
            try (KafkaConsumer<byte[], byte[]> member = member(group)) {
                member.subscribe(List.of(topic));
                if (round == 0) {
                    Checks.same(RECORDS, read(RECORDS, List.of(member)).size(), "records");
                    member.commitSync();
                } else {
                    Checks.until("the assignment", 15_000, () -> {
                        Checks.that(member.poll(Duration.ofMillis(100)).isEmpty(), "nothing behind the committed offsets");
                        return member.assignment().size() == PARTITIONS;
                    });
                    Map<TopicPartition, OffsetAndMetadata> committed = member.committed(member.assignment());
                    for (TopicPartition tp : member.assignment()) Checks.same((long) RECORDS / PARTITIONS, committed.get(tp).offset(), "committed offset of " + tp);
                }
            }
        }
    }

    private void twoMembers() throws Exception {
        String group = group("two");
        try (KafkaConsumer<byte[], byte[]> first = member(group)) {
            KafkaConsumer<byte[], byte[]> second = member(group);
            List<KafkaConsumer<byte[], byte[]>> both = List.of(first, second);
            try {
                for (KafkaConsumer<byte[], byte[]> member : both) member.subscribe(List.of(topic));
                Checks.until("two partitions each", 25_000, () -> {
                    for (KafkaConsumer<byte[], byte[]> member : both) member.poll(Duration.ofMillis(50));
                    return first.assignment().size() == 2 && second.assignment().size() == 2;
                });
                Set<TopicPartition> all = new HashSet<>(first.assignment());
                all.addAll(second.assignment());
                Checks.same(PARTITIONS, all.size(), "partitions of both");
            } finally {
                second.close();
            }
            Checks.until("all partitions for the one that stays", 25_000, () -> {
                first.poll(Duration.ofMillis(50));
                return first.assignment().size() == PARTITIONS;
            });
        }
    }

    private void cooperative() throws Exception {
        String group = group("cooperative");
        String assignor = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        try (KafkaConsumer<byte[], byte[]> first = member(group, "partition.assignment.strategy", assignor);
            KafkaConsumer<byte[], byte[]> second = member(group, "partition.assignment.strategy", assignor)) {
            first.subscribe(List.of(topic));
            Checks.until("all partitions", 15_000, () -> {
                first.poll(Duration.ofMillis(50));
                return first.assignment().size() == PARTITIONS;
            });
            second.subscribe(List.of(topic));
            Checks.until("two partitions each", 25_000, () -> {
                first.poll(Duration.ofMillis(50));
                second.poll(Duration.ofMillis(50));
                return first.assignment().size() == 2 && second.assignment().size() == 2;
            });
        }
    }

    private void pattern() throws Exception {
        try (KafkaConsumer<byte[], byte[]> member = member(group("pattern"))) {
            member.subscribe(Pattern.compile(Pattern.quote(topic)));
            Checks.same(RECORDS, read(RECORDS, List.of(member)).size(), "records");
        }
    }

    private void staticMember() throws Exception {
        String group = group("static");
        KafkaConsumer<byte[], byte[]> first = member(group, "group.instance.id", "one");
        try {
            first.subscribe(List.of(topic));
            Checks.same(RECORDS, read(RECORDS, List.of(first)).size(), "records");
            first.commitSync();
            try (KafkaConsumer<byte[], byte[]> other = member(group, "group.instance.id", "one")) {
                other.subscribe(List.of(topic));
                if (protocol.equals("classic")) {
                    // The newcomer takes the instance's place, the one before it is fenced.
                    Checks.until("the newcomer has the partitions", 15_000, () -> {
                        other.poll(Duration.ofMillis(50));
                        return other.assignment().size() == PARTITIONS;
                    });
                    Checks.fails(FencedInstanceIdException.class, () -> {
                        for (int i = 0; i < 100; i++) first.poll(Duration.ofMillis(50));
                    });
                } else {
                    // The instance is not released while its member lives.
                    Checks.fails(UnreleasedInstanceIdException.class, () -> {
                        for (int i = 0; i < 100; i++) other.poll(Duration.ofMillis(50));
                    });
                }
            }
        } finally {
            first.close();
        }
    }

    private void autoCommit() throws Exception {
        String group = group("auto");
        try (KafkaConsumer<byte[], byte[]> member = member(group, "enable.auto.commit", "true")) {
            member.subscribe(List.of(topic));
            read(RECORDS, List.of(member));
        }
        Map<TopicPartition, OffsetAndMetadata> offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        Checks.same(PARTITIONS, offsets.size(), "partitions with an offset");
        for (OffsetAndMetadata offset : offsets.values()) Checks.same((long) RECORDS / PARTITIONS, offset.offset(), "offset");
    }

    private void offsetMetadata() throws Exception {
        String group = group("metadata");
        TopicPartition tp = new TopicPartition(topic, 1);
        OffsetAndMetadata wanted = new OffsetAndMetadata(7, Optional.of(0), "seven é");
        try (KafkaConsumer<byte[], byte[]> member = member(group)) {
            member.assign(List.of(tp));
            member.commitSync(Map.of(tp, wanted));
            Checks.same(wanted, member.committed(Set.of(tp)).get(tp), "what was committed");
            Checks.same(7L, member.position(tp), "position");
        }
    }

    private void described() throws Exception {
        String group = group("described");
        try (KafkaConsumer<byte[], byte[]> member = member(group, "client.id", "described-client")) {
            member.subscribe(List.of(topic));
            read(RECORDS, List.of(member));
            member.commitSync();
            ConsumerGroupDescription d = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            Checks.same(GroupState.STABLE, d.groupState(), "state");
            Checks.same(1, d.members().size(), "members");
            Checks.same("described-client", d.members().iterator().next().clientId(), "client id");
            Checks.same(PARTITIONS, d.members().iterator().next().assignment().topicPartitions().size(), "assigned partitions");
            Checks.same(protocol, d.type().toString().toLowerCase(), "type");
            Checks.fails(GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get());
        }
        Map<String, GroupListing> listed = new HashMap<>();
        for (GroupListing listing : admin.listGroups().all().get()) listed.put(listing.groupId(), listing);
        Checks.that(listed.containsKey(group), "the group is listed");
        Checks.until("the group is empty", 5000, () -> admin.describeConsumerGroups(List.of(group)).all().get().get(group).groupState() == GroupState.EMPTY);
    }

    private void adminOffsets() throws Exception {
        String group = group("described");
        TopicPartition zero = new TopicPartition(topic, 0);
        admin.alterConsumerGroupOffsets(group, Map.of(zero, new OffsetAndMetadata(11))).all().get();
        Checks.same(11L, admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(zero).offset(), "altered offset");
        admin.deleteConsumerGroupOffsets(group, Set.of(zero)).all().get();
        Checks.that(!admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().containsKey(zero), "the offset is gone");
    }

    private void deleted() throws Exception {
        String group = group("described");
        admin.deleteConsumerGroups(List.of(group)).all().get();
        Checks.fails(GroupIdNotFoundException.class, () -> admin.describeConsumerGroups(List.of(group)).all().get());
        Checks.fails(GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get());
    }
}
