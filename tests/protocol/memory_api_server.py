"""An API server in memory: objects, preconditions, finalizers, `/status`, owner references.

Only what the operator relies on, and that as the real one does it: `test_memory_api_server` holds
both to the same assertions. Knows no operator and no fault.
"""

import copy
import json
from datetime import timedelta
from urllib.parse import unquote

MERGE_PATCH = "application/merge-patch+json"
_GROUP = "fhirapps.dev"
_PLURALS = ("fhirappregistrations", "entratenants")


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.body = {"kind": "Status", "code": status, "message": message}


class MemoryApiServer:
    """Objects by path. `watchers` are called with (event type, object) after each change."""

    def __init__(self, clock):
        self._clock = clock
        self.objects = {}
        self.watchers = []
        self._version = 1000
        self._uids = 0

    def copy(self):
        """The same objects, apart from these; objects are never changed in place."""
        other = MemoryApiServer(self._clock)
        other.objects = dict(self.objects)
        other._version, other._uids = self._version, self._uids
        return other

    # ---- requests

    def handle(self, request):
        """Answer `request`; return HTTP status and body."""
        query = dict(request.query)
        try:
            body = self._dispatch(request, query)
        except Refusal as refusal:
            return refusal.status, refusal.body
        # Answers go over a wire: nobody shares an object with us.
        return 201 if request.method == "POST" else 200, json.loads(json.dumps(body))

    def _dispatch(self, request, query):
        path = unquote(request.path)
        body = json.loads(json.dumps(request.body))
        dry = query.get("dryRun") == "All"
        match request.method:
            case "GET":
                return self._get(path)
            case "POST":
                return self._create(path, body, dry=dry)
            case "PATCH" if request.content_type == MERGE_PATCH:
                return self._patch(path, body, dry=dry)
            case "PUT":
                return self._put(path, body)
            case "DELETE":
                return self._delete(path, body or {})
        raise Refusal(415, f"{request.method} {request.content_type} is not spoken here")

    def _get(self, path):
        if path in self.objects:
            return self.objects[path]
        if _is_collection(path):
            return {"kind": "List", "metadata": {}, "items": self.list(path)}
        raise Refusal(404, f"{path} not found")

    def list(self, path):
        """The objects of a collection; one of all namespaces ends in the plural."""
        root, _, plural = path.rpartition("/")
        return [
            body
            for place, body in self.objects.items()
            if place.startswith(f"{path}/")
            or (place.startswith(f"{root}/namespaces/") and place.split("/")[-2] == plural)
        ]

    def _create(self, path, body, *, dry):
        name = body["metadata"]["name"]
        place = f"{path}/{name}"
        if place in self.objects:
            raise Refusal(409, f"{name} already exists")
        namespace = _namespace(path)
        if namespace is not None:
            self._refuse_namespace(namespace)
        self._uids += 1
        metadata = body["metadata"] | {
            "uid": f"00000000-0000-4000-8000-{self._uids:012}",
            "creationTimestamp": self._now(),
        }
        if namespace is not None:
            metadata["namespace"] = namespace
        made = body | {"metadata": metadata}
        if _is_ours(path):
            metadata["generation"] = 1
            made["status"] = {"observedGeneration": -1}
        return self._store(place, made, dry=dry)

    def _refuse_namespace(self, namespace):
        found = self.objects.get(f"/api/v1/namespaces/{namespace}")
        if found is None:
            raise Refusal(404, f"namespace {namespace} not found")
        if "deletionTimestamp" in found["metadata"]:
            refusal = Refusal(403, f"namespace {namespace} is being terminated")
            refusal.body["details"] = {"causes": [{"reason": "NamespaceTerminating"}]}
            raise refusal

    def _patch(self, path, patch, *, dry):
        place, is_status = _status_of(path)
        live = self._found(place)
        _check_version(live, patch)
        if is_status:
            changed = live | {"status": _merged(live.get("status") or {}, patch.get("status"))}
        else:
            allowed = {k: v for k, v in patch.items() if k != "status" or not _is_ours(path)}
            changed = _merged(live, allowed)
            changed["metadata"] |= _immutable(live)
        return self._update(place, live, changed, dry=dry)

    def _put(self, path, body):
        place, is_status = _status_of(path)
        live = self._found(place)
        _check_version(live, body)
        if is_status:
            changed = live | {"status": body.get("status")}
        else:
            changed = body | ({"status": live["status"]} if _is_ours(path) else {})
            changed["metadata"] = changed["metadata"] | _immutable(live)
        return self._update(place, live, changed, dry=False)

    def _update(self, place, live, changed, *, dry):
        before, after = live["metadata"], changed["metadata"]
        after["resourceVersion"] = before["resourceVersion"]
        for name in ("finalizers", "ownerReferences", "labels", "annotations"):
            if not after.get(name):
                after.pop(name, None)
        if "deletionTimestamp" in before:
            self._refuse_new_finalizers(before, after)
            after |= {"deletionTimestamp": before["deletionTimestamp"]}
        if _is_ours(place):
            changed_spec = changed.get("spec") != live.get("spec")
            after["generation"] = before["generation"] + bool(changed_spec)
        if changed == live:
            return live
        if "deletionTimestamp" in after and not after.get("finalizers"):
            return self._remove(place, changed, dry=dry)
        return self._store(place, changed, dry=dry)

    def _refuse_new_finalizers(self, before, after):
        if set(after.get("finalizers") or ()) - set(before.get("finalizers") or ()):
            raise Refusal(422, "no new finalizers can be added if the object is being deleted")

    def _delete(self, path, options):
        live = self._found(path)
        metadata = live["metadata"]
        wanted = options.get("preconditions") or {}
        if any(metadata[mark] != value for mark, value in wanted.items()):
            raise Refusal(409, "Precondition failed")
        if not metadata.get("finalizers"):
            return self._remove(path, live, dry=False)
        if "deletionTimestamp" in metadata:
            return live
        going = metadata | {"deletionTimestamp": self._now()}
        if "generation" in metadata:
            going["generation"] = metadata["generation"] + 1
        return self._store(path, live | {"metadata": going}, dry=False)

    # ---- what nobody asks for

    def collect_garbage(self):
        """Remove objects whose owners are all gone, as the controller manager does in a while."""
        uids = {body["metadata"]["uid"] for body in self.objects.values()}
        for place, body in list(self.objects.items()):
            owners = body["metadata"].get("ownerReferences") or ()
            if owners and not any(owner["uid"] in uids for owner in owners):
                self._remove(place, body, dry=False)

    # ---- storing

    def _found(self, place):
        if place not in self.objects:
            raise Refusal(404, f"{place} not found")
        return self.objects[place]

    def _store(self, place, body, *, dry):
        if dry:
            return body
        kind = "MODIFIED" if place in self.objects else "ADDED"
        self._version += 1
        body = body | {"metadata": body["metadata"] | {"resourceVersion": str(self._version)}}
        self.objects[place] = body
        self._tell(kind, place, body)
        return body

    def _remove(self, place, body, *, dry):
        if dry:
            return body
        self._version += 1
        body = body | {"metadata": body["metadata"] | {"resourceVersion": str(self._version)}}
        del self.objects[place]
        self._tell("DELETED", place, body)
        return body

    def _tell(self, kind, place, body):
        for watcher in list(self.watchers):
            watcher(kind, place, copy.deepcopy(body))

    def _now(self):
        return (self._clock.now() + timedelta(0)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _merged(target, patch):
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _check_version(live, body):
    wanted = (body.get("metadata") or {}).get("resourceVersion")
    if wanted and wanted != live["metadata"]["resourceVersion"]:
        raise Refusal(409, "the object has been modified")


def _immutable(live):
    names = ("name", "namespace", "uid", "creationTimestamp", "generation")
    return {name: live["metadata"][name] for name in names if name in live["metadata"]}


def _status_of(path):
    return path.removesuffix("/status"), path.endswith("/status")


def _is_ours(path):
    return path.startswith(f"/apis/{_GROUP}/")


def _namespace(path):
    parts = path.split("/")
    position = parts.index("namespaces") + 1 if "namespaces" in parts else len(parts)
    return parts[position] if position < len(parts) else None


def _is_collection(path):
    return path.rpartition("/")[2] in (
        *_PLURALS,
        "secrets",
        "configmaps",
        "events",
        "namespaces",
        "leases",
    )
