"""The bucket half of the JSON API: make, list, look at, change and remove buckets; access policies are taken and never enforced."""

from __future__ import annotations

from typing import Any

from vision_emulator.storage.embedded import EmbeddedBucket, EmbeddedStorage, select
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.listing import next_token, query_of
from vision_emulator.surfaces.gcs.request import Reply, Request, json_reply
from vision_emulator.surfaces.gcs.resources import bucket_layout, bucket_resource, bucket_settings


class Buckets:
    """Answers what comes below ``/b`` and is not about objects."""

    def __init__(self, storage: EmbeddedStorage) -> None:
        self._storage = storage

    async def reply(self, request: Request, segments: list[str]) -> Reply:
        """Answers one call; ``segments`` are the decoded pieces of the path behind ``/b``."""
        match request.method, segments:
            case "GET", []:
                return self._list(request)
            case "POST", []:
                return self._insert(request)
            case "GET" | "HEAD", [name]:
                return _described(request, await self._storage.bucket(name))
            case "PATCH" | "PUT", [name]:
                return await self._change(request, name)
            case "DELETE", [name]:
                self._storage.delete(name)
                return Reply(204, {})
            case "GET", [name, "storageLayout"]:
                return json_reply(bucket_layout((await self._storage.bucket(name)).info))
            case "GET", [name, "managedFolders"]:
                await self._storage.bucket(name)
                return json_reply({"kind": "storage#managedFolders"})
            case _, [name, "iam", *rest]:
                await self._storage.bucket(name)
                return policy_reply(request, rest)
            case _, [name, "acl" | "defaultObjectAcl", *_]:
                await self._storage.bucket(name)
                return acl_reply(request)
            case _:
                raise errors.not_found(f"{request.method} {request.path}")

    def _list(self, request: Request) -> Reply:
        names, _, following = select(self._storage.names(), query_of(request))
        found = [bucket for bucket in map(self._storage.find, names) if bucket]
        items = [bucket_resource(request.base_url, bucket.info) for bucket in found]
        return json_reply({"kind": "storage#buckets"} | ({"items": items} if items else {}) | next_token(following))

    def _insert(self, request: Request) -> Reply:
        said = request.resource()
        name = said.get("name")
        if not isinstance(name, str) or not name:
            raise errors.required("name")
        return _described(request, self._storage.create(name, bucket_settings({}, said)))

    async def _change(self, request: Request, name: str) -> Reply:
        bucket = await self._storage.bucket(name)
        wanted = request.conditions()
        if wanted.metageneration_match not in (None, bucket.info.metageneration):
            raise errors.condition_not_met()
        bucket.configure(bucket_settings(bucket.info.settings if request.method == "PATCH" else {}, request.resource()))
        return _described(request, bucket)


def _described(request: Request, bucket: EmbeddedBucket) -> Reply:
    return json_reply(bucket_resource(request.base_url, bucket.info))


def policy_reply(request: Request, rest: list[str]) -> Reply:
    """An access policy: an empty one to look at, the client's own when it sets one, every permission when it asks for some."""
    if rest == ["testPermissions"]:
        return json_reply({"kind": "storage#testIamPermissionsResponse", "permissions": request.repeated("permissions")})
    policy: dict[str, Any] = {"kind": "storage#policy", "version": 1, "etag": "CAE=", "bindings": []}
    return json_reply(policy | (request.resource() if request.method == "PUT" else {}))


def acl_reply(request: Request) -> Reply:
    """An access control list: an empty one to look at, the client's own entry when it adds one."""
    if request.method == "DELETE":
        return Reply(204, {})
    if request.method == "GET":
        return json_reply({"kind": "storage#objectAccessControls"})
    return json_reply(request.resource())
