// One node of the cluster, to be killed, paused and cut off. Says "ready" when clients can connect; SIGTERM closes it.
import { createProcessLogger, startBroker } from "blumfeld";

const { propertiesFile } = JSON.parse(process.argv[2]!) as { propertiesFile: string };

const node = await startBroker({
  propertiesFile,
  logger: await createProcessLogger({ level: "info", isTerminal: false }),
});
process.on("SIGTERM", () => {
  void node.close().then(() => process.exit(0));
});
process.stdout.write("ready\n");
