// A broker in memory in a process of its own, whose memory and life are judged from outside. Prints its port; ends on SIGTERM.
import { startBroker } from "blumfeld";

const broker = await startBroker({ storage: "memory", port: 0 });
process.once("SIGTERM", () => {
  broker.close().then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
process.stdout.write(`${broker.port}\n`);
