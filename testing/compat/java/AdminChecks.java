import static java.util.Map.entry;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.quota.*;

/** What an administrator does: topics, configurations, records, log directories, cluster facts. */
final class AdminChecks {
    private final Fixture fixture;
    private final Admin admin;
    private final String topic;

    AdminChecks(Fixture fixture, Admin admin) {
        this.fixture = fixture;
        this.admin = admin;
        topic = "java-admin" + fixture.tag;
    }

    void run() {
        Checks.check("admin describe cluster", this::describeCluster);
        Checks.check("admin create topics", this::createTopics);
        Checks.check("admin create topics refused", this::createTopicsRefused);
        Checks.check("admin create topics validate only", this::createTopicsValidateOnly);
        Checks.check("admin create topic with assignment", this::createTopicWithAssignment);
        Checks.check("admin list and describe topics", this::describeTopics);
        Checks.check("admin describe topic configs", this::describeTopicConfigs);
        Checks.check("admin describe broker configs", this::describeBrokerConfigs);
        Checks.check("admin alter topic configs", this::alterTopicConfigs);
        Checks.check("admin alter topic configs refused", this::alterTopicConfigsRefused);
        Checks.check("admin alter broker configs", this::alterBrokerConfigs);
        Checks.check("admin list config resources", this::listConfigResources);
        Checks.check("admin create partitions", this::createPartitions);
        Checks.check("admin delete records", this::deleteRecords);
        Checks.check("admin list offsets", this::listOffsets);
        Checks.check("admin describe log dirs", this::describeLogDirs);
        Checks.check("admin describe producers", this::describeProducers);
        Checks.check("admin features", this::features);
        Checks.check("admin metadata quorum", this::metadataQuorum);
        Checks.check("admin elect leaders", this::electLeaders);
        Checks.check("admin partition reassignments", this::reassignments);
        Checks.check("admin client quotas", this::clientQuotas);
        Checks.check("admin scram credentials", this::scramCredentials);
        Checks.check("admin delete topics", this::deleteTopics);
    }

    private void describeCluster() throws Exception {
        DescribeClusterResult result = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        Checks.same(1, result.nodes().get().size(), "nodes");
        Checks.same(fixture.bootstrap, result.nodes().get().iterator().next().host() + ":" + result.nodes().get().iterator().next().port(), "address");
        Checks.same(16, java.util.Base64.getUrlDecoder().decode(result.clusterId().get()).length, "cluster id bytes");
        Checks.that(result.controller().get() != null, "a controller");
    }

    private void createTopics() throws Exception {
        NewTopic wanted = new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "3600000", "cleanup.policy", "delete"));
        CreateTopicsResult result = admin.createTopics(List.of(wanted, new NewTopic(topic + "-defaults", Optional.empty(), Optional.empty())));
        result.all().get();
        Checks.same(3, result.numPartitions(topic).get(), "partitions");
        Checks.same(1, result.replicationFactor(topic).get(), "replication factor");
        Checks.same("3600000", result.config(topic).get().get("retention.ms").value(), "retention.ms in the answer");
        Checks.same(1, result.numPartitions(topic + "-defaults").get(), "default partitions");
        Uuid id = result.topicId(topic).get();
        Checks.until("the broker knows the topic", 5000, () -> admin.listTopics().names().get().contains(topic));
        Checks.that(!id.equals(Uuid.ZERO_UUID), "a topic id");
        Checks.same(id, described(topic).topicId(), "topic id");
    }

    private void createTopicsRefused() {
        Checks.fails(TopicExistsException.class, () -> create(new NewTopic(topic, 3, (short) 1)));
        Checks.fails(InvalidTopicException.class, () -> create(new NewTopic("not a name!", 1, (short) 1)));
        Checks.fails(InvalidTopicException.class, () -> create(new NewTopic("x".repeat(250), 1, (short) 1)));
        Checks.fails(InvalidReplicationFactorException.class, () -> create(new NewTopic(topic + "-many", 1, (short) 3)));
        Checks.fails(InvalidPartitionsException.class, () -> create(new NewTopic(topic + "-none", 0, (short) 1)));
        Checks.fails(InvalidConfigurationException.class, () -> create(new NewTopic(topic + "-bad", 1, (short) 1).configs(Map.of("retention.ms", "soon"))));
        Checks.fails(InvalidConfigurationException.class, () -> create(new NewTopic(topic + "-bad", 1, (short) 1).configs(Map.of("no.such.config", "1"))));
        Checks.fails(InvalidReplicaAssignmentException.class, () -> create(new NewTopic(topic + "-where", Map.of(0, List.of(99)))));
        // One refusal does not stop the others of a request.
        CreateTopicsResult mixed = admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1), new NewTopic(topic + "-mixed", 1, (short) 1)));
        Checks.fails(TopicExistsException.class, () -> mixed.values().get(topic).get());
        try {
            mixed.values().get(topic + "-mixed").get();
        } catch (Exception e) {
            throw new AssertionError("the other topic of the request: " + e, e);
        }
    }

    private void create(NewTopic wanted) throws Exception {
        Fixture.create(admin, List.of(wanted));
    }

    private void createTopicsValidateOnly() throws Exception {
        String name = topic + "-validated";
        admin.createTopics(List.of(new NewTopic(name, 2, (short) 1)), new CreateTopicsOptions().validateOnly(true)).all().get();
        Checks.that(!admin.listTopics().names().get().contains(name), "validate only must not create");
    }

    private void createTopicWithAssignment() throws Exception {
        int node = admin.describeCluster().nodes().get().iterator().next().id();
        String name = topic + "-assigned";
        create(new NewTopic(name, Map.of(0, List.of(node), 1, List.of(node))));
        Checks.same(2, described(name).partitions().size(), "partitions");
    }

    private TopicDescription described(String name) throws Exception {
        return admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
    }

    private void describeTopics() throws Exception {
        Collection<TopicListing> listed = admin.listTopics(new ListTopicsOptions().listInternal(true)).listings().get();
        TopicListing listing = listed.stream().filter(l -> l.name().equals(topic)).findFirst().orElseThrow();
        TopicDescription byName = described(topic);
        Checks.same(listing.topicId(), byName.topicId(), "topic id");
        Checks.that(!byName.isInternal(), "not internal");
        for (int p = 0; p < 3; p++) {
            TopicPartitionInfo info = byName.partitions().get(p);
            Checks.same(p, info.partition(), "partition");
            Checks.that(info.leader() != null && info.replicas().size() == 1 && info.isr().equals(info.replicas()), "leader, replicas and in-sync replicas of " + info);
        }
        TopicDescription byId = admin.describeTopics(TopicCollection.ofTopicIds(List.of(byName.topicId()))).allTopicIds().get().get(byName.topicId());
        Checks.same(byName.name(), byId.name(), "name by id");
        Checks.fails(UnknownTopicOrPartitionException.class, () -> described("java-no-such-topic"));
        Checks.fails(UnknownTopicIdException.class, () -> admin.describeTopics(TopicCollection.ofTopicIds(List.of(Uuid.randomUuid()))).allTopicIds().get());
        Checks.same(3, admin.describeTopics(List.of(topic), new DescribeTopicsOptions().partitionSizeLimitPerResponse(1)).allTopicNames().get().get(topic).partitions().size(), "partitions read by pages");
    }

    private Config configOf(ConfigResource resource) throws Exception {
        return admin.describeConfigs(List.of(resource), new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true)).all().get().get(resource);
    }

    private void describeTopicConfigs() throws Exception {
        Config config = configOf(new ConfigResource(ConfigResource.Type.TOPIC, topic));
        ConfigEntry retention = config.get("retention.ms");
        Checks.same("3600000", retention.value(), "retention.ms");
        Checks.same(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, retention.source(), "source of retention.ms");
        Checks.same(ConfigEntry.ConfigType.LONG, retention.type(), "type of retention.ms");
        Checks.that(retention.synonyms().size() >= 2, "synonyms of retention.ms: " + retention.synonyms());
        Checks.that(retention.documentation() != null && !retention.documentation().isEmpty(), "documentation");
        Map<String, String> defaults = Map.of("segment.bytes", "1073741824", "max.message.bytes", "1048588", "compression.type", "producer", "message.timestamp.type", "CreateTime", "index.interval.bytes", "4096", "file.delete.delay.ms", "60000", "unclean.leader.election.enable", "false");
        for (Map.Entry<String, String> e : defaults.entrySet()) {
            Checks.same(e.getValue(), config.get(e.getKey()).value(), e.getKey());
            Checks.that(config.get(e.getKey()).isDefault(), e.getKey() + " is the default, not " + config.get(e.getKey()).source());
        }
        Checks.fails(UnknownTopicOrPartitionException.class, () -> configOf(new ConfigResource(ConfigResource.Type.TOPIC, "java-no-such-topic")));
    }

    private ConfigResource broker() throws Exception {
        return new ConfigResource(ConfigResource.Type.BROKER, admin.describeCluster().nodes().get().iterator().next().idString());
    }

    private void describeBrokerConfigs() throws Exception {
        Config config = configOf(broker());
        Checks.same(broker().name(), config.get("node.id").value(), "node.id");
        Checks.that(config.get("node.id").isReadOnly(), "node.id is read-only");
        Checks.same(ConfigEntry.ConfigSource.STATIC_BROKER_CONFIG, config.get("log.dirs").source(), "source of log.dirs");
        Checks.same("8", config.get("num.io.threads").value(), "num.io.threads");
        Checks.that(!config.get("num.io.threads").isReadOnly(), "num.io.threads can be altered");
        Checks.same("true", config.get("auto.create.topics.enable").value(), "auto.create.topics.enable");
    }

    private void alter(ConfigResource resource, boolean validateOnly, Object... ops) throws Exception {
        List<AlterConfigOp> list = new ArrayList<>();
        for (int i = 0; i < ops.length; i += 3) list.add(new AlterConfigOp(new ConfigEntry((String) ops[i + 1], (String) ops[i + 2]), (AlterConfigOp.OpType) ops[i]));
        admin.incrementalAlterConfigs(Map.of(resource, list), new AlterConfigsOptions().validateOnly(validateOnly)).all().get();
    }

    private void alterTopicConfigs() throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        alter(resource, false, AlterConfigOp.OpType.SET, "max.message.bytes", "2000000", AlterConfigOp.OpType.APPEND, "cleanup.policy", "compact");
        Checks.until("the altered configs", 5000, () -> configOf(resource).get("max.message.bytes").value().equals("2000000"));
        Checks.same(Set.of("delete", "compact"), new HashSet<>(List.of(configOf(resource).get("cleanup.policy").value().split(","))), "cleanup.policy after append");
        Checks.same("3600000", configOf(resource).get("retention.ms").value(), "retention.ms, which was not named");
        alter(resource, false, AlterConfigOp.OpType.DELETE, "max.message.bytes", null, AlterConfigOp.OpType.SUBTRACT, "cleanup.policy", "compact");
        Checks.until("the default", 5000, () -> configOf(resource).get("max.message.bytes").value().equals("1048588"));
        Checks.same("delete", configOf(resource).get("cleanup.policy").value(), "cleanup.policy after subtract");
        alter(resource, true, AlterConfigOp.OpType.SET, "retention.ms", "5");
        Checks.same("3600000", configOf(resource).get("retention.ms").value(), "retention.ms after validate only");
    }

    private void alterTopicConfigsRefused() {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Checks.fails(InvalidConfigurationException.class, () -> alter(resource, false, AlterConfigOp.OpType.SET, "retention.ms", "x"));
        Checks.fails(InvalidConfigurationException.class, () -> alter(resource, false, AlterConfigOp.OpType.SET, "no.such.config", "x"));
        Checks.fails(InvalidConfigurationException.class, () -> alter(resource, false, AlterConfigOp.OpType.APPEND, "retention.ms", "1"));
        Checks.fails(UnknownTopicOrPartitionException.class, () -> alter(new ConfigResource(ConfigResource.Type.TOPIC, "java-no-such-topic"), false, AlterConfigOp.OpType.SET, "retention.ms", "1"));
    }

    private void alterBrokerConfigs() throws Exception {
        ConfigResource all = new ConfigResource(ConfigResource.Type.BROKER, "");
        alter(all, false, AlterConfigOp.OpType.SET, "log.flush.interval.messages", "100000");
        Checks.until("the cluster-wide config", 5000, () -> {
            ConfigEntry entry = configOf(broker()).get("log.flush.interval.messages");
            return entry.value().equals("100000") && entry.source() == ConfigEntry.ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG;
        });
        alter(all, false, AlterConfigOp.OpType.DELETE, "log.flush.interval.messages", null);
        Checks.until("the default", 5000, () -> configOf(broker()).get("log.flush.interval.messages").value().equals("9223372036854775807"));
        Checks.fails(InvalidRequestException.class, () -> alter(broker(), false, AlterConfigOp.OpType.SET, "node.id", "5"));
    }

    private void listConfigResources() throws Exception {
        Collection<ConfigResource> topics = admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC), new ListConfigResourcesOptions()).all().get();
        Checks.that(topics.contains(new ConfigResource(ConfigResource.Type.TOPIC, topic)), "the topic among " + topics);
    }

    private void createPartitions() throws Exception {
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
        Checks.until("five partitions", 5000, () -> described(topic).partitions().size() == 5 && described(topic).partitions().stream().allMatch(p -> p.leader() != null));
        Checks.fails(InvalidPartitionsException.class, () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get());
        Checks.fails(InvalidPartitionsException.class, () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get());
        Checks.fails(UnknownTopicOrPartitionException.class, () -> admin.createPartitions(Map.of("java-no-such-topic", NewPartitions.increaseTo(2))).all().get());
    }

    private void fill(String name, int partition, int count) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            for (int i = 0; i < count; i++) producer.send(new ProducerRecord<>(name, partition, 1_700_000_000_000L + i, null, Checks.bytes("value " + i)));
            producer.flush();
        }
    }

    private long offset(TopicPartition tp, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(tp, spec)).partitionResult(tp).get().offset();
    }

    private void deleteRecords() throws Exception {
        String name = topic + "-records";
        create(new NewTopic(name, 2, (short) 1));
        fill(name, 0, 20);
        fill(name, 1, 10);
        TopicPartition zero = new TopicPartition(name, 0), one = new TopicPartition(name, 1);
        DeleteRecordsResult result = admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(7), one, RecordsToDelete.beforeOffset(-1)));
        Checks.same(7L, result.lowWatermarks().get(zero).get().lowWatermark(), "low watermark");
        Checks.same(10L, result.lowWatermarks().get(one).get().lowWatermark(), "low watermark after all were deleted");
        Checks.same(7L, offset(zero, OffsetSpec.earliest()), "earliest");
        Checks.same(20L, offset(zero, OffsetSpec.latest()), "latest");
        Checks.same(10L, offset(one, OffsetSpec.earliest()), "earliest of the emptied partition");
        Checks.fails(OffsetOutOfRangeException.class, () -> admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(21))).all().get());
        Checks.same(7L, admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(3))).lowWatermarks().get(zero).get().lowWatermark(), "low watermark does not go back");
    }

    private void listOffsets() throws Exception {
        String name = topic + "-offsets";
        create(new NewTopic(name, 1, (short) 1));
        TopicPartition tp = new TopicPartition(name, 0);
        Checks.same(-1L, offset(tp, OffsetSpec.maxTimestamp()), "greatest timestamp of an empty partition");
        try (KafkaProducer<byte[], byte[]> producer = fixture.producer()) {
            long[] stamps = {1000, 3000, 9000, 2000, 5000};
            for (long stamp : stamps) producer.send(new ProducerRecord<>(name, 0, 1_700_000_000_000L + stamp, null, new byte[10])).get();
        }
        ListOffsetsResult.ListOffsetsResultInfo max = admin.listOffsets(Map.of(tp, OffsetSpec.maxTimestamp())).partitionResult(tp).get();
        Checks.same(2L, max.offset(), "offset of the greatest timestamp");
        Checks.same(1_700_000_009_000L, max.timestamp(), "greatest timestamp");
        Checks.same(0L, offset(tp, OffsetSpec.earliest()), "earliest");
        Checks.same(0L, offset(tp, OffsetSpec.earliestLocal()), "earliest local");
        Checks.same(-1L, offset(tp, OffsetSpec.latestTiered()), "latest tiered");
        Checks.same(5L, offset(tp, OffsetSpec.latest()), "latest");
        Checks.same(1L, offset(tp, OffsetSpec.forTimestamp(1_700_000_001_001L)), "by timestamp");
        Checks.same(-1L, offset(tp, OffsetSpec.forTimestamp(1_700_000_009_001L)), "after the last timestamp");
        Checks.fails(UnknownTopicOrPartitionException.class, () -> admin.listOffsets(Map.of(new TopicPartition("java-no-such-topic", 0), OffsetSpec.latest()), new ListOffsetsOptions().timeoutMs(1500)).all().get());
    }

    private void describeLogDirs() throws Exception {
        int node = admin.describeCluster().nodes().get().iterator().next().id();
        Map<String, LogDirDescription> dirs = admin.describeLogDirs(List.of(node)).allDescriptions().get().get(node);
        Checks.same(1, dirs.size(), "directories");
        LogDirDescription dir = dirs.values().iterator().next();
        Checks.that(dir.error() == null, "no error");
        ReplicaInfo replica = dir.replicaInfos().get(new TopicPartition(topic + "-offsets", 0));
        Checks.that(replica != null && replica.size() > 5 * 70 && !replica.isFuture() && replica.offsetLag() == 0, "the replica: " + replica);
        Checks.that(dir.totalBytes().orElse(0) > 0 && dir.usableBytes().orElse(0) > 0, "bytes of the volume");
        if (fixture.dataDir != null) Checks.same(fixture.dataDir, dirs.keySet().iterator().next(), "path");
    }

    private void describeProducers() throws Exception {
        String name = topic + "-producers";
        create(new NewTopic(name, 1, (short) 1));
        TopicPartition tp = new TopicPartition(name, 0);
        fill(name, 0, 3);
        List<ProducerState> active = admin.describeProducers(List.of(tp)).partitionResult(tp).get().activeProducers();
        Checks.same(1, active.size(), "active producers");
        Checks.same(2, active.get(0).lastSequence(), "last sequence");
        Checks.same(0, active.get(0).producerEpoch(), "epoch");
    }

    private void features() throws Exception {
        FeatureMetadata features = admin.describeFeatures().featureMetadata().get();
        FinalizedVersionRange version = features.finalizedFeatures().get("metadata.version");
        Checks.that(version != null && version.maxVersionLevel() >= 7, "finalized metadata.version: " + version);
        SupportedVersionRange supported = features.supportedFeatures().get("metadata.version");
        Checks.that(supported != null && supported.maxVersion() >= version.maxVersionLevel(), "supported metadata.version: " + supported);
    }

    private void metadataQuorum() throws Exception {
        QuorumInfo quorum = admin.describeMetadataQuorum().quorumInfo().get();
        Checks.same(1, quorum.voters().size(), "voters");
        Checks.same(quorum.leaderId(), quorum.voters().get(0).replicaId(), "the leader");
        Checks.that(quorum.highWatermark() > 0 && quorum.leaderEpoch() > 0, "high watermark and epoch: " + quorum);
    }

    private void electLeaders() throws Exception {
        TopicPartition tp = new TopicPartition(topic, 0);
        Map<TopicPartition, Optional<Throwable>> result = admin.electLeaders(ElectionType.PREFERRED, Set.of(tp)).partitions().get();
        Checks.that(result.get(tp).isPresent() && result.get(tp).get() instanceof ElectionNotNeededException, "election not needed: " + result);
    }

    private void reassignments() throws Exception {
        Checks.same(Map.of(), admin.listPartitionReassignments().reassignments().get(), "reassignments under way");
        TopicPartition tp = new TopicPartition(topic, 0);
        Checks.fails(NoReassignmentInProgressException.class, () -> admin.alterPartitionReassignments(Map.of(tp, Optional.empty())).all().get());
        Checks.fails(InvalidReplicaAssignmentException.class, () -> admin.alterPartitionReassignments(Map.of(tp, Optional.of(new NewPartitionReassignment(List.of(99))))).all().get());
    }

    private void clientQuotas() throws Exception {
        ClientQuotaEntity entity = new ClientQuotaEntity(Map.ofEntries(entry(ClientQuotaEntity.CLIENT_ID, "java-quota" + fixture.tag)));
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1e9))))).all().get();
        ClientQuotaFilter filter = ClientQuotaFilter.containsOnly(List.of(ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.CLIENT_ID, "java-quota" + fixture.tag)));
        Checks.until("the quota", 5000, () -> admin.describeClientQuotas(filter).entities().get().equals(Map.of(entity, Map.of("producer_byte_rate", 1e9))));
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op("producer_byte_rate", null))))).all().get();
        Checks.until("no quota", 5000, () -> admin.describeClientQuotas(filter).entities().get().isEmpty());
    }

    private void scramCredentials() throws Exception {
        String user = "java-user" + fixture.tag;
        admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(user, new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "secret"))).all().get();
        Checks.until("the credential", 5000, () -> {
            List<ScramCredentialInfo> infos = admin.describeUserScramCredentials(List.of(user)).all().get().get(user).credentialInfos();
            return infos.size() == 1 && infos.get(0).iterations() == 4096 && infos.get(0).mechanism() == ScramMechanism.SCRAM_SHA_256;
        });
        admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256))).all().get();
        Checks.until("no credential", 5000, () -> !admin.describeUserScramCredentials().all().get().containsKey(user));
    }

    private void deleteTopics() throws Exception {
        Uuid id = described(topic + "-defaults").topicId();
        admin.deleteTopics(List.of(topic + "-assigned")).all().get();
        admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
        Checks.until("both are gone", 5000, () -> {
            Set<String> names = admin.listTopics().names().get();
            return !names.contains(topic + "-assigned") && !names.contains(topic + "-defaults") && names.contains(topic);
        });
        Checks.fails(UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of("java-no-such-topic")).all().get());
        Checks.fails(UnknownTopicIdException.class, () -> admin.deleteTopics(TopicCollection.ofTopicIds(List.of(Uuid.randomUuid()))).all().get());
        // A topic of the same name is another topic.
        create(new NewTopic(topic + "-defaults", 1, (short) 1));
        Checks.that(!described(topic + "-defaults").topicId().equals(id), "a new topic id");
        Checks.same(0L, offset(new TopicPartition(topic + "-defaults", 0), OffsetSpec.latest()), "the new topic is empty");
    }
}
