import java.util.HashMap;
import java.util.Map;

/** MemberMain ROLE name=value ...: one process of a run in which members are killed and paused. It tells what happens to it by Event lines. */
final class MemberMain {
    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 1; i < args.length; i++) {
            int equals = args[i].indexOf('=');
            options.put(args[i].substring(0, equals), args[i].substring(equals + 1));
        }
        switch (args[0]) {
            case "driver" -> new Driver(options.get("bootstrap")).run();
            case "consumer" -> new ConsumerMember(options).run();
            case "share" -> new ShareMember(options).run();
            case "copy" -> new CopyMember(options).run();
            default -> throw new IllegalArgumentException(args[0]);
        }
        // Threads of a client that did not end must not keep the process.
        Runtime.getRuntime().halt(0);
    }

    private MemberMain() {}
}
