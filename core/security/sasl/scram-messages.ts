// The messages of SCRAM (RFC 5802), read strictly and written. No channel binding: GS2 header "n,", as Kafka's clients and brokers have it.

export interface ClientFirst {
  /** "n,,", or "n,a=…,": what the last message must repeat. */
  readonly gs2Header: string;
  /** Null where none is given. */
  readonly authorizationId: string | null;
  readonly user: string;
  readonly nonce: string;
  readonly extensions: ReadonlyMap<string, string>;
  /** What the proof covers. */
  readonly bare: string;
}

export interface ServerFirst {
  readonly nonce: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

export interface ClientFinal {
  readonly channelBinding: Buffer;
  readonly nonce: string;
  readonly proof: Buffer;
  readonly withoutProof: string;
}

/** A SASL name: no NUL, no bare comma or equals sign; "=2C" and "=3D" stand for those. */
const namePattern = "(?:[^,=\\0]|=2C|=3D)+";
const base64Pattern = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?";
/** Printable ASCII but the comma. */
const printablePattern = "[\\x21-\\x2b\\x2d-\\x7e]+";
const extensionsPattern = "(?:,[A-Za-z]+=[^,\\0]+)*";

const clientFirstExpression = new RegExp(
  `^(n,(?:a=(${namePattern}))?,)(n=(${namePattern}),r=(${printablePattern})(${extensionsPattern}))$`,
);
const serverFirstExpression = new RegExp(
  `^r=(${printablePattern}),s=(${base64Pattern}),i=([1-9][0-9]{0,9})${extensionsPattern}$`,
);
const clientFinalExpression = new RegExp(
  `^(c=(${base64Pattern}),r=(${printablePattern})${extensionsPattern}),p=(${base64Pattern})$`,
);
const serverFinalExpression = new RegExp(`^(?:e=([^,\\0]+)|v=(${base64Pattern}))${extensionsPattern}$`);

/** Null where the text is no such message. */
export function readClientFirst(text: string): ClientFirst | null {
  const found = clientFirstExpression.exec(text);
  if (found === null) return null;
  const [, gs2Header, authorizationId, bare, user, nonce, extensions] = found;
  return {
    gs2Header: gs2Header!,
    authorizationId: authorizationId === undefined ? null : nameOf(authorizationId),
    user: nameOf(user!),
    nonce: nonce!,
    extensions: new Map(
      extensions!
        .split(",")
        .filter((one) => one !== "")
        .map((one): [string, string] => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)]),
    ),
    bare: bare!,
  };
}

export function readServerFirst(text: string): ServerFirst | null {
  const found = serverFirstExpression.exec(text);
  if (found === null) return null;
  const [, nonce, salt, iterations] = found;
  return { nonce: nonce!, salt: Buffer.from(salt!, "base64"), iterations: Number(iterations) };
}

export function readClientFinal(text: string): ClientFinal | null {
  const found = clientFinalExpression.exec(text);
  if (found === null) return null;
  const [, withoutProof, channelBinding, nonce, proof] = found;
  return {
    channelBinding: Buffer.from(channelBinding!, "base64"),
    nonce: nonce!,
    proof: Buffer.from(proof!, "base64"),
    withoutProof: withoutProof!,
  };
}

/** The server's signature, or its error; null where the text is no such message. */
export function readServerFinal(text: string): { readonly signature: Buffer } | { readonly error: string } | null {
  const found = serverFinalExpression.exec(text);
  if (found === null) return null;
  const [, error, signature] = found;
  return error === undefined ? { signature: Buffer.from(signature!, "base64") } : { error };
}

/** As a SASL name. */
export function scramName(name: string): string {
  return name.replaceAll("=", "=3D").replaceAll(",", "=2C");
}

function nameOf(written: string): string {
  return written.replaceAll("=2C", ",").replaceAll("=3D", "=");
}
