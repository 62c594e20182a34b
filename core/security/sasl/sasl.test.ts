// The mechanisms against RFC 7677's exchange, against each other, and against what nobody should get through with.
import { pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../base/index.ts";
import { parseJaas, plainUsersOf } from "./jaas.ts";
import { PlainServer, plainToken } from "./plain.ts";
import type { SaslStep } from "./sasl-server.ts";
import {
  ScramClient,
  type ScramMechanism,
  ScramServer,
  type StretchPassword,
  scramKeysOf,
  scramNonce,
} from "./scram.ts";

const stretchWith = promisify(pbkdf2);
const stretch: StretchPassword = (digest, password, salt, iterations, bytes) =>
  stretchWith(password, salt, iterations, bytes, digest);
const random = seededRandom(7);
const decoySecret = Buffer.from("decoys");

async function serverFor(mechanism: ScramMechanism, users: Readonly<Record<string, string>>): Promise<ScramServer> {
  const digest = mechanism === "SCRAM-SHA-256" ? "sha256" : "sha512";
  const keys = new Map<string, ReturnType<typeof scramKeysOf>>();
  for (const [user, password] of Object.entries(users)) {
    const salt = random.bytes(16);
    const salted = await stretch(digest, password.normalize("NFKC"), salt, 4096, digest === "sha256" ? 32 : 64);
    keys.set(user, scramKeysOf(mechanism, salted, salt, 4096));
  }
  return new ScramServer({ mechanism, keysOf: (user) => keys.get(user), nonce: scramNonce(random), decoySecret });
}

const bytesOf = (step: SaslStep): Buffer => {
  if (step.kind === "refused") throw new Error(step.reason);
  return step.bytes;
};

describe("SCRAM", () => {
  test("the exchange of RFC 7677", async () => {
    const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
    const keys = scramKeysOf("SCRAM-SHA-256", await stretch("sha256", "pencil", salt, 4096, 32), salt, 4096);
    const nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const server = new ScramServer({ mechanism: "SCRAM-SHA-256", keysOf: () => keys, nonce, decoySecret });
    const client = new ScramClient({
      ...{ mechanism: "SCRAM-SHA-256", user: "user", password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO", stretch },
    });
    expect(client.first().toString()).toBe("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    const challenge = bytesOf(server.step(client.first()));
    expect(challenge.toString()).toBe(`r=rOprNGfwEbeRWgbNEkqO${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`);
    const final = await client.final(challenge);
    expect(final.toString()).toBe(
      `c=biws,r=rOprNGfwEbeRWgbNEkqO${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`,
    );
    const last = server.step(final);
    expect(bytesOf(last).toString()).toBe("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    client.check(bytesOf(last));
  });

  test.each(["SCRAM-SHA-256", "SCRAM-SHA-512"] as const)("%s lets in who knows the password", async (mechanism) => {
    for (const user of ["alice", "a=b,c", "naïve Ⅸ"]) {
      const server = await serverFor(mechanism, { [user]: "pass,=Ⅸ" });
      const client = new ScramClient({ mechanism, user, password: "pass,=Ⅸ", nonce: scramNonce(random), stretch });
      const last = server.step(await client.final(bytesOf(server.step(client.first()))));
      expect(last).toMatchObject({ kind: "authenticated", user: { name: user, isByToken: false } });
      client.check(bytesOf(last));
    }
  });

  test("who does not exist is asked for a proof like everybody, by the same salt each time, and refused like a wrong password", async () => {
    const tryAs = async (user: string): Promise<{ challenge: string; reason: string }> => {
      const server = await serverFor("SCRAM-SHA-512", { alice: "right" });
      const password = "wrong";
      const client = new ScramClient({
        mechanism: "SCRAM-SHA-512",
        user,
        password,
        nonce: scramNonce(random),
        stretch,
      });
      const challenge = bytesOf(server.step(client.first()));
      const last = server.step(await client.final(challenge));
      return { challenge: challenge.toString(), reason: last.kind === "refused" ? last.reason : "let in" };
    };
    const known = await tryAs("alice");
    const unknown = await tryAs("mallory");
    const again = await tryAs("mallory");
    expect(unknown.reason).toBe(known.reason);
    expect(unknown.reason).toContain("wrong password");
    const saltOf = (challenge: string) => /s=([^,]+)/.exec(challenge)![1];
    expect(saltOf(again.challenge)).toBe(saltOf(unknown.challenge));
  });

  const exchange = async () => {
    const server = await serverFor("SCRAM-SHA-256", { alice: "secret" });
    const nonce = scramNonce(random);
    const client = new ScramClient({ mechanism: "SCRAM-SHA-256", user: "alice", password: "secret", nonce, stretch });
    const challenge = bytesOf(server.step(client.first()));
    return { server, client, challenge, final: (await client.final(challenge)).toString() };
  };
  test.each([
    ["a nonce that is the client's alone", (final: string, nonce: string) => final.replace(/r=[^,]+/, `r=${nonce}`)],
    ["another nonce", (final: string) => final.replace("r=", "r=x")],
    ["no channel binding", (final: string) => final.replace("c=biws", "c=")],
    ["another channel binding", (final: string) => final.replace("c=biws", "c=eSws")],
    ["no proof", (final: string) => final.replace(/,p=.*/, "")],
    ["an empty proof", (final: string) => final.replace(/p=.*/, "p=")],
    ["a short proof", (final: string) => final.replace(/p=.*/, "p=AAAA")],
    ["a proof of zeros", (final: string) => final.replace(/p=.*/, `p=${Buffer.alloc(32).toString("base64")}`)],
    ["something behind it", (final: string) => `${final},p=AAAA`],
    ["an extension in the middle", (final: string) => final.replace(",p=", ",x=y,p=")],
  ])("the last message with %s is refused", async (_what, spoil) => {
    const { client, final, server } = await exchange();
    const own = /r=([^,]+)$/.exec(client.first().toString())![1]!;
    expect(server.step(Buffer.from(spoil(final, own)))).toMatchObject({ kind: "refused" });
    // And nothing gets in afterwards.
    expect(server.step(Buffer.from(final))).toMatchObject({ kind: "refused" });
  });

  test("a last message is good once: neither again nor to another exchange", async () => {
    const one = await exchange();
    const other = await exchange();
    expect(other.server.step(Buffer.from(one.final))).toMatchObject({ kind: "refused" });
    expect(one.server.step(Buffer.from(one.final))).toMatchObject({ kind: "authenticated" });
    expect(one.server.step(Buffer.from(one.final))).toMatchObject({ kind: "refused" });
  });

  test.each([
    ["empty", ""],
    ["no nonce", "n,,n=alice,r="],
    ["no name", "n,,n=,r=abc"],
    ["a bare comma in the name", "n,,n=ali,ce,r=abc"],
    ["a bare equals sign", "n,,n=a=b,r=abc"],
    ["a NUL", "n,,n=al\0ice,r=abc"],
    ["channel binding asked for", "p=tls-unique,,n=alice,r=abc"],
    ["channel binding offered", "y,,n=alice,r=abc"],
    ["somebody else's authorization id", "n,a=bob,n=alice,r=abc"],
    ["somebody else's, written in hex", "n,a=ali=2Cce,n=alice,r=abc"],
    ["a mandatory extension", "n,,m=x,n=alice,r=abc"],
    ["a name of 1 MiB without the rest", `n,,n=${"a".repeat(1024 * 1024)}`],
  ])("a first message that has %s is refused", async (_what, text) => {
    const server = await serverFor("SCRAM-SHA-256", { alice: "secret" });
    expect(server.step(Buffer.from(text))).toMatchObject({ kind: "refused" });
  });

  test("a client refuses a server that costs too much, repeats its nonce, or does not know the password", async () => {
    const own = scramNonce(random);
    const client = () =>
      new ScramClient({ mechanism: "SCRAM-SHA-256", user: "alice", password: "secret", nonce: own, stretch });
    const challenge = (nonce: string, iterations: string) => Buffer.from(`r=${nonce},s=c2FsdA==,i=${iterations}`);
    await expect(client().final(challenge(`${own}x`, "2147483648"))).rejects.toThrow("2147483648 iterations");
    await expect(client().final(challenge(`${own}x`, "65537"))).rejects.toThrow("65537 iterations");
    await expect(client().final(challenge(`${own}x`, "1"))).rejects.toThrow("1 iterations");
    await expect(client().final(challenge(own, "4096"))).rejects.toThrow("nonce");
    await expect(client().final(challenge("other", "4096"))).rejects.toThrow("nonce");
    await expect(client().final(Buffer.from("v=AAAA"))).rejects.toThrow("malformed");
    const asked = client();
    await asked.final(challenge(`${own}x`, "4096"));
    expect(() => asked.check(Buffer.from(`v=${Buffer.alloc(32).toString("base64")}`))).toThrow("does not know");
    expect(() => asked.check(Buffer.from("v=AAAA"))).toThrow("does not know");
    expect(() => asked.check(Buffer.from("e=other-error"))).toThrow("other-error");
    expect(() => asked.check(Buffer.from("hello"))).toThrow("malformed");
  });
});

describe("PLAIN", () => {
  const server = () => new PlainServer(new Map([["alice", "secret"]]));
  test("lets in by the right password", () => {
    expect(server().step(plainToken("alice", "secret"))).toMatchObject({
      kind: "authenticated",
      user: { name: "alice" },
    });
    expect(server().step(Buffer.from("alice\0alice\0secret"))).toMatchObject({ kind: "authenticated" });
  });
  test.each([
    ["a wrong password", "\0alice\0Secret"],
    ["a longer password", "\0alice\0secret "],
    ["an unknown user", "\0bob\0secret"],
    ["no user", "\0\0secret"],
    ["no password", "\0alice\0"],
    ["an unknown user without a password", "\0bob\0"],
    ["another authorization id", "bob\0alice\0secret"],
    ["one NUL", "alice\0secret"],
    ["three NULs", "\0alice\0secret\0"],
    ["nothing", ""],
    ["a property of every object as a user", "\0constructor\0function"],
  ])("%s is refused", (_what, token) => {
    expect(server().step(Buffer.from(token))).toMatchObject({ kind: "refused" });
  });
  test("what cannot be said in PLAIN is not sent", () => {
    expect(() => plainToken("al\0ice", "x")).toThrow(RangeError);
  });
});

describe("sasl.jaas.config", () => {
  test("is read as Java reads it", () => {
    const text = `  org.apache.kafka.common.security.plain.PlainLoginModule required
      username="admin" password="with \\"quotes\\" and ; in it"
      user_admin=bare user_alice='x;`;
    expect(parseJaas(text)).toHaveProperty("problem");
    const entry = parseJaas(text.replace("'x;", '"x=1";'));
    if ("problem" in entry) throw new Error(entry.problem);
    expect(entry.loginModule).toBe("org.apache.kafka.common.security.plain.PlainLoginModule");
    expect(entry.options.get("password")).toBe('with "quotes" and ; in it');
    expect(plainUsersOf(entry)).toEqual(
      new Map([
        ["admin", "bare"],
        ["alice", "x=1"],
      ]),
    );
  });
  test.each([
    "",
    "Module",
    "Module maybe;",
    "Module required",
    "Module required name;",
    "Module required a=1 b;",
    'M required a="1',
  ])("%j is refused, and nothing of it is repeated but names", (text) => {
    expect(parseJaas(text)).toHaveProperty("problem");
  });
});
