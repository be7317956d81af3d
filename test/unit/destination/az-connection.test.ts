import { describe, expect, test } from "vitest";
import { parseConnectionString } from "../../../src/destination/az-connection.ts";
import { Secret } from "../../../src/domain/secret.ts";

const KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";

function parsed(text: string) {
  const { endpoint, account, login } = parseConnectionString(new Secret(text));
  const secret = login.kind === "key" ? login.key : login.signature;
  return { endpoint, account, login: login.kind, secret: secret.reveal() };
}

describe("parseConnectionString()", () => {
  test.each([
    [`DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=${KEY};EndpointSuffix=core.windows.net`, undefined],
    [`AccountName=acme;AccountKey=${KEY}`, undefined],
    [` AccountName = acme ; AccountKey = ${KEY} ; `, undefined],
    [`accountname=acme;ACCOUNTKEY=${KEY};;`, undefined],
    [
      `AccountName=acme;AccountKey=${KEY};EndpointSuffix=core.chinacloudapi.cn`,
      "https://acme.blob.core.chinacloudapi.cn",
    ],
    [`AccountName=acme;AccountKey=${KEY};BlobEndpoint=http://127.0.0.1:10000/acme/`, "http://127.0.0.1:10000/acme"],
    [`DefaultEndpointsProtocol=http;AccountName=acme;AccountKey=${KEY}`, "http://acme.blob.core.windows.net"],
  ])("parseConnectionString() takes %j", (text, endpoint = "https://acme.blob.core.windows.net") => {
    expect(parsed(text)).toEqual({ endpoint, account: "acme", login: "key", secret: KEY });
  });

  test.each([
    "BlobEndpoint=https://acme.blob.core.windows.net/;SharedAccessSignature=sv=2024&sig=a%3D",
    "BlobEndpoint=https://acme.blob.core.windows.net;QueueEndpoint=https://x/;SharedAccessSignature=?sv=2024&sig=a%3D",
  ])("parseConnectionString() takes the signature of %j", (text) => {
    const endpoint = "https://acme.blob.core.windows.net";
    expect(parsed(text)).toEqual({ endpoint, account: undefined, login: "sas", secret: "sv=2024&sig=a%3D" });
  });

  test.each([
    ["", "it is empty"],
    [";;", "it is empty"],
    ["c2VjcmV0LXNlY3JldC1zZWNyZXQ=", "it has no AccountName"],
    ["secret-secret-secret", "a part of it is not NAME=VALUE"],
    [`AccountName=acme;AccountKey=${KEY};secret-secret`, "a part of it is not NAME=VALUE"],
    [`AccountKey=${KEY}`, "it has no AccountName"],
    ["AccountName=acme;AccountKey=", "it has no AccountKey or SharedAccessSignature"],
    ["AccountName=acme", "it has no AccountKey or SharedAccessSignature"],
    ["AccountName=acme;AccountKey=c2VjcmV0LXNlY3Jl dC==", "its AccountKey is not base64, so a part of it is missing"],
    [`AccountName=acme;AccountKey=${KEY.slice(0, -1)}`, "its AccountKey is not base64, so a part of it is missing"],
    [`AccountName=ac me;AccountKey=${KEY}`, "it gives no usable address"],
    [`DefaultEndpointsProtocol=ftp;AccountName=acme;AccountKey=${KEY}`, "it gives no usable address"],
    [`AccountName=acme;AccountKey=${KEY};BlobEndpoint=acme`, "its BlobEndpoint is not an http or https URL"],
    [
      `AccountName=acme;AccountKey=${KEY};BlobEndpoint=https://acme/?sig=secret`,
      "its BlobEndpoint is not an http or https URL",
    ],
  ])("parseConnectionString() refuses %j and does not show it", (text, what) => {
    let error: unknown;
    try {
      parsed(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      code: "CONFIG_INVALID",
      message: `Cannot use connection_string in [az]: ${what}`,
      hint: expect.stringContaining("Connection string"),
    });
    expect(String(error)).not.toContain("secret");
    expect(String(error)).not.toContain("c2VjcmV0");
  });
});
