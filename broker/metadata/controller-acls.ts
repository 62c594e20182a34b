// CreateAcls and DeleteAcls at the active controller: who may alter the cluster may alter who may do what.
import { createAcls, deleteAcls } from "@blumfeld/core/controller";
import { type ApiKey, ErrorCode } from "@blumfeld/core/protocol";
import { AclOperation } from "../security-seam.ts";
import { type ControllerHandler, requireOnCluster } from "./controller-requests.ts";

const disabled = { errorCode: ErrorCode.SECURITY_DISABLED, errorMessage: "No Authorizer is configured." };

export const onCreateAcls: ControllerHandler<typeof ApiKey.CreateAcls> = async (request, origin, parts) => {
  requireOnCluster(parts, origin, AclOperation.Alter);
  if (!parts.authorizer.isConfigured) return { throttleTimeMs: 0, results: request.creations.map(() => disabled) };
  return parts.controller.execute((context) => createAcls(context, request));
};

export const onDeleteAcls: ControllerHandler<typeof ApiKey.DeleteAcls> = async (request, origin, parts) => {
  requireOnCluster(parts, origin, AclOperation.Alter);
  if (!parts.authorizer.isConfigured)
    return { throttleTimeMs: 0, filterResults: request.filters.map(() => ({ ...disabled, matchingAcls: [] })) };
  return parts.controller.execute((context) => deleteAcls(context, request));
};
