import type { AzAction, AzDeed, AzPlace } from "./az-errors.ts";
import type { AzFacts } from "./az-failure.ts";
import type { DriverErrorCode } from "./driver.ts";

/** What a failure means: its class, words for people, and whether the same call may succeed later. */
export type AzMeaning = {
  readonly code: DriverErrorCode;
  readonly what: string;
  readonly hint?: string;
  readonly retryable?: true;
};

type Teller = (facts: AzFacts, deed: AzDeed) => AzMeaning;

/** Azure refuses requests that are a quarter of an hour off. */
const SKEW_MILLISECONDS = 14 * 60_000;

const BUSY: Teller = ({ code }, { place }) => ({
  code: "UNREACHABLE",
  what: `${place.host} is too busy (${code})`,
  hint: "Run the command again later, or less often.",
  retryable: true,
});

const NO_OBJECT: Teller = (_, { action }) =>
  action === "replace"
    ? { code: "CONFLICT", what: "it is gone" }
    : { code: "NOT_FOUND", what: "there is no such blob", hint: 'Run "twindb-backup ls" to see what is there.' };

/** A condition did not hold, or a name was taken; what that means depends on what was asked for. */
const UNMET: Partial<Record<AzAction, AzMeaning>> = {
  store: { code: "ALREADY_EXISTS", what: "a blob of this name is already there" },
  read: { code: "CHANGED", what: "it was replaced meanwhile" },
  replace: { code: "CONFLICT", what: "another writer changed it meanwhile" },
};

const CONDITION: Teller = ({ code }, { action }) =>
  UNMET[action] ?? { code: "FAILED", what: `Azure answers ${code}`, hint: "Run the command again." };

const NO_LOGIN: Teller = ({ saidAt }, { place, now }) => {
  if (saidAt !== undefined && Math.abs(saidAt.getTime() - now.getTime()) > SKEW_MILLISECONDS) {
    const clocks = `the clock of this host says ${now.toISOString()}, that of Azure ${saidAt.toISOString()}`;
    return {
      code: "NOT_PERMITTED",
      what: clocks,
      hint: "Set the clock of this host, and have chrony or another NTP client keep it.",
    };
  }
  return place.login === "key"
    ? {
        code: "NOT_PERMITTED",
        what: `the key of the account "${place.account}" is refused`,
        hint: "Copy the connection string of the storage account again; its keys may have been rotated.",
      }
    : { code: "NOT_PERMITTED", what: "the signature is refused, or has expired", hint: newSignature(place) };
};

const NO_RIGHT: Teller = (_, { action, place }) => ({
  code: "NOT_PERMITTED",
  what: `the signature does not allow to ${action}`,
  hint: newSignature(place),
});

const KEPT_OUT: Teller = ({ code }, { place }) => ({
  code: "NOT_PERMITTED",
  what: `the account "${place.account}" refuses this host or this ${place.login === "key" ? "key" : "signature"} (${code})`,
  hint: `Allow the address of this host under "Networking" of the account, or ${place.login === "key" ? "copy its connection string again" : "make another signature"}.`,
});

const NO_KEYS: Teller = (_, { place }) => ({
  code: "NOT_PERMITTED",
  what: `the account "${place.account}" does not allow account keys`,
  hint: 'Enable "Allow storage account key access" under "Configuration" of the account.',
});

const NO_HTTP: Teller = (_, { place }) => ({
  code: "CONFIG_INVALID",
  what: `the account "${place.account}" takes https only`,
  hint: "Write DefaultEndpointsProtocol=https, or https:// in BlobEndpoint, into connection_string in [az].",
});

const NO_CONTAINER: Teller = (_, { place: { account, container } }) => ({
  code: "CONFIG_INVALID",
  what: `the account "${account}" has no container "${container}"`,
  hint: `Correct container_name in [az], or run: az storage container create --account-name ${account} --name ${container}`,
});

const LEAVING: Teller = (_, { place }) => ({
  code: "FAILED",
  what: `the container "${place.container}" is being deleted`,
  hint: "Wait until it is gone and make it again, or name another one in container_name.",
});

const DISABLED: Teller = (_, { place }) => ({
  code: "NOT_PERMITTED",
  what: `the account "${place.account}" is disabled`,
  hint: "Look at the subscription of the account in the Azure portal; it may have ended.",
});

const BAD_NAME: Teller = (_, { place }) => ({
  code: "CONFIG_INVALID",
  what: `Azure does not take the name, or that of the container "${place.container}"`,
  hint: "Correct container_name in [az]: 3 to 63 lower-case letters, digits and single hyphens.",
});

const ARCHIVED: Teller = (_, { action }) => ({
  code: action === "read" ? "NOT_PERMITTED" : "FAILED",
  what: "it lies in the archive tier",
  hint: "Set its access tier to Hot or Cool, wait until it is there (up to 15 hours), then run the command again.",
});

const RETURNING: Teller = () => ({
  code: "FAILED",
  what: "it is on its way back from the archive tier",
  hint: "Run the command again when its access tier is Hot or Cool; that takes up to 15 hours.",
});

const KEPT: Teller = () => ({
  code: "NOT_PERMITTED",
  what: "an immutability policy or a legal hold protects it",
  hint: "Keep copies at least as long as the policy says, or have the policy changed.",
});

const SNAPSHOTS: Teller = () => ({
  code: "NOT_PERMITTED",
  what: "somebody took snapshots of it, and they would go as well",
  hint: "Delete its snapshots first, if nobody needs them: az storage blob delete --delete-snapshots only",
});

const LEASED: Teller = () => ({
  code: "NOT_PERMITTED",
  what: "another program holds a lease on it",
  hint: "Break the lease, if that program is gone: az storage blob lease break",
});

const OTHER_BLOCKS: Teller = () => ({
  code: "FAILED",
  what: "another program left blocks under this name",
  hint: "Run the command again, for a new name; such blocks vanish after a week.",
});

const LOST_BLOCKS: Teller = () => ({ code: "FAILED", what: "blocks of it got lost", hint: "Run the command again." });

const CHANGED_ON_ITS_WAY: Teller = () => ({
  code: "FAILED",
  what: "bytes changed on their way",
  hint: "Use https, and check the network hardware and the memory of this host.",
  retryable: true,
});

const OTHER_KIND: Teller = (_, { action }) =>
  action === "store"
    ? { code: "ALREADY_EXISTS", what: "a page or append blob of this name is already there" }
    : { code: "FAILED", what: "it is a page or append blob", hint: "Remove it, or use another remote_path." };

const NO_ACCOUNT_KEY: Teller = () => ({
  code: "CONFIG_INVALID",
  what: "connection_string holds a signature, and only an account key can make another one",
  hint: "Use a connection string with AccountKey in [az] for this command.",
});

const UNKNOWN_HOST: Teller = (_, { place }) => ({
  code: "UNREACHABLE",
  what: `there is no host ${place.host}`,
  hint: "Check the spelling of the account in connection_string in [az], then the name servers of this host.",
  retryable: true,
});

/** By the code that Azure or the system gives; https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes */
export const MEANINGS: Readonly<Record<string, Teller>> = {
  AccountBeingCreated: BUSY,
  InternalError: BUSY,
  OperationTimedOut: BUSY,
  ServerBusy: BUSY,
  BlobNotFound: NO_OBJECT,
  ResourceNotFound: NO_OBJECT,
  BlobAlreadyExists: CONDITION,
  ConditionNotMet: CONDITION,
  InvalidRange: CONDITION,
  TargetConditionNotMet: CONDITION,
  UnauthorizedBlobOverwrite: CONDITION,
  AuthenticationFailed: NO_LOGIN,
  InvalidAuthenticationInfo: NO_LOGIN,
  NoAuthenticationInformation: NO_LOGIN,
  AuthorizationPermissionMismatch: NO_RIGHT,
  AuthorizationResourceTypeMismatch: NO_RIGHT,
  AuthorizationServiceMismatch: NO_RIGHT,
  InsufficientAccountPermissions: NO_RIGHT,
  AuthorizationFailure: KEPT_OUT,
  AuthorizationSourceIPMismatch: KEPT_OUT,
  PublicAccessNotPermitted: KEPT_OUT,
  KeyBasedAuthenticationNotPermitted: NO_KEYS,
  AccountRequiresHttps: NO_HTTP,
  AuthorizationProtocolMismatch: NO_HTTP,
  ContainerNotFound: NO_CONTAINER,
  ContainerBeingDeleted: LEAVING,
  ContainerDisabled: LEAVING,
  AccountIsDisabled: DISABLED,
  InvalidResourceName: BAD_NAME,
  InvalidUri: BAD_NAME,
  OutOfRangeInput: BAD_NAME,
  BlobArchived: ARCHIVED,
  BlobBeingRehydrated: RETURNING,
  BlobImmutableDueToPolicy: KEPT,
  BlobImmutableDueToLegalHold: KEPT,
  SnapshotsPresent: SNAPSHOTS,
  LeaseIdMissing: LEASED,
  BlockCountExceedsLimit: OTHER_BLOCKS,
  InvalidBlobOrBlock: OTHER_BLOCKS,
  InvalidBlockList: LOST_BLOCKS,
  Md5Mismatch: CHANGED_ON_ITS_WAY,
  // Azurite's word for it.
  InvalidOperation: CHANGED_ON_ITS_WAY,
  InvalidBlobType: OTHER_KIND,
  NO_ACCOUNT_KEY,
  ENOTFOUND: UNKNOWN_HOST,
};

function newSignature({ container }: AzPlace): string {
  return `Make a new signature (SAS) for the container "${container}" that allows read, add, create, write, delete and list.`;
}
